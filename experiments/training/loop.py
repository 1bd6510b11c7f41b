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
from experiments.files import drop_lines
from experiments.pages import run as page
from experiments.rundir import manifest
from experiments.rundir.checkpoint import FULL
from experiments.rundir.log import Log
from experiments.signals import Interrupted, Signals
from experiments.training import ahead, announce, facts, health
from experiments.training.floats import Place
from experiments.training.metric_buffer import MetricBuffer, NotFinite
from experiments.training.milestones import Milestones
from experiments.training.opening import opened
from experiments.training.record import Record
from experiments.training.samples import Samples
from experiments.training.stage import Ready
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
      on_evaluation: gets the step and the values of each evaluation. What it raises
        ends the run; when it goes on, that step is evaluated again.
      on_call: gets the number of steps after each call.
      inputs: see `experiments.training.stage.Stages`.

    Returns the last state. Raises ConfigError for what cannot be run, WorkdirError for
    where, NotFinite for a loss or a state that is not finite, Interrupted, DiskFull,
    and CheckpointError if there are checkpoints but no good one.
    """
    opening = opened(
        config,
        workdir,
        allow_config_change=allow_config_change,
        init_from=init_from,
        inputs=inputs,
    )
    with opening as found:
        record = Record(found.folder, command, started)
        run = _Run(found, record, on_evaluation, on_call)
        try:
            with record.ending(found.checkpoints.latest):
                return run.to_the_end()
        except (Interrupted, NotFinite):
            print(page.report(found.folder), file=sys.stderr)
            raise
        except OSError as error:
            if error.errno not in FULL.values():
                raise
            kept = found.checkpoints
            raise DiskFull(
                f"{error.filename}: {error.strerror}. Intact: every line of "
                f"metrics.jsonl, and {kept.folder} with steps {kept.steps()}"
            ) from error


class _Run:
    """A run in this process: what it consists of, and how far it has come."""

    def __init__(self, opened, record, on_evaluation, on_call):
        self.config, self.workdir = opened.config, opened.folder
        self.checkpoints, self.stages = opened.checkpoints, opened.stages
        self.opened, self.record, self.on_call = opened, record, on_call
        self.samples = Samples(opened.folder)
        self.milestones = Milestones(
            opened.config,
            opened.folder,
            opened.checkpoints,
            opened.stages,
            before=opened.before,
            record=record,
            on_evaluation=on_evaluation,
        )

    def to_the_end(self):
        """Trains; at a NaN goes back to the last checkpoint, if the config says so."""
        stream = None  # that of the checkpoint
        while True:
            state, seconds = self.milestones.restore()
            if self.opened.given:
                self.milestones.init_from = self.opened.given.record
            if stream is None:
                self.record.seconds_before = seconds
            else:
                self.milestones.stream = stream
            try:
                return self.from_here(state)
            except NotFinite as error:
                folder, last = self.checkpoints.folder, self.checkpoints.latest()
                where = f"last good checkpoint: {'none' if last is None else folder}"
                where += "" if last is None else f"/{last}"
                stream = self.milestones.stream + 1
                if self.config.on_nan != "rollback" or stream > ROLLBACKS:
                    self.record.write(status=f"stopped: {error}")
                    raise NotFinite(f"{error}\n{where}") from None
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
        # Of scores that were begun there may be lines already.
        again = state is None or self.milestones.unscored == step
        scored = step - 1 if again else step
        drop_lines(self.workdir / "evaluations.jsonl", scored)
        log = Log(
            self.workdir,
            start=step,
            steps=n_steps,
            batch_size=stage.batch_size,
            resume=state is not None,
            scored=scored,
            things=announce.things(stage.source.spec),
        )
        # Of the lines that are kept: steps that are trained again are checked again.
        path = self.workdir / "metrics.jsonl"
        self.monitor = health.replay(path, self.stages.updates)
        self.record["warnings"] = self.monitor.messages
        with contextlib.closing(log), contextlib.closing(self.checkpoints):
            if "parameters" not in self.record:
                self.describe(stage, step)
                lines = announce.start(self.record, config, self.workdir, step)
                for line in [] if finished else lines:
                    log.message(line)
            for line in self.record.continuing(config, step if state else None):
                log.message(line)
            if not finished:
                log.message("compiling: up to minutes, and seconds when it is repeated")
                self.score_again(state, step, log)
            state = self.first_state(stage, state, step, log)
            self.record.write()
            page.report(self.workdir)  # while the first call is compiled
            self.first_samples = stage.programs.draw(state) if step == 0 else None
            if not finished:
                # Until it is compiled, a signal ends the process at once.
                self.stages.start(stage.index).result()
                with Signals() as signals:
                    stage, state = self.all_stages(stage, state, step, log, signals)
            self.finish(stage, state, max(step, n_steps), log)
        for line in announce.end(
            self.workdir, self.milestones.best, self.record.seconds()
        ):
            print(line, file=sys.stderr)
        print(f"finished: {announce.closing(config, self.workdir)}", file=sys.stderr)
        return state

    def describe(self, stage, step):
        """Notes in run.json what is trained on what."""
        template = stage.programs.template
        found = facts.gather(self.config, self.opened.source, stage.samplers, template)
        changes = facts.changes(self.opened.before, found, step)
        self.record |= {**found, "data_changes": changes}
        self.record["init_from"] = self.milestones.init_from

    def score_again(self, state, step, log):
        """Scores the step of the checkpoint, if that was ended before it was complete.

        Its stage may have ended with it.
        """
        if state is not None and self.milestones.unscored == step:
            stage = self.stages.get(self.stages.of(step))
            self.milestones.score(stage, stage.programs.put_state(state), step, log)

    def first_state(self, stage: Ready, state, step, log):
        """Returns a state on the devices: new, restored, or of the stage before."""
        if state is None:
            state = stage.programs.init(self.milestones.stream)
            given = self.opened.given
            return self.with_weights(stage, state, log) if given else state
        if stage.index and step == stage.first:
            new = stage.programs.init(self.milestones.stream)
            state = stages.carry(state, new, stage.reset_optimisers)
            # Scores at another resolution do not compare.
            self.milestones.set_best(None)
            log.message(
                f"stage {stage.index + 1} of {len(self.stages)} begins after step "
                f"{step}: batches of {stage.batch_size}"
            )
        return stage.programs.put_state(state)

    def with_weights(self, stage, state, log):
        """Returns the first state with another run's weights, on disk as step 0.

        So a run that is continued needs them no more.
        """
        given, self.opened.given = self.opened.given, None  # it is large
        state = stage.programs.put_state(given.into(stage.gan, state))
        for line in given.lines():
            log.message(line)
        self.milestones.save(stage, state, 0)
        self.checkpoints.close()
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
                    self.milestones.save(stage, state, step)
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
        if not config.metrics:
            every["evaluate"] = 0
        key = programs.key(self.milestones.stream)
        batches = stage.batches(self.milestones.stream)
        batches = pipeline.iterate(batches, step, per_call=per_call)
        buffer = MetricBuffer(stage.gan, step, self.milestones.unlogged)
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
                due |= {"log", "checkpoint", "sample"}
                due |= {"evaluate"} if every["evaluate"] else set()
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
            if due & {"evaluate", "checkpoint"}:
                unscored = "evaluate" in due or step == self.stages.n_steps
                self.milestones.unlogged = buffer.sums()
                self.milestones.save(stage, state, step, unscored=unscored)
            if "evaluate" in due:
                self.milestones.score(stage, state, step, log, signals)
            if due:
                mark = (time.perf_counter(), step)
                log.restart(step)
            else:
                log.progress(step)
            if signals.number is not None:
                buffer.fetch()
                self.milestones.unlogged = buffer.sums()
                break
        return state, step

    def finish(self, stage, state, step, log):
        """The last samples and the last evaluation, with the checkpoint on disk."""
        self.checkpoints.close()
        self.samples.show(stage, stage.programs.draw(state), step, log)
        self.milestones.score(stage, state, step, log)
        self.record["examples"] = self.stages.examples(step)
        self.record.write(status="finished")

    def warn(self, step, means, log):
        """Says, also in run.json, what these means show to be wrong, or over."""
        messages = self.monitor(step, means)
        for message in messages:
            log.message(message)
        if messages:
            self.record.write()
