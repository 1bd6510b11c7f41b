"""Error rates of participants, with intervals, and a test between two models.

Pure functions of numbers. Participants differ, so that their trials are not
independent: intervals and tests take each participant as one value.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

from experiments.ablations.significance import mean_interval

LEAST = 5  # participants, for an interval over them
BOOTSTRAP, WILSON = "bootstrap-t over participants", "Wilson over trials"
_MOST_FLIPS = 14  # differences whose signs are all gone through: 2^14 ways
_N_FLIPS = 20_000  # otherwise, at random


class Estimate(NamedTuple):
    """A mean over participants.

    Attributes:
      interval: at 95 %; None if nothing bounds it.
      method: of the interval.
    """

    value: float
    interval: tuple[float, float] | None
    method: str


def rate(wrong: Sequence[int], n: Sequence[int]) -> Estimate:
    """Returns the mean error rate of participants, each with wrong[i] of n[i] trials.

    The interval is a bootstrap-t over participants, cut to [0, 1]; of fewer than LEAST,
    or of rates of hardly any spread, Wilson's over all trials, which takes them as
    independent and is too narrow where participants differ.
    """
    wrong, n = np.asarray(wrong), np.asarray(n)
    rates = wrong / n
    found = mean_interval(rates) if len(rates) >= LEAST else None
    if found is not None:
        low, high = np.clip(found, 0, 1).tolist()
        return Estimate(float(rates.mean()), (low, high), BOOTSTRAP)
    wilson = stats.binomtest(int(wrong.sum()), int(n.sum())).proportion_ci(
        method="wilson"
    )
    return Estimate(float(rates.mean()), (wilson.low, wilson.high), WILSON)


def mean(
    values: Sequence[float], low: float = -np.inf, high: float = np.inf
) -> Estimate:
    """Returns the mean of values, one of each participant, which lie in [low, high].

    The interval is a bootstrap-t; of fewer than LEAST participants there is none.
    """
    x = np.asarray(values, np.float64)
    found = mean_interval(x) if len(x) >= LEAST else None
    if found is not None:
        found = tuple(np.clip(found, low, high).tolist())
    return Estimate(float(x.mean()), found, BOOTSTRAP)


def mode(values: Sequence[float]) -> float:
    """Returns the most frequent value; of several, their mean."""
    found, n = np.unique(np.asarray(values), return_counts=True)
    return float(found[n == n.max()].mean())


def paired_p(one: Sequence[float], other: Sequence[float]) -> float:
    """Returns p, two-sided, that a participant's two values could be exchanged.

    The test permutes the two models within each participant, in all 2^P ways up to
    P = 14, else in 20,000 random ones, the observed one among them; the statistic is
    the mean difference. With P participants p is at least 2 / 2^P.
    """
    x = np.asarray(one, np.float64) - np.asarray(other, np.float64)
    if len(x) <= _MOST_FLIPS:
        signs = np.array([*itertools.product((1, -1), repeat=len(x))])
    else:
        rng = np.random.default_rng(0)
        signs = rng.choice((1, -1), (_N_FLIPS, len(x)))
        signs[0] = 1
    sums = np.abs(signs @ x)
    return float((sums >= sums[0] * (1 - 1e-9)).mean())
