"""The training loop: a config and a workdir in, a trained GAN and its story out."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import jax
from ml_collections import ConfigDict

from experiments import config as configs
from experiments.evaluation import reports
from experiments.files import drop_lines, replacing
from experiments.pages import run as page
from experiments.rundir import manifest
from experiments.rundir.checkpoint import FULL, Checkpoints
from experiments.rundir.lock import of_process
from experiments.rundir.log import Log
from experiments.signals import Interrupted, Signals
from experiments.training import ahead, announce, facts, health, longer
from experiments.training import init_from as weights
from experiments.training.floats import Place
from experiments.training.metric_buffer import MetricBuffer, NotFinite
from experiments.training.record import Record
from experiments.training.samples import Samples
from experiments.training.stage import Ready, Stages
from gans import core, stages
from gans.data import pipeline

AHEAD = 2  # calls handed to the device beyond the one that is waited for
ROLLBACKS = 3


class DiskFull(Exception):
    """A file could not be written. The message names it, and what is intact."""


# What the user can correct: shown in a line, without a traceback.
ERRORS = (ValueError, NotFinite, DiskFull)


def train(
    config: ConfigDict,
    workdir: str | Path,
    *,
    command: str = "",
    started: float | None = None,
    allow_config_change: bool = False,
    init_from: str | None = None,
    on_evaluation: Callable[[int, dict[str, float]], None] | None = None,
    on_call: Callable[[int], None] = lambda step: None,
    inputs: Iterable[Place] = (),
) -> core.State:
    """Trains to config.steps, from the newest checkpoint in `workdir` if there is one.

    Args:
      config: one that `experiments.config.check` accepts.
      workdir: gets config.json, metrics.jsonl, events, samples/, checkpoints/, run.json
        and report.html.
      command: the command line, for run.json.
      started: `time.time()` when the process began.
      allow_config_change: continues although the checkpoints are of another config.
      init_from: WORKDIR[:CHECKPOINT] of another run, whose weights a new run starts
        from (see `experiments.training.init_from`).
      on_evaluation: gets the step and the values of each evaluation, before the
        checkpoint of that step; what it raises ends the run.
      on_call: gets the number of steps after each call.
      inputs: see `experiments.training.stage.Stages`.

    Returns the last state. Raises ConfigError for what cannot be run, WorkdirError for
    where, NotFinite for a loss or a state that is not finite, Interrupted, DiskFull,
    and CheckpointError if there are checkpoints but no good one.
    """
    checkpoints = Checkpoints(workdir, config.keep_checkpoints)
    workdir, lock = of_process(Path(workdir), jax.process_index(), config.data)
    held = contextlib.ExitStack()
    try:
        source = configs.load_data(config)
        config = configs.resolve(config, source)
        if checkpoints.steps() and not allow_config_change:
            longer.compare(workdir / "config.json", config, checkpoints.latest())
        all_stages = Stages(config, source, workdir, inputs)
        # Whatever cannot be run is found before anything is written.
        stage = all_stages.get(all_stages.after(checkpoints.latest() or 0))
        given = None
        if init_from and checkpoints.steps():
            weights.check_resumed(init_from, workdir)
        elif init_from:
            given = weights.Given(init_from, stage.programs.template)
        held.enter_context(lock)
        workdir.mkdir(parents=True, exist_ok=True)
        with replacing(workdir / "config.json") as path:
            Path(path).write_text(configs.to_json(config))
    except (ValueError, RuntimeError, OSError) as error:
        held.close()
        raise configs.ConfigError(str(error)) from error
    run = _Run(config, workdir, checkpoints, all_stages)
    run.record, run.given = Record(workdir, command, started), given
    run.on_evaluation, run.on_call = on_evaluation, on_call
    try:
        with run.record.ending(checkpoints.latest):
            return run.to_the_end()
    except (Interrupted, NotFinite):
        print(page.report(workdir), file=sys.stderr)
        raise
    except OSError as error:
        if error.errno not in FULL.values():
            raise
        raise DiskFull(
            f"{error.filename}: {error.strerror}. Intact: every line of metrics.jsonl, "
            f"and {checkpoints.folder} with steps {checkpoints.steps()}"
        ) from error
    finally:
        all_stages.close()
        held.close()


class _Run:
    """A run in this process: what it consists of, and how far it has come."""

    def __init__(self, config, workdir, checkpoints, all_stages):
        self.config, self.workdir, self.checkpoints = config, workdir, checkpoints
        self.stages, self.samples = all_stages, Samples(workdir)

    def to_the_end(self):
        """Trains; at a NaN goes back to the last checkpoint, if the config says so."""
        stream = None  # that of the checkpoint
        while True:
            restored = self.checkpoints.restore(self.stages.template)
            extra = restored[1] if restored else {"stream": 0, "seconds": 0.0}
            self.stream = extra["stream"] if stream is None else stream
            self.set_best(extra.get("best"))
            given = self.given.record if self.given else None
            self.init_from = given or extra.get("init_from")
            at, log = int(restored[0].step) if restored else 0, "metrics.jsonl"
            self.stages.count(at, extra.get("examples"), self.workdir / log)
            # The step of an evaluation that a signal has ended.
            self.unscored = at if extra.get("unscored") else None
            if stream is None:
                self.record.seconds_before = extra["seconds"]
            try:
                return self.from_here(restored[0] if restored else None)
            except NotFinite as error:
                folder, last = self.checkpoints.folder, self.checkpoints.latest()
                where = f"last good checkpoint: {'none' if last is None else folder}"
                where += "" if last is None else f"/{last}"
                if self.config.on_nan != "rollback" or self.stream >= ROLLBACKS:
                    self.record.write(status=f"stopped: {error}")
                    raise NotFinite(f"{error}\n{where}") from None
                stream = self.stream + 1
                print(
                    f"{error}\n{where}; going back to it with random stream {stream} "
                    f"(of at most {ROLLBACKS})",
                    file=sys.stderr,
                )

    def from_here(self, state):
        """Trains from a restored state of numpy arrays, or from the start."""
        config, n_steps = self.config, self.stages.n_steps
        step = 0 if state is None else int(state.step)
        if step % config.steps_per_call:
            raise configs.ConfigError(
                f"config.steps_per_call={config.steps_per_call} does not divide the "
                f"{step} steps of the checkpoint"
            )
        finished = step >= n_steps
        if finished and manifest.read(self.workdir).get("status") == "finished":
            print(
                f"already finished: {announce.closing(config, self.workdir)}",
                file=sys.stderr,
            )
            return state
        stage = self.stages.get(self.stages.after(step))
        if not finished:
            self.stages.start(stage.index)
        self.samples.drop(step)
        drop_lines(self.workdir / "evaluations.jsonl", step if state else -1)
        log = Log(
            self.workdir,
            start=step,
            steps=n_steps,
            batch_size=stage.batch_size,
            resume=state is not None,
        )
        # Of the lines that are kept: steps that are trained again are checked again.
        path = self.workdir / "metrics.jsonl"
        self.monitor = health.replay(path, self.stages.updates)
        self.record["warnings"] = self.monitor.messages
        with contextlib.closing(log), contextlib.closing(self.checkpoints):
            if not finished and "parameters" not in self.record:
                found = facts.gather(config, stage.source, stage.programs.template)
                self.record |= {**found, "init_from": self.init_from}
                for line in announce.start(self.record, config, self.workdir):
                    log.message(line)
            for line in self.record.continuing(config, step if state else None):
                log.message(line)
            if not finished:
                log.message("compiling: up to minutes, and seconds when it is repeated")
            state = self.first_state(stage, state, step, log)
            self.record.write()
            page.report(self.workdir)  # while the first call is compiled
            self.first_samples = stage.programs.draw(state) if step == 0 else None
            if not finished:
                # Until it is compiled, a signal ends the process at once.
                self.stages.start(stage.index).result()
                with Signals() as signals:
                    if self.unscored == step != stage.first:
                        self.evaluate(stage, state, step, log, signals)
                    stage, state = self.all_stages(stage, state, step, log, signals)
            self.finish(stage, state, max(step, n_steps), log)
        for line in announce.end(self.workdir, self.best, self.record.seconds()):
            print(line, file=sys.stderr)
        print(f"finished: {announce.closing(config, self.workdir)}", file=sys.stderr)
        return state

    def first_state(self, stage: Ready, state, step, log):
        """Returns a state on the devices: new, restored, or of the stage before."""
        if state is None:
            state = stage.programs.init(self.stream)
            return self.with_weights(stage, state, log) if self.given else state
        if stage.index and step == stage.first:
            new = stage.programs.init(self.stream)
            state = stages.carry(state, new, stage.reset_optimisers)
            self.set_best(None)  # scores at another resolution do not compare
            log.message(
                f"stage {stage.index + 1} of {len(self.stages)} begins after step "
                f"{step}: batches of {stage.batch_size}"
            )
        return stage.programs.put_state(state)

    def with_weights(self, stage, state, log):
        """Returns the first state with another run's weights, on disk as step 0.

        So a run that is continued needs them no more.
        """
        state = stage.programs.put_state(self.given.into(stage.gan, state))
        for line in self.given.lines():
            log.message(line)
        self.save(stage, state, 0)
        self.checkpoints.close()
        self.given = None  # it is large
        return state

    def all_stages(self, stage: Ready, state, step, log, signals):
        """Trains to the end of the last stage; returns it and its state."""
        ended = None  # when the last stage was over
        while True:
            state, step = self.one_stage(stage, state, step, log, signals, ended)
            ended, is_last = time.perf_counter(), step >= self.stages.n_steps
            if not is_last:
                signals.wait(self.stages.coming())
            if signals.number is not None:
                self.checkpoints.close()
                if self.checkpoints.latest() != step:
                    self.save(stage, state, step)
                    self.checkpoints.close()
                self.record.write(status=f"stopped after step {step}")
                raise Interrupted(signals.number, step)
            if is_last:
                return stage, state
            stage = self.stages.get(stage.index + 1)
            self.stages.start(stage.index)
            state = self.first_state(stage, state, step, log)
            log.batch_size = stage.batch_size

    def one_stage(self, stage: Ready, state, step, log, signals, ended):
        """Calls the compiled program until the stage's last step, or a signal."""
        config, programs = self.config, stage.programs
        per_call = config.steps_per_call
        every = {
            event: config[f"{event}_every"]
            for event in ("log", "diagnose", "sample", "evaluate", "checkpoint")
        }
        key = programs.key(self.stream)
        batches = stage.batches(self.stream)
        batches = pipeline.iterate(batches, step, per_call=per_call)
        buffer = MetricBuffer(stage.gan, step)
        compiled, compiling = self.stages.start(stage.index).result()
        first_step, mark = step + per_call, (0.0, step)

        def call(state, step):
            del step  # batches come in order
            return compiled(state, programs.put_batch(next(batches)), key)

        if ended is not None:
            seconds = time.perf_counter() - ended
            self.record.setdefault("standstills", {})[str(step)] = seconds
        calls = ahead.steps(call, state, step, stage.last, per_call, ahead=AHEAD)
        for step, state, metrics in calls:
            buffer.add(metrics)
            self.on_call(step)
            if step == first_step:
                jax.block_until_ready(metrics)
                if ended is None:
                    passed = self.record.first_step(compiling)
                    log.message(announce.first_step(passed, compiling))
                if step == per_call:
                    self.samples.show(stage, self.first_samples, 0, log)
                mark = (time.perf_counter(), step)
            due = {event for event, n in every.items() if n and step % n == 0}
            if step == stage.last:
                due |= {"log", "checkpoint"}
            if step == self.stages.n_steps:  # `finish` draws and evaluates
                due -= {"sample", "evaluate"}
            if due:
                buffer.fetch()
                seconds, n_steps = time.perf_counter() - mark[0], step - mark[1]
                self.record.count(n_steps, seconds, stage.batch_size)
            if "log" in due:
                self.checkpoints.check()
                self.stages.check()
                means = buffer.means()
                speed = manifest.speed(n_steps, seconds, stage.batch_size)
                log.write(step, {**means, **speed, "seconds": self.record.seconds()})
                log.progress(step, means)
                self.warn(step, means, log)
                self.record["examples"] = self.stages.examples(step)
                buffer.clear(step)
            if "diagnose" in due:
                values = jax.device_get(programs.singular_values(state))
                log.write(step, {name: float(x) for name, x in values.items()})
            if "sample" in due:
                self.samples.show(stage, programs.draw(state), step, log)
            if "evaluate" in due and self.evaluate(stage, state, step, log, signals):
                due.add("checkpoint")
            if "checkpoint" in due:
                self.save(stage, state, step)
            if due:
                mark = (time.perf_counter(), step)
                log.restart(step)
            else:
                log.progress(step)
            if signals.number is not None:
                buffer.fetch()
                break
        return state, step

    def finish(self, stage, state, step, log):
        """The last samples and the last evaluation, with the checkpoint on disk."""
        self.checkpoints.close()
        self.samples.show(stage, stage.programs.draw(state), step, log)
        self.evaluate(stage, state, step, log)
        self.record["examples"] = self.stages.examples(step)
        self.record.write(status="finished")

    def save(self, stage, state, step):
        wrong = stage.programs.not_finite(state)
        if wrong:
            raise NotFinite(f"not finite after step {step}: {', '.join(wrong)}")
        extra = {
            "stream": self.stream,
            "seconds": self.record.seconds(),
            "best": self.best,
            "stage": stage.index,
            "examples": self.stages.examples(step),
            "unscored": self.unscored == step,
            "init_from": self.init_from,
        }
        self.checkpoints.save(step, state, extra)

    def warn(self, step, means, log):
        """Says, also in run.json, what these means show to be wrong, or over."""
        messages = self.monitor(step, means)
        for message in messages:
            log.message(message)
        if messages:
            self.record.write()

    def evaluate(self, stage, state, step, log, signals=None):
        """Logs the metrics; returns whether the first is the best so far."""
        found, self.unscored = None, step
        if self.config.metrics:
            log.message(f"step {step}: scoring")
        with signals.ending_early() if signals else contextlib.nullcontext():
            found = stage.evaluate(state)
            self.unscored = None  # else it is done when the run is continued
        if not found:
            return False
        if values := reports.values(found):
            log.write(step, values)
        reports.write(self.workdir, step, found)
        for line in announce.scores(values, found.get("failed", {})):
            log.message(f"step {step}: {line}")
        better = reports.better(found, step, self.best)
        if better:
            self.set_best(better)
        if self.on_evaluation:
            self.on_evaluation(step, values)
        return better is not None

    def set_best(self, best):
        """Keeps the checkpoint of the best evaluation so far, {"step", ...} or None."""
        self.best, self.checkpoints.best = best, best["step"] if best else None
        self.record.pop("best", None)
        if best:
            self.record["best"] = best
