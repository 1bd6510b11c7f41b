"""How far the trials of a sweep are, while they run."""

from __future__ import annotations

import sys
import time
from typing import TextIO

EVERY = 30.0  # seconds between lines, where there is no terminal


class Progress:
    """Says what is done and how far each trial is: its step, and its value so far.

    At a terminal that is one line, which is replaced. Elsewhere there is a line when a
    trial begins, at each of its values, and otherwise every 30 seconds.
    """

    def __init__(self, n_trials: int, metric: str, stream: TextIO | None = None):
        self._n_trials, self._metric = n_trials, metric
        self._given = stream
        self._trials: dict[int, dict[str, float]] = {}
        self._width, self._said = 0, -EVERY

    @property
    def _stream(self):  # not kept: Ray pickles the search
        return self._given or sys.stderr

    def step(self, number: int, step: int, steps: int, n_done: int) -> None:
        """A trial has made `step` of its `steps`."""
        known = self._trials.setdefault(number, {})
        begins = not known
        known |= {"step": step, "steps": steps}
        self._show(n_done, begins)

    def value(self, number: int, value: float, n_done: int) -> None:
        """A trial has been evaluated."""
        self._trials.setdefault(number, {})["value"] = value
        self._show(n_done, True)

    def ended(self, number: int, text: str) -> None:
        """Prints a line about the end of a trial."""
        self._trials.pop(number, None)
        self._clear()
        print(text, file=self._stream, flush=True)

    def _show(self, n_done, at_once):
        parts = [f"{n_done} of {self._n_trials} trials done"]
        for number, known in sorted(self._trials.items()):
            text = f"trial {number}: "
            text += "step {step:,} of {steps:,}".format(
                **{"step": 0, "steps": 0} | known
            )
            if "value" in known:
                text += f", {self._metric} {known['value']:.4g}"
            parts.append(text)
        line = "; ".join(parts)
        if self._stream.isatty():
            self._clear()
            self._width = len(line)
            print(line, end="", file=self._stream, flush=True)
        elif at_once or time.monotonic() - self._said > EVERY:
            self._said = time.monotonic()
            print(line, file=self._stream, flush=True)

    def _clear(self):
        if self._stream.isatty() and self._width:
            print("\r" + " " * self._width + "\r", end="", file=self._stream)
            self._width = 0
