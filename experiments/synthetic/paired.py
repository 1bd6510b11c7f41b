"""Is one accuracy larger than another, measured with the same seeds? Pure functions."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from scipy import stats

from experiments.ablations.significance import holm

ALPHA = 0.05
HELPS, HARMS, NEITHER = "helps", "does harm", "does not help"


@dataclasses.dataclass(frozen=True)
class Gain:
    """The mean of differences, seed by seed.

    Attributes:
      mean: of the differences.
      interval: of the mean, at 95 %, by Student's t; None of one seed.
      p: of the paired t-test that there is no difference; None of one seed.
      p_holm: the same, by Holm's method over all that were tested together.
      verdict: "helps" or "does harm" where p_holm is below 0.05, else "does not help".
    """

    mean: float
    interval: tuple[float, float] | None
    p: float | None
    p_holm: float | None = None
    verdict: str = NEITHER


def gain(before: Sequence[float], after: Sequence[float]) -> Gain:
    """Returns the gain of `after` over `before`, [n] both, of the same seeds."""
    d = np.asarray(after, np.float64) - np.asarray(before, np.float64)
    mean = float(d.mean())
    if len(d) < 2:
        return Gain(mean, None, None)
    error = d.std(ddof=1) / np.sqrt(len(d))
    if error == 0:  # differences without spread: no seed says otherwise
        return Gain(mean, (mean, mean), 1.0 if mean == 0 else 0.0)
    reach = float(stats.t.ppf(1 - ALPHA / 2, len(d) - 1) * error)
    p = float(2 * stats.t.sf(abs(mean) / error, len(d) - 1))
    return Gain(mean, (mean - reach, mean + reach), p)


def judged(gains: Sequence[Gain]) -> list[Gain]:
    """Returns gains that were measured together with `p_holm` and verdicts."""
    adjusted = holm([x.p for x in gains])
    return [
        dataclasses.replace(x, p_holm=p, verdict=_verdict(x.mean, p))
        for x, p in zip(gains, adjusted, strict=True)
    ]


def _verdict(mean, p):
    if p is None or p >= ALPHA:
        return NEITHER
    return HELPS if mean > 0 else HARMS
