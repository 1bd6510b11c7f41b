"""SIGTERM and Ctrl-C: an orderly end, at a moment that the training loop chooses."""

from __future__ import annotations

import signal
import sys


class Interrupted(Exception):
    """A signal has ended the work. A run has a checkpoint of the state after `step`."""

    def __init__(self, number: int, step: int | None = None):
        after = "" if step is None else f" after step {step}"
        super().__init__(signal.Signals(number).name + after)
        self.number, self.step = number, step


class Signals:
    """Keeps the number of the first signal; a second one ends the process at once.

    A context manager for the main thread. Afterwards signals do what they did before.

    Attributes:
      number: of the first signal; None until there is one.
    """

    def __enter__(self):
        self.number = None
        wanted = (signal.SIGINT, signal.SIGTERM)
        self._before = {number: signal.signal(number, self._note) for number in wanted}
        return self

    def __exit__(self, *error):
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number, frame):
        self.number = number
        for wanted in self._before:
            signal.signal(wanted, signal.SIG_DFL)
        print("stopping; a checkpoint is written first", file=sys.stderr)
