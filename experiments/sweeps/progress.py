"""How far the trials of a sweep are, while they run."""

from __future__ import annotations

import shutil
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
        self._trials: dict[int, str] = {}
        self._values: dict[int, float] = {}
        self._width, self._said = 0, -EVERY

    @property
    def _stream(self):  # not kept: Ray pickles the search
        return self._given or sys.stderr

    def step(
        self,
        number: int,
        step: int,
        steps: int,
        n_done: int,
        value: float | None = None,
    ) -> None:
        """A trial has made `step` of its `steps`, where it has a new `value` if any."""
        begins = number not in self._trials
        text = f"trial {number}: step {step:,} of {steps:,}"
        if value is not None:
            self._values[number] = value
        if number in self._values:
            text += f", {self._metric} {self._values[number]:.4g}"
        self._trials[number] = text
        self._show(n_done, begins or value is not None)

    def ended(self, number: int, text: str) -> None:
        """Prints a line about the end of a trial."""
        self._trials.pop(number, None)
        self._clear()
        print(text, file=self._stream, flush=True)

    def _show(self, n_done, at_once):
        trials = [text for _, text in sorted(self._trials.items())]
        line = "; ".join([f"{n_done} of {self._n_trials} trials done", *trials])
        if self._stream.isatty():
            self._clear()
            line = line[: shutil.get_terminal_size().columns - 1]
            self._width = len(line)
            print(line, end="", file=self._stream, flush=True)
        elif at_once or time.monotonic() - self._said > EVERY:
            self._said = time.monotonic()
            print(line, file=self._stream, flush=True)

    def _clear(self):
        if self._stream.isatty() and self._width:
            print("\r" + " " * self._width + "\r", end="", file=self._stream)
            self._width = 0
