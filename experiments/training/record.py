"""run.json of a run, as it grows while the run is trained."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from experiments import own_code
from experiments.rundir import manifest
from experiments.signals import noting


class Record(dict):
    """The content of WORKDIR/run.json, and the times from which it is computed.

    Args:
      workdir: of the run.
      command: the command line.
      started: `time.time()` when the process began.

    Attributes:
      seconds_before: how long the run had taken up to its last checkpoint.
    """

    def __init__(self, workdir: Path, command: str, started: float | None):
        super().__init__(manifest.begin(command))
        self._workdir, self._started = workdir, started or time.time()
        self.seconds_before = 0.0
        # Seconds, steps and examples, without the first call of each stage.
        self._busy = self._counted = self._examples = 0

    def seconds(self) -> float:
        """How long the run has taken, with what came before the checkpoint."""
        return self.seconds_before + time.time() - self._started

    def continuing(self, config: Any, step: int | None) -> list[str]:
        """Notes the user's own code that a config names; returns lines for the start.

        They say where a run continues, and whether its code has changed since.

        step: of the checkpoint; None: the run is new.
        """
        code, lines = own_code.code(config), []
        if code:
            self |= {"code": code, "code_changes": []}
        if step is None:
            return lines
        lines.append(f"continuing after step {step}")
        kept = manifest.read(self._workdir)
        if "code" in kept:
            self |= {"code": code, "code_changes": kept.get("code_changes", [])}
        if changed := own_code.changed(kept.get("code"), code):
            self["code_changes"].append({"after_step": step, "modules": changed})
            lines.append(
                f"{own_code.listed(changed)} changed since: from here on, the steps "
                "are of the new code"
            )
        return lines

    @contextlib.contextmanager
    def ending(self, reached: Callable[[], int | None]) -> Iterator[None]:
        """Notes in run.json what ends the block before its time: a signal, an error.

        reached: returns the step of the last checkpoint.
        """

        def stopped():
            step = reached()
            where = "before a checkpoint" if step is None else f"after step {step}"
            self._end(f"stopped {where}")

        with noting(stopped):
            try:
                yield
            except Exception as error:
                self._end(f"stopped: {own_code.text(error)}")
                raise

    def _end(self, status):
        if self["status"] == "running":
            with contextlib.suppress(OSError):  # a full disk
                self.write(status=status)

    def count(self, n_steps: int, seconds: float, batch_size: int) -> None:
        """Adds steps to those that the run's speed is computed from."""
        self._busy, self._counted = self._busy + seconds, self._counted + n_steps
        self._examples += n_steps * batch_size

    def first_step(self, compile_seconds: float) -> float:
        """Notes how long the first step took in coming; returns the seconds."""
        first = {"seconds_to_first_step": time.time() - self._started}
        for name, value in (first | {"compile_seconds": compile_seconds}).items():
            self.setdefault(name, value)
        self.write()
        return first["seconds_to_first_step"]

    def write(self, **changes: Any) -> None:
        """Writes run.json."""
        self |= {"seconds": self.seconds(), **changes}
        if self._counted:
            batch_size = self._examples / self._counted
            self |= manifest.speed(self._counted, self._busy, batch_size)
        manifest.write(self._workdir, self)
