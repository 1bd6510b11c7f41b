"""The training loop: a config and a workdir in, a trained GAN and its story out."""

from __future__ import annotations

import contextlib
import functools
import sys
import time
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np
from ml_collections import ConfigDict

from experiments import config as configs
from experiments import report
from experiments.evaluation import reports
from experiments.files import drop_lines, replacing
from experiments.rundir import manifest, restore
from experiments.rundir.checkpoint import FULL, CheckpointError, Checkpoints
from experiments.rundir.log import Log
from experiments.sampling import pictures, sampler
from experiments.signals import Interrupted, Signals
from experiments.training import health
from experiments.training.metric_buffer import MetricBuffer, NotFinite
from experiments.training.programs import Programs
from gans import core
from gans.data import pipeline

AHEAD = 2  # calls handed to the device beyond the one that is waited for
ROLLBACKS = 3
_LATENTS = 2**31  # folded into the seed's key; the streams are 0, 1, ...


class DiskFull(Exception):
    """A file could not be written; says which, and what is intact."""


# What is the user's to mend: to be said in a line, without a traceback.
ERRORS = (configs.ConfigError, CheckpointError, NotFinite, DiskFull)


def train(
    config: ConfigDict,
    workdir: str | Path,
    *,
    command: str = "",
    started: float | None = None,
    allow_config_change: bool = False,
    on_evaluation: Callable[[int, dict[str, float]], None] | None = None,
) -> core.State:
    """Trains to config.steps, from the newest checkpoint in `workdir` if there is one.

    Args:
      config: one that `experiments.config.check` accepts.
      workdir: gets config.json, metrics.jsonl, events, samples/, checkpoints/, run.json
        and report.html.
      command: the command line, for run.json.
      started: `time.time()` when the process began.
      allow_config_change: goes on although the checkpoints are of another config.
      on_evaluation: gets the step and the values of each evaluation, before the
        checkpoint of that step; what it raises ends the run.

    Returns the last state. Raises ConfigError for what cannot be run, NotFinite for a
    loss or a state that is not finite, Interrupted, DiskFull, and CheckpointError if
    there are checkpoints but no good one.
    """
    workdir = Path(workdir)
    checkpoints = Checkpoints(workdir, config.keep_checkpoints)
    if jax.process_index() > 0:  # of several hosts: its own log, the same checkpoints
        workdir = workdir / f"process_{jax.process_index()}"
    try:
        source, config = _prepare(config, workdir, checkpoints, allow_config_change)
        gan = configs.build(config)
        judge = reports.make_evaluate(gan, config, source)
        workdir.mkdir(parents=True, exist_ok=True)
        with replacing(workdir / "config.json") as path:
            Path(path).write_text(configs.to_json(config))
    except (ValueError, RuntimeError, OSError) as error:
        raise configs.ConfigError(str(error)) from error
    run = _Run(config, workdir, checkpoints, source, gan, judge)
    run.facts, run.started = manifest.begin(command), started or time.time()
    run.on_evaluation = on_evaluation
    try:
        return run.to_the_end()
    except OSError as error:
        if error.errno not in FULL.values():
            raise
        raise DiskFull(
            f"{error.filename}: {error.strerror}. Intact: every line of metrics.jsonl, "
            f"and {checkpoints.folder} with steps {checkpoints.steps()}"
        ) from error


def _prepare(config, workdir, checkpoints, allow_config_change):
    """Returns the data and the resolved config, if it may go on in this workdir."""
    if config.batch_size % jax.device_count():
        raise ValueError(
            f"config.batch_size={config.batch_size} cannot be split evenly among "
            f"{jax.device_count()} devices"
        )
    source = configs.load_data(config)
    config = configs.resolve(config, source)
    if checkpoints.steps() and not allow_config_change:
        configs.compare(workdir / "config.json", config)
    return source, config


class _Run:
    """A run in this process: what it is made of, and how far it has come."""

    def __init__(self, config, workdir, checkpoints, source, gan, evaluate):
        self.config, self.workdir, self.checkpoints = config, workdir, checkpoints
        self.source, self.gan, self.evaluate = source, gan, evaluate
        load_test = functools.partial(restore.load_test, config, source.spec)
        self.drawing = sampler.Drawing(
            gan,
            source.spec,
            sampler.source_of(gan, source, load_test),
            key=jax.random.fold_in(jax.random.key(config.seed), _LATENTS),
            n=pictures.count(source.spec),
        )
        batches = self.batches(stream=0)
        self.programs = Programs(
            gan,
            seed=config.seed,
            batch=batches[0],
            prepare=batches.prepare,
            per_call=config.steps_per_call,
            draw=self.drawing,
        )
        self.compiling = None  # future (call, seconds)
        self.busy = self.counted = 0  # seconds and steps, without the first call

    def batches(self, stream):
        """Batches by step; another stream of random numbers has another order."""
        seed = self.config.seed
        if stream:
            seed = int(np.random.SeedSequence((seed, stream)).generate_state(1)[0])
        return pipeline.batches(
            self.source,
            self.config.batch_size,
            seed=seed,
            flip=self.config.flip,
            shard=(jax.process_index(), jax.process_count()),
        )

    def to_the_end(self):
        """Trains, going back to the last checkpoint at a NaN if the config says so."""
        stream = None  # that of the checkpoint
        while True:
            frozen = core.frozen_variables(self.gan)
            template = self.programs.template.replace(frozen=frozen)
            restored = self.checkpoints.restore(template)
            extra = restored[1] if restored else {"stream": 0, "seconds": 0.0}
            self.stream = extra["stream"] if stream is None else stream
            self.best = extra.get("best")
            self.checkpoints.best = self.best["step"] if self.best else None
            if stream is None:
                self.seconds_before = extra["seconds"]
            try:
                return self.from_here(restored[0] if restored else None)
            except NotFinite as error:
                folder, last = self.checkpoints.folder, self.checkpoints.latest()
                where = f"last good checkpoint: {'none' if last is None else folder}"
                where += "" if last is None else f"/{last}"
                if self.config.on_nan != "rollback" or self.stream >= ROLLBACKS:
                    self.write_facts(status=f"stopped: {error}")
                    raise NotFinite(f"{error}\n{where}") from None
                stream = self.stream + 1
                print(
                    f"{error}\n{where}; going back to it with random stream {stream} "
                    f"(of at most {ROLLBACKS})",
                    file=sys.stderr,
                )

    def from_here(self, state):
        """Trains from a restored state of numpy arrays, or from the start."""
        config, programs = self.config, self.programs
        step = 0 if state is None else int(state.step)
        if step % config.steps_per_call:
            raise configs.ConfigError(
                f"config.steps_per_call={config.steps_per_call} does not divide the "
                f"{step} steps of the checkpoint"
            )
        finished = step >= config.steps
        if finished and manifest.read(self.workdir).get("status") == "finished":
            print(f"already finished: {self.closing_line()}", file=sys.stderr)
            return state
        if not finished and self.compiling is None:
            self.compiling = programs.start_compiling()
        _drop_pictures(self.workdir, step)
        drop_lines(self.workdir / "evaluations.jsonl", step if state else -1)
        log = Log(
            self.workdir,
            start=step,
            steps=config.steps,
            batch_size=config.batch_size,
            resume=state is not None,
        )
        # Of the lines that are kept: what is trained again is checked again.
        updates = {update.name: update.trains for update in self.gan.updates}
        self.monitor = health.replay(self.workdir / "metrics.jsonl", updates)
        self.facts["warnings"] = self.monitor.said
        with contextlib.closing(log), contextlib.closing(self.checkpoints):
            if state is None:
                state = programs.init(self.stream)
            else:
                log.message(f"continuing after step {step}")
                state = programs.put_state(state)
            if not finished:
                state = self.loop(state, step, log)
            self.finish(state, max(step, config.steps), log)
        print(f"finished: {self.closing_line()}", file=sys.stderr)
        return state

    def loop(self, state, step, log):
        """Calls the compiled program until the last step, or a signal."""
        config, programs = self.config, self.programs
        per_call, steps = config.steps_per_call, config.steps
        every = {
            event: config[f"{event}_every"]
            for event in ("log", "diagnose", "sample", "evaluate", "checkpoint")
        }
        key = programs.key(self.stream)
        batches = pipeline.iterate(self.batches(self.stream), step, per_call=per_call)
        buffer = MetricBuffer(self.gan, step)
        first_samples = programs.draw(state) if step == 0 else None
        call, compile_seconds = self.compiling.result()
        first_step, mark = step + per_call, (0.0, step)

        with Signals() as signals:
            while step < steps and signals.number is None:
                batch = programs.put_batch(next(batches))
                state, metrics = call(state, batch, key)
                step += per_call
                buffer.add(metrics)
                if step == first_step:
                    jax.block_until_ready(metrics)
                    so_far = {"seconds_to_first_step": time.time() - self.started}
                    so_far["compile_seconds"] = compile_seconds
                    self.facts = {**so_far, **self.facts}
                    self.write_facts()
                    if first_samples is not None:
                        self.show(first_samples, 0, log)
                    mark = (time.perf_counter(), step)
                due = {event for event, n in every.items() if n and step % n == 0}
                if step == steps:  # `finish` draws and evaluates
                    due = (due | {"log", "checkpoint"}) - {"sample", "evaluate"}
                if not due:
                    buffer.wait(AHEAD)
                    log.progress(step)
                    continue
                buffer.fetch()
                seconds, n_steps = time.perf_counter() - mark[0], step - mark[1]
                self.busy, self.counted = self.busy + seconds, self.counted + n_steps
                if "log" in due:
                    self.checkpoints.check()
                    means = buffer.means()
                    speed = manifest.speed(n_steps, seconds, config.batch_size)
                    log.write(step, {**means, **speed, "seconds": self.seconds()})
                    log.progress(step, means)
                    self.warn(step, means, log)
                    buffer.clear(step)
                if "diagnose" in due:
                    values = jax.device_get(programs.singular_values(state))
                    log.write(step, {name: float(x) for name, x in values.items()})
                if "sample" in due:
                    self.show(programs.draw(state), step, log)
                if "evaluate" in due and self.judge(state, step, log):
                    due.add("checkpoint")
                if "checkpoint" in due:
                    self.save(state, step)
                mark = (time.perf_counter(), step)
            if signals.number is not None:
                buffer.fetch()
                self.checkpoints.close()
                if self.checkpoints.latest() != step:
                    self.save(state, step)
                    self.checkpoints.close()
                self.write_facts(status=f"stopped after step {step}")
                raise Interrupted(signals.number, step)
        return state

    def finish(self, state, step, log):
        """The last samples and the last evaluation, with the checkpoint on disk."""
        self.checkpoints.close()
        self.show(self.programs.draw(state), step, log)
        self.judge(state, step, log)
        self.write_facts(status="finished")

    def save(self, state, step):
        wrong = self.programs.not_finite(state)
        if wrong:
            raise NotFinite(f"not finite after step {step}: {', '.join(wrong)}")
        extra = {"stream": self.stream, "seconds": self.seconds(), "best": self.best}
        self.checkpoints.save(step, state, extra)

    def show(self, samples, step, log):
        """Draws {output: {field: [n, ...]}}: samples/step_STEP.png, and TensorBoard."""
        stem = self.workdir / "samples" / f"step_{step:08d}"
        stem.parent.mkdir(exist_ok=True)
        spec, given = self.source.spec, self.drawing.given
        drawn = pictures.draw(stem, spec, samples, given=given, source=self.source)
        for name, picture in drawn.items():
            log.image(step, name, picture)

    def warn(self, step, means, log):
        """Says, also in run.json, what these means show to be wrong, or over."""
        messages = self.monitor(step, means)
        for message in messages:
            log.message(message)
        if messages:
            self.write_facts()

    def judge(self, state, step, log):
        """Logs the metrics; returns whether the first of them was never as good."""
        report = self.evaluate(state)
        if not report:
            return False
        values = reports.values(report)
        log.write(step, values)
        reports.write(self.workdir, step, report)
        shown = "  ".join(f"{name} {value:.4g}" for name, value in values.items())
        log.message(f"step {step}: {shown}")
        better = reports.better(report, step, self.best)
        if better:
            self.best, self.checkpoints.best = better, step
            self.facts["best"] = better
        if self.on_evaluation:
            self.on_evaluation(step, values)
        return better is not None

    def seconds(self):
        """How long the run has taken, with what came before the checkpoint."""
        return self.seconds_before + time.time() - self.started

    def write_facts(self, **changes):
        self.facts |= {"seconds": self.seconds(), **changes}
        self.facts |= manifest.speed(self.counted, self.busy, self.config.batch_size)
        manifest.write(self.workdir, self.facts)

    def closing_line(self):
        where = report.write(self.workdir)
        what = f"{self.config.variant} on {self.config.data}, {self.config.steps} steps"
        return f"{what}. Report: {where}; samples and checkpoints beside it"


def _drop_pictures(workdir, last):
    """Removes pictures of steps after `last`: they will be drawn again."""
    for path in workdir.glob("samples/step_*"):
        if int(path.stem.split("_")[1]) > last:
            path.unlink()
