"""A labelled source of which some classes are drawn more often than others."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from gans.data.source import Source
from gans.data.spec import Spec

_BLOCK = 256  # examples whose labels are read at once
_ODD = np.uint64(0x9E3779B97F4A7C15)  # 2^64 over the golden ratio (Weyl's sequence)


@dataclasses.dataclass(frozen=True, eq=False)
class Weighted(Source):
    """A source with `weights` of its classes: its rows are those of one epoch.

    Of a class with n examples and weight w an epoch has round(w n) rows. Each example
    comes floor(w) times for certain, and the rows that are left are drawn at random,
    each any example of the class, others in each epoch. So 1 is what a class without
    weights has, 0 leaves a class out, and a rare one with weight 2.5 comes twice, and
    half of it a third time.

    `take` without `draws` gives the rows that are drawn at random the first examples of
    the class. With them (see `gans.data.pipeline.batches`), a row is a function of its
    index and its random number alone, so nothing has to be kept to resume.

    Raises ValueError for a source without labels, or with several groups or labels; for
    another number of weights than classes; and for weights that are negative, not
    finite, or leave nothing.
    """

    source: Source
    weights: Sequence[float]
    augmented = True

    def __post_init__(self):
        labels = [x for x, field in self.spec.items() if field.kind == "label"]
        if len(labels) != 1 or len(self.source.groups) != 1:
            raise ValueError(
                f"data_weights: {self.name} has "
                f"{len(labels) or 'no'} {'label' if len(labels) == 1 else 'labels'} in "
                f"{len(self.source.groups)} groups; wanted one label, in one group"
            )
        n, given = self.spec[labels[0]].n_classes, [*self.weights]
        if len(given) != n:
            raise ValueError(
                f"data_weights: {len(given)} weights, but {self.name} has {n} classes; "
                "wanted one for each"
            )
        if not all(math.isfinite(w) and w >= 0 for w in given) or not len(self):
            raise ValueError(
                f"data_weights={tuple(given)}: wanted numbers of at least 0, of which "
                f"some leave examples of {self.name}"
            )

    @property
    def name(self) -> str:
        return self.source.name

    @property
    def spec(self) -> Spec:
        return self.source.spec

    @property
    def streamed(self) -> bool:
        return self.source.streamed

    def reading(self) -> dict[str, Any]:
        """Returns that of the source."""
        return self.source.reading()

    def __len__(self) -> int:
        return int(self._ends[-1])

    @functools.cached_property
    def members(self) -> list[np.ndarray]:
        """The examples [n] of each class."""
        labels = _labels(self.source)
        return [np.flatnonzero(labels == i) for i in range(len(self.weights))]

    @functools.cached_property
    def rows(self) -> np.ndarray:
        """How many rows of an epoch are of each class: int64 [n_classes]."""
        pairs = zip(self.weights, self.members, strict=True)
        return np.array([round(w * len(x)) for w, x in pairs], np.int64)

    @functools.cached_property
    def _ends(self) -> np.ndarray:
        return np.cumsum(self.rows)

    def epoch(self) -> dict[str, Any]:
        """Returns what an epoch is, as JSON: its rows, and those of each class."""
        return {
            "rows": len(self),
            "of_classes": self.rows.tolist(),
            "examples_of_classes": [len(x) for x in self.members],
            "weights": [float(w) for w in self.weights],
        }

    def take(
        self, indices: np.ndarray, draws: Sequence[np.ndarray] | None = None
    ) -> dict[str, np.ndarray]:
        """Rows `indices` [B] of an epoch, by random numbers ([B],): [B, ...]."""
        classes = np.searchsorted(self._ends, indices, side="right")
        places = indices - (self._ends - self.rows)[classes]
        sizes = np.array([len(x) for x in self.members])[classes]
        certain = sizes * np.floor(self.weights).astype(np.int64)[classes]
        random = places - certain if draws is None else draws[0] % sizes.astype("u8")
        places = np.where(places < certain, places, random.astype(np.int64)) % sizes
        first = np.cumsum([0, *(len(x) for x in self.members[:-1])])
        rows = np.concatenate(self.members)[first[classes] + places]
        if draws is None or not self.source.augmented:
            return self.source.take(rows)
        return self.source.take(rows, draws=[_others(draws[0])])


def _labels(source: Source) -> np.ndarray:
    """The labels int32 [N] of a source with one; a streamed one is read for them."""
    (label,) = (x for x, field in source.spec.items() if field.kind == "label")
    held = getattr(source, "arrays", {})
    if label in held:
        return held[label]
    starts = range(0, len(source), _BLOCK)
    ends = [min(i + _BLOCK, len(source)) for i in starts]
    parts = [
        source.take(np.arange(i, end))[label]
        for i, end in zip(starts, ends, strict=True)
    ]
    return np.concatenate(parts)


def _others(draws: np.ndarray) -> np.ndarray:
    """Random numbers uint64 [B] from others, such that their remainders differ."""
    mixed = (draws ^ (draws >> np.uint64(31))) * _ODD
    return mixed ^ (mixed >> np.uint64(29))
