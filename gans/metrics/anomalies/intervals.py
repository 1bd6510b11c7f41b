"""Intervals, both ends included, and how well found ones agree with the true."""

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

Found = tuple[float, float, float]  # first, last, score


def merged(found: Iterable[Found]) -> list[Found]:
    """Returns intervals in order, those that overlap or adjoin as one.

    Its score is the mean of theirs, by their lengths last - first; of intervals of one
    step alone it is the plain mean, where the reference implementation fails.
    """
    groups: list[list[Found]] = []
    end = -math.inf
    for one in sorted(found, key=lambda x: x[0]):
        if one[0] <= end + 1:
            groups[-1].append(one)
        else:
            groups.append([one])
            end = -math.inf
        end = max(end, one[1])
    return [_one(group) for group in groups]


def _one(group):
    lengths = [last - first for first, last, _ in group]
    if not any(lengths):
        lengths = [1] * len(group)
    total = sum(n * x[2] for n, x in zip(lengths, group, strict=True))
    return group[0][0], max(x[1] for x in group), total / sum(lengths)


class Counts(NamedTuple):
    """True intervals that were found, false detections, true intervals missed."""

    tp: int
    fp: int
    fn: int

    @property
    def precision(self) -> float:
        """tp / (tp + fp); NaN without any."""
        return _ratio(self.tp, self.tp + self.fp)

    @property
    def recall(self) -> float:
        """tp / (tp + fn); NaN without any."""
        return _ratio(self.tp, self.tp + self.fn)

    @property
    def f1(self) -> float:
        """2 tp / (2 tp + fp + fn): 0 if none is found, NaN if there is none to find."""
        return _ratio(2 * self.tp, 2 * self.tp + self.fp + self.fn)


def _ratio(part, whole):
    return part / whole if whole else math.nan


def overlap(true: Sequence[tuple], found: Sequence[tuple]) -> Counts:
    """Returns the counts by overlap: a step in common is enough.

    A true interval counts once, however many detections hit it; a detection that hits
    several of them counts for each. Args: intervals (first, last, ...).
    """

    def hit(one, others):
        return any(x[0] <= one[1] and one[0] <= x[1] for x in others)

    tp = sum(hit(x, found) for x in true)
    fp = sum(not hit(x, true) for x in found)
    return Counts(tp, fp, len(true) - tp)


def total(counts: Iterable[Counts]) -> Counts:
    """Returns the sums over signals, of which the F1 of a set of signals is made."""
    return Counts(*map(sum, zip(Counts(0, 0, 0), *counts, strict=True)))
