"""Intervals where scores exceed a threshold of their surroundings.

arXiv 2009.07769, section IV-D: thresholds of long windows that overlap, and pruning
(both after arXiv 1802.04431, section 3.3).
"""

import math
from collections.abc import Iterator

import numpy as np

from gans.metrics.anomalies.intervals import Found, merged


def find(
    scores: np.ndarray,
    *,
    window: float = 0.33,
    step: float = 0.1,
    deviations: float = 4.0,
    drop: float = 0.1,
    padding: int = 50,
) -> list[Found]:
    """Returns the anomalous intervals of steps, both ends included, in order.

    Args:
      scores: [N], finite.
      window: length of the windows with a threshold each, as a share of N.
      step: from one window to the next, as a share of a window.
      deviations: the threshold is the mean plus so many standard deviations.
      drop: see `pruned`.
      padding: steps by which what exceeds the threshold is extended on both sides. They
        are the reference implementation's; the paper has none.
    """
    n = len(scores)
    size = math.ceil(n * window)
    stride, found, start, stop = math.ceil(size * step), [], 0, 0
    while stop < n:  # the last window may be shorter
        stop = start + size
        part = scores[start:stop]
        found += [
            (first + start, last + start, score)
            for first, last, score in _in_window(part, deviations, drop, padding)
        ]
        start += stride
    return merged(found)


def _in_window(scores, deviations, drop, padding) -> Iterator[Found]:
    mean, deviation = scores.mean(), scores.std()
    threshold = mean + deviations * deviation
    above = widened(scores > threshold, padding)
    largest = [(scores[a : b + 1].max(), a, b) for a, b in runs(above)]
    below = scores[~above].max(initial=0.0)
    for peak, first, last in pruned(largest, below, drop):
        yield first, last, float((peak - threshold) / (mean + deviation))


def widened(mask: np.ndarray, padding: int) -> np.ndarray:
    """Returns a mask [N] extended on both sides of what is set, [N]."""
    counts = np.concatenate([[0], np.cumsum(mask)])
    steps = np.arange(len(mask))
    first = np.maximum(steps - padding, 0)
    last = np.minimum(steps + padding + 1, len(mask))
    return counts[last] > counts[first]


def runs(mask: np.ndarray) -> list[tuple[int, int]]:
    """Returns (first, last) of each run of what is set in a mask [N]."""
    edges = np.flatnonzero(np.diff(np.pad(mask.astype(int), 1)))
    return [(int(a), int(b) - 1) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def pruned(largest: list[tuple], below: float, drop: float) -> list[tuple]:
    """Returns the runs that stand out from the next one, and from what is no run.

    In falling order of their largest scores, `below` the last: kept are all up to the
    last one from which the next is lower by more than `drop` of it.

    Args: largest: (largest score, ...) of each run. below: largest score outside.
    """
    ordered = sorted(largest, key=lambda x: -x[0])
    peaks = np.array([x[0] for x in ordered] + [below])
    (far,) = np.nonzero(peaks[:-1] - peaks[1:] >= drop * peaks[:-1])
    return ordered[: far[-1] + 1] if len(far) else []
