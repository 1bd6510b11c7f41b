"""How far an ablation is, while it runs."""

from __future__ import annotations

import sys
import time

from tqdm import tqdm

from experiments.training.announce import duration


class Progress:
    """Says which program is trained, how far it is, and how much time is left.

    There is a line when a program begins and at each evaluation; at a terminal also a
    bar of the steps of all replicas.

    Args:
      total, done: steps of all replicas, and those of earlier calls.
      n_programs: that are still to be run.
    """

    def __init__(self, total: int, done: int, n_programs: int):
        self._n_programs, self._number, self._title = n_programs, 0, ""
        self._total, self._done, self._made = total, done, 0
        self._began = time.monotonic()
        self._bar = tqdm(
            total=total, initial=done, unit=" steps", unit_scale=True, disable=None
        )

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._bar.close()

    def begin(self, title: str, n_replicas: int, steps: int) -> None:
        """A program of so many replicas begins."""
        self._number, self._title = self._number + 1, title
        runs = "1 run" if n_replicas == 1 else f"{n_replicas} runs"
        self._bar.set_description(title)
        self._say(f"{runs} of {steps:,} steps; compiling")

    def advance(self, n: int, *, restored: bool = False) -> None:
        """Steps of replicas are done, now or (`restored`) by an earlier call."""
        self._made += 0 if restored else n
        self._done += n
        self._bar.update(n)

    def evaluated(self, step: int, steps: int) -> None:
        """A program has been evaluated after `step` of its steps."""
        left = self._total - self._done
        seconds = (time.monotonic() - self._began) * left / max(self._made, 1)
        end = f", about {duration(seconds)} left" if left else ""
        self._say(f"step {step:,} of {steps:,} evaluated{end}")

    def failed(self, text: str, lines: str = "") -> None:
        """A program has failed."""
        self._bar.write(f"{lines}{self._title} failed: {text}", file=sys.stderr)

    def _say(self, text):
        place = f"program {self._number} of {self._n_programs}"
        self._bar.write(f"{place}, {self._title}: {text}", file=sys.stderr)
