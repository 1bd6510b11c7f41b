"""The training loop: a config and a workdir in, a trained GAN and its story out."""

from __future__ import annotations

import contextlib
import errno
import signal
import sys
import time
from pathlib import Path

import jax
import numpy as np
from ml_collections import ConfigDict

from experiments import config as configs
from experiments import facts, pictures, report
from experiments.checkpoint import CheckpointError, Checkpoints
from experiments.evaluate import make_evaluate
from experiments.log import Log, replacing
from experiments.programs import Programs
from experiments.window import NotFinite, Window
from gans import core, data
from gans.data import pipeline

AHEAD = 2  # calls handed to the device beyond the one that is waited for
ROLLBACKS = 3
N_IMAGES, N_POINTS = 64, 2048  # in a picture of samples
DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Interrupted(Exception):
    """SIGTERM or Ctrl-C has ended the run; the state of `step` is in a checkpoint."""

    def __init__(self, number: int, step: int):
        super().__init__(f"{signal.Signals(number).name} after step {step}")
        self.number, self.step = number, step


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
) -> core.State:
    """Trains to config.steps, from the newest checkpoint in `workdir` if there is one.

    Args:
      config: one that `experiments.config.check` accepts.
      workdir: gets config.json, metrics.jsonl, events, samples/, checkpoints/, run.json
        and report.html.
      command: the command line, for run.json.
      started: `time.time()` when the process began.
      allow_config_change: goes on although the checkpoints are of another config.

    Returns the last state. Raises ConfigError for what cannot be run, NotFinite for a
    loss or a state that is not finite, Interrupted, DiskFull, and CheckpointError if
    there are checkpoints but no good one.
    """
    workdir = Path(workdir)
    checkpoints = Checkpoints(workdir, config.keep_checkpoints)
    run = _prepare(config, workdir, checkpoints, allow_config_change)
    run.facts = facts.begin(command)
    run.started = started or time.time()
    try:
        return run.to_the_end()
    except OSError as error:
        if error.errno not in DISK_FULL:
            raise
        raise DiskFull(
            f"{error.filename}: {error.strerror}. Intact: every line of metrics.jsonl, "
            f"and {checkpoints.folder} with steps {checkpoints.steps()}"
        ) from error


def _prepare(config, workdir, checkpoints, allow_config_change):
    """Everything that a user's mistake can stop."""
    try:
        source = data.load(
            config.data,
            resolution=config.resolution,
            channels=config.channels,
            data_dir=config.data_dir,
            skip_corrupt=config.skip_corrupt,
            seed=config.seed,
        )
        config = configs.resolve(config, source)
        gan = configs.build(config)
        run = _Run(config, workdir, checkpoints, source, gan)
        path = workdir / "config.json"
        if checkpoints.steps() and not allow_config_change:
            configs.compare(path, config)
        workdir.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary:
            Path(temporary).write_text(configs.to_json(config))
    except (ValueError, RuntimeError, OSError) as error:
        raise configs.ConfigError(str(error)) from error
    return run


class _Run:
    """A run in this process: what it is made of, and how far it has come."""

    def __init__(self, config, workdir, checkpoints, source, gan):
        self.config, self.workdir, self.checkpoints = config, workdir, checkpoints
        self.source, self.gan = source, gan
        self.is_image = len(source.shape) == 3
        self.shard = (jax.process_index(), jax.process_count())
        self.evaluate = make_evaluate(gan, config, source)
        self.programs = Programs(
            gan,
            seed=config.seed,
            batch=self.batches(stream=0)[0],
            per_call=config.steps_per_call,
            n_samples=N_IMAGES if self.is_image else N_POINTS,
        )
        self.compiling = None  # future (call, seconds)
        self.busy = self.counted = 0  # seconds and steps, without the first call

    def batches(self, stream):
        """Batches by step; another stream of random numbers has another order."""
        seed = self.config.seed
        if stream:
            seed = int(np.random.SeedSequence((seed, stream)).generate_state(1)[0])
        size, flip = self.config.batch_size, self.config.flip
        return pipeline.batches(
            self.source, size, seed=seed, flip=flip, shard=self.shard
        )

    def to_the_end(self):
        """Trains, going back to the last checkpoint at a NaN if the config says so."""
        stream = None  # that of the checkpoint
        while True:
            restored = self.checkpoints.restore(self.programs.template)
            extra = restored[1] if restored else {"stream": 0, "seconds": 0.0}
            self.stream = extra["stream"] if stream is None else stream
            self.seconds_before = extra["seconds"]
            try:
                return self.from_here(restored[0] if restored else None)
            except NotFinite as error:
                last = self.checkpoints.latest()
                where = "no checkpoint yet"
                if last is not None:
                    where = (
                        f"last good checkpoint: {self.checkpoints.folder / str(last)}"
                    )
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
        finished = step >= config.steps
        if finished and facts.read(self.workdir).get("status") == "finished":
            print(f"already finished: {self.closing_line()}", file=sys.stderr)
            return state
        if not finished and self.compiling is None:
            self.compiling = programs.start_compiling()
        _drop_pictures(self.workdir, step)
        log = Log(
            self.workdir,
            start=step,
            steps=config.steps,
            batch_size=config.batch_size,
            resume=state is not None,
        )
        with contextlib.closing(log), contextlib.closing(self.checkpoints):
            if state is None:
                state = programs.init(self.stream)
            else:
                log.message(f"continuing after step {step}")
                state = programs.put_state(state)
            if not finished:
                state = self.loop(state, step, log)
            self.finish(state, log)
        print(f"finished: {self.closing_line()}", file=sys.stderr)
        return state

    def loop(self, state, step, log):
        """Calls the compiled program until the last step, or a signal."""
        config, programs = self.config, self.programs
        per_call, steps = config.steps_per_call, config.steps
        names = ("log", "sample", "evaluate", "checkpoint")
        every = {name: config[f"{name}_every"] for name in names}
        key = programs.key(self.stream)
        batches = pipeline.iterate(self.batches(self.stream), step, per_call=per_call)
        window = Window(self.gan, step)
        first_samples = programs.draw(state) if step == 0 else None
        call, compile_seconds = self.compiling.result()
        first_step, mark = step + per_call, (0.0, step)

        with _Signals() as signals:
            while step < steps and signals.number is None:
                batch = programs.put_batch(next(batches))
                state, metrics = call(state, batch, key)
                step += per_call
                window.add(metrics)
                if step == first_step:
                    jax.block_until_ready(metrics)
                    self.facts.setdefault("compile_seconds", compile_seconds)
                    self.facts.setdefault(
                        "seconds_to_first_step", time.time() - self.started
                    )
                    self.write_facts()
                    if first_samples is not None:
                        self.show(first_samples, 0, log)
                    mark = (time.perf_counter(), step)
                due = {name for name, n in every.items() if n and step % n == 0}
                if step == steps:  # `finish` draws and evaluates
                    due = (due | {"log", "checkpoint"}) - {"sample", "evaluate"}
                if not due:
                    window.wait(AHEAD)
                    log.progress(step)
                    continue
                window.fetch()
                seconds, n_steps = time.perf_counter() - mark[0], step - mark[1]
                self.busy, self.counted = self.busy + seconds, self.counted + n_steps
                if "log" in due:
                    self.checkpoints.check()
                    means = window.means()
                    speed = _speed(n_steps, seconds, config.batch_size)
                    log.write(step, {**means, **speed, "seconds": self.seconds()})
                    log.progress(step, means)
                    window.clear(step)
                if "sample" in due:
                    self.show(programs.draw(state), step, log)
                if "evaluate" in due:
                    self.judge(state, step, log)
                if "checkpoint" in due:
                    self.save(state, step)
                mark = (time.perf_counter(), step)
            if signals.number is not None:
                window.fetch()
                self.checkpoints.close()
                if self.checkpoints.latest() != step:
                    self.save(state, step)
                    self.checkpoints.close()
                self.write_facts(status=f"stopped after step {step}")
                raise Interrupted(signals.number, step)
        return state

    def finish(self, state, log):
        """The last samples, the last evaluation, the report."""
        self.checkpoints.close()
        self.show(self.programs.draw(state), self.config.steps, log)
        self.judge(state, self.config.steps, log)
        self.write_facts(status="finished")

    def save(self, state, step):
        wrong = self.programs.not_finite(state)
        if wrong:
            raise NotFinite(f"not finite after step {step}: {', '.join(wrong)}")
        extra = {"stream": self.stream, "seconds": self.seconds()}
        self.checkpoints.save(step, state, extra)

    def show(self, samples, step, log):
        """Draws samples [n, ...], as samples/step_STEP.png and for TensorBoard."""
        samples = np.asarray(samples, np.float32)
        path = self.workdir / "samples" / f"step_{step:08d}.png"
        path.parent.mkdir(exist_ok=True)
        if self.is_image:
            picture = pictures.grid(samples)
            pictures.save_png(path, picture)
        else:
            rows = np.arange(min(N_POINTS, len(self.source)))
            real = self.source.take(rows)["point"]
            picture = pictures.scatter(path, real, samples, self.source.modes)
        log.image(step, "samples", picture)

    def judge(self, state, step, log):
        found = self.evaluate(state)
        if found:
            log.write(step, found)
            shown = "  ".join(f"{name} {value:.4g}" for name, value in found.items())
            log.message(f"step {step}: {shown}")

    def seconds(self):
        """How long the run has taken, with what came before the checkpoint."""
        return self.seconds_before + time.time() - self.started

    def write_facts(self, **changes):
        self.facts |= {"seconds": self.seconds(), **changes}
        self.facts |= _speed(self.counted, self.busy, self.config.batch_size)
        facts.write(self.workdir, self.facts)

    def closing_line(self):
        where = report.write(self.workdir)
        return (
            f"{self.config.variant} on {self.config.data}, {self.config.steps} steps. "
            f"Report: {where}; samples: {self.workdir / 'samples'}; "
            f"checkpoints: {self.checkpoints.folder}"
        )


class _Signals:
    """Takes note of the first SIGTERM or Ctrl-C; a second ends the process at once."""

    def __enter__(self):
        self.number = None
        wanted = (signal.SIGINT, signal.SIGTERM)
        self._before = {number: signal.signal(number, self._note) for number in wanted}
        return self

    def _note(self, number, frame):
        self.number = number
        for wanted in self._before:
            signal.signal(wanted, signal.SIG_DFL)
        print("stopping at the next checkpoint", file=sys.stderr)

    def __exit__(self, *error):
        for number, handler in self._before.items():
            signal.signal(number, handler)


def _speed(n_steps, seconds, batch_size):
    if not n_steps:
        return {}
    speed = n_steps / seconds
    return {"steps_per_s": speed, "images_per_s": speed * batch_size}


def _drop_pictures(workdir, last):
    """Removes pictures of steps after `last`: they will be drawn again."""
    for path in workdir.glob("samples/step_*.png"):
        if int(path.stem.removeprefix("step_")) > last:
            path.unlink()
