"""Random crops: squares cut out of larger images, at one place for a whole example."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from gans.data import kinds
from gans.data.source import Arrays, Source
from gans.data.spec import Field, Spec


@dataclasses.dataclass(frozen=True, eq=False)
class Cropped(Source):
    """Squares of `size` pixels, cut out of a source's images, or of its videos.

    All images of one group are cut at one place. `take` cuts at the centre, unless it
    is given `draws`, as `gans.data.pipeline.batches` gives them.

    Raises ValueError for a source without images, or where those of one group differ in
    size or are smaller than the squares.
    """

    larger: Source
    size: int
    augmented = True

    def __post_init__(self):
        found = [self._sizes(group) for group in self.groups]
        if not any(found):
            raise ValueError(f"{self.name} has no images that could be cropped")
        for sizes in found:
            if len(sizes) > 1 or any(min(size) < self.size for size in sizes):
                listed = " and ".join(f"{w}x{h}" for h, w in sorted(sizes))
                raise ValueError(
                    f"{self.name}: {self.size}x{self.size} pixels cannot be cut out of "
                    f"images of {listed}"
                )

    def _sizes(self, group: Sequence[str]) -> set[tuple[int, int]]:
        """{(H, W)} of the images of a group."""
        spec = self.larger.spec
        return {spec[name].shape[-3:-1] for name in group if _is_cut(spec[name])}

    @property
    def name(self) -> str:
        return self.larger.name

    @property
    def streamed(self) -> bool:
        return self.larger.streamed

    @property
    def groups(self) -> tuple[tuple[str, ...], ...]:
        return self.larger.groups

    @property
    def lengths(self) -> tuple[int, ...]:
        return self.larger.lengths

    @property
    def spec(self) -> Spec:
        return {name: self._cut_field(x) for name, x in self.larger.spec.items()}

    def _cut_field(self, field: Field) -> Field:
        if not _is_cut(field):
            return field
        shape = (*field.shape[:-3], self.size, self.size, field.shape[-1])
        return dataclasses.replace(field, shape=shape)

    def reading(self) -> dict[str, Any]:
        """Returns that of the larger images."""
        return self.larger.reading()

    def __len__(self) -> int:
        return len(self.larger)

    def take(
        self, *indices: np.ndarray, draws: Sequence[np.ndarray] | None = None
    ) -> Arrays:
        """Examples `indices` [B], of each group its own or all the same: [B, ...].

        draws: for each group random numbers uint64 [B], which choose the places.
        """
        options = {"draws": draws} if draws and self.larger.augmented else {}
        taken = self.larger.take(*indices, **options)
        for i, group in enumerate(self.groups):
            for height, width in self._sizes(group):
                rows, columns = height - self.size, width - self.size
                if draws:
                    places = draws[i] % ((rows + 1) * (columns + 1))
                    places = np.divmod(places.astype(np.int64), columns + 1)
                else:
                    n = len(indices[min(i, len(indices) - 1)])
                    places = np.full(n, rows // 2), np.full(n, columns // 2)
                for name in group:
                    if _is_cut(self.larger.spec[name]):
                        taken[name] = self._cut(taken[name], *places)
        return taken

    def _cut(self, x: np.ndarray, tops: np.ndarray, lefts: np.ndarray) -> np.ndarray:
        """The squares of x [B, ..., H, W, C] at places [B]."""
        size = self.size
        return np.stack(
            [
                one[..., top : top + size, left : left + size, :]
                for one, top, left in zip(x, tops, lefts, strict=True)
            ]
        )


def _is_cut(field: Field) -> bool:
    axes = kinds.of(field).AXES
    return axes[-3:] == ("H", "W", "C") and "D" not in axes
