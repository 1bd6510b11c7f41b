"""What a run keeps of a step: a checkpoint, and its scores, which choose the best."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from experiments.evaluation import reports
from experiments.rundir.checkpoint import Checkpoints
from experiments.rundir.log import Log
from experiments.signals import Signals
from experiments.training import announce
from experiments.training.metric_buffer import NotFinite, Sums
from experiments.training.record import Record
from experiments.training.stage import Ready, Stages
from gans.core import State


class Milestones:
    """The checkpoints of a run, and the scores of some of them.

    A step is on disk before it is scored: that takes long, and whatever ends it costs
    no training. run.json says which step was scored last, so that a run that goes on
    from a checkpoint scores it if that was not completed.

    Args:
      config: of the run.
      workdir: gets the scores.
      before: run.json as it was found; record: as it grows.
      on_evaluation: see `experiments.training.loop.train`.

    Attributes:
      stream: of random numbers.
      best: {"step", "metric", "value"} of the best evaluation so far, or None.
      unscored: the step of the newest checkpoint, if its scores are missing; or None.
      unlogged: metrics of the steps since the last line of the log, which a run that
        goes on from the next checkpoint will need (see `MetricBuffer.sums`).
      init_from: what run.json says of the weights that the run has started from.
    """

    def __init__(
        self,
        config: ConfigDict,
        workdir: Path,
        checkpoints: Checkpoints,
        stages: Stages,
        *,
        before: dict[str, Any],
        record: Record,
        on_evaluation: Callable[[int, dict[str, float]], None] | None = None,
    ):
        self._config, self._workdir, self._checkpoints = config, workdir, checkpoints
        self._stages, self._before, self._record = stages, before, record
        self._on_evaluation = on_evaluation
        self.stream, self.best, self.unscored = 0, None, None
        self.unlogged: Sums = {}
        self.init_from = before.get("init_from")

    def restore(self) -> tuple[State | None, float]:
        """Goes back to the newest good checkpoint.

        Returns its state of numpy arrays, None if there is no checkpoint yet, and the
        seconds that the run had taken until then. Raises CheckpointError if there are
        checkpoints but no good one.
        """
        state, extra = self._checkpoints.restore(self._stages.template) or (None, {})
        step, log = 0 if state is None else int(state.step), "metrics.jsonl"
        self._stages.count(step, extra.get("examples"), self._workdir / log)
        self.stream, self.init_from = extra.get("stream", 0), extra.get("init_from")
        self.unlogged = extra.get("unlogged", {})
        # Of this process, if it has gone back before.
        known = self._record if "last_scored" in self._record else self._before
        scored = known.get("last_scored", 0)
        due = extra.get("unscored") or step >= self._stages.n_steps
        due = bool(due and self._config.metrics)
        self.unscored = step if due and scored != step else None
        self.set_best((known if due and scored == step else extra).get("best"))
        self._record["last_scored"] = scored if scored <= step else 0
        return state, extra.get("seconds", 0.0)

    def save(self, stage: Ready, state: State, step: int, *, unscored: bool = False):
        """Starts to write a checkpoint; `unscored` says that it is to be scored.

        Raises NotFinite, naming the parts, for a state that is not finite.
        """
        wrong = stage.programs.not_finite(state)
        if wrong:
            raise NotFinite(f"not finite after step {step}: {', '.join(wrong)}")
        self.unscored = step if unscored and self._config.metrics else None
        extra = {
            "stream": self.stream,
            "seconds": self._record.seconds(),
            "best": self.best,
            "stage": stage.index,
            "examples": self._stages.examples(step),
            "unscored": self.unscored is not None,
            "unlogged": self.unlogged,
            "init_from": self.init_from,
        }
        self._checkpoints.save(step, state, extra)

    def score(
        self,
        stage: Ready,
        state: State,
        step: int,
        log: Log,
        signals: Signals | None = None,
    ) -> None:
        """Scores a step that was saved, and notes whether it is the best so far.

        A signal ends it early; it is done when the run goes on.
        """
        stopping = signals is not None and signals.number is not None
        if self.unscored != step or stopping:
            return
        log.message(f"step {step}: scoring")
        with signals.ending_early() if signals else contextlib.nullcontext():
            found = stage.evaluate(state)
            self.unscored = None
        if self.unscored is not None:
            return
        values = reports.values(found)
        if values:
            log.write(step, values)
        reports.write(self._workdir, step, found)
        for line in announce.scores(values, found.get("failed", {})):
            log.message(f"step {step}: {line}")
        if better := reports.better(found, step, self.best):
            self.set_best(better)
        if self._on_evaluation:
            self._on_evaluation(step, values)
        self._record.write(last_scored=step)

    def set_best(self, best: dict[str, Any] | None) -> None:
        """Keeps the checkpoint of the best evaluation so far."""
        self.best, self._checkpoints.best = best, best["step"] if best else None
        self._record.pop("best", None)
        if best:
            self._record["best"] = best
