"""From reconstructed windows of a signal to its anomalies; no model is needed here."""

from __future__ import annotations

import dataclasses
import math
from typing import NamedTuple

import numpy as np

from gans.data.signals import Signal, scale
from gans.metrics.anomalies import errors, merging, scores, thresholds
from gans.metrics.anomalies.intervals import Found
from gans.names import check


@dataclasses.dataclass(frozen=True)
class Rules:
    """How anomalies are found; the defaults are those of most of Orion's benchmarks.

    Attributes:
      error: of the reconstruction: point, area or dtw.
      combine: mult, sum, rec or critic, see `gans.metrics.anomalies.scores`.
      weight: of the errors in a sum.
      smoothing: errors and critic are means over this share of the windows, at least 1.
      window, step, deviations, drop, padding: see `gans.metrics.anomalies.thresholds`.
    """

    error: str = "dtw"
    combine: str = "mult"
    weight: float = 0.5
    smoothing: float = 0.01
    window: float = 0.33
    step: float = 0.1
    deviations: float = 4.0
    drop: float = 0.1
    padding: int = 50

    def __post_init__(self):
        check(self.error, errors.ERRORS, "error")
        check(self.combine, scores.COMBINATIONS, "combination")
        for name in ("smoothing", "window", "step"):
            if not 0 < (value := getattr(self, name)) <= 1:
                raise ValueError(f"{name}={value}: wanted a share above 0, at most 1")
        for name in ("weight", "drop"):
            if not 0 <= (value := getattr(self, name)) <= 1:
                raise ValueError(f"{name}={value}: wanted a share from 0 to 1")
        for name in ("deviations", "padding"):
            if (value := getattr(self, name)) < 0:
                raise ValueError(f"{name}={value}: wanted a number from 0 on")


class Merged(NamedTuple):
    """What a model says of a signal, a value a step.

    Attributes:
      made: [N, C], the reconstruction in the units of the scaled signal.
      critic: [N], the critic's likeliest value.
      size: T, of its windows.
    """

    made: np.ndarray
    critic: np.ndarray
    size: int


def merge(made: np.ndarray, critic: np.ndarray) -> Merged:
    """Merges windows [n, T, C] that start a step apart, and critic values [n] of them.

    N = n + T - 1.
    """
    size = made.shape[1]
    return Merged(merging.median(made), merging.densest(critic, size), size)


@dataclasses.dataclass(frozen=True, eq=False)
class Detection:
    """What was found in a signal, and why.

    Attributes:
      signal: of N steps.
      made: [N, C], its reconstruction, in its units.
      errors, critic: [N], both smoothed; the critic's as scores, from 1.
      scores: [N], by which intervals were found.
      found: (first step, last step, score) of each.
    """

    signal: Signal
    made: np.ndarray
    errors: np.ndarray
    critic: np.ndarray
    scores: np.ndarray
    found: list[Found]

    @property
    def intervals(self) -> list[Found]:
        """(start, end, score) of each, in seconds, both ends included."""
        times = self.signal.times
        return [(int(times[a]), int(times[b]), x) for a, b, x in self.found]


def detect(
    signal: Signal,
    merged: Merged,
    rules: Rules | None = None,
    low: np.ndarray | None = None,
    high: np.ndarray | None = None,
) -> Detection:
    """Finds the anomalies of a signal by its reconstruction.

    low, high: [C], what became -1 and 1 for the model; by default the extremes.

    Raises FloatingPointError if the model makes NaN of it.
    """
    rules = rules or Rules()
    scaled, low, high = scale(signal.values, low, high)
    if not (np.isfinite(merged.made).all() and np.isfinite(merged.critic).all()):
        raise FloatingPointError(f"{signal.name}: the model makes NaN of it")
    n = len(scaled) - merged.size + 1
    window = max(math.trunc(rules.smoothing * n), 1)
    error = errors.smoothed(rules.error, scaled, merged.made, window)
    critic = scores.of_critic(merged.critic, window)
    found = scores.combined(
        scores.of_errors(error), critic, rules.combine, rules.weight
    )
    return Detection(
        signal,
        (low + high) / 2 + merged.made * (high - low) / 2,
        error,
        critic,
        found,
        thresholds.find(
            found,
            window=rules.window,
            step=rules.step,
            deviations=rules.deviations,
            drop=rules.drop,
            padding=rules.padding,
        ),
    )
