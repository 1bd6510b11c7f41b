"""What a data set is here: random access to numpy arrays, one or many at a time."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import tqdm

# Decoded sets up to this many bytes are held in memory, larger ones are streamed.
MEMORY_LIMIT = 2**30


@dataclasses.dataclass(frozen=True, eq=False)
class InMemory:
    """A set held as stacked arrays, for example `{"image": [N, H, W, C]}`.

    `n_classes` is None for a set without labels; `shape` is that of one element.
    `len(source)` is N; `source[i]` is element i, `source.take([B])` many of them.
    """

    name: str
    arrays: dict[str, np.ndarray]
    n_classes: int | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        return next(iter(self.arrays.values())).shape[1:]

    def __len__(self) -> int:
        return len(next(iter(self.arrays.values())))

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        return {key: np.asarray(x[index]) for key, x in self.arrays.items()}

    def take(self, indices: np.ndarray) -> dict[str, np.ndarray]:
        """Elements `indices` [B] as new arrays [B, ...]."""
        return {key: x[indices] for key, x in self.arrays.items()}


@dataclasses.dataclass(frozen=True, eq=False)
class Streamed:
    """A set of `length` elements, each read and decoded whenever it is asked for.

    `take(indices [B])` does so, for several threads at once: `image` uint8
    [B, *shape], and `label` int32 [B] where there are classes.
    """

    name: str
    take: Callable[[np.ndarray], dict[str, np.ndarray]]
    length: int
    shape: tuple[int, ...]
    n_classes: int | None = None

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        taken = self.take(np.array([range(self.length)[index]]))
        return {key: np.asarray(x[0]) for key, x in taken.items()}


def hold(source: Streamed, limit: int = MEMORY_LIMIT) -> InMemory | Streamed:
    """`source` decoded once, with a progress bar, if it takes at most `limit` bytes."""
    if len(source) * math.prod(source.shape) > limit:
        return source
    arrays = {
        key: np.empty((len(source), *x.shape), x.dtype) for key, x in source[0].items()
    }
    starts = range(0, len(source), 256)
    pool = ThreadPoolExecutor()
    try:
        parts = pool.map(
            lambda i: source.take(np.arange(i, min(i + 256, len(source)))), starts
        )
        with tqdm.tqdm(
            desc=f"decoding {source.name}",
            total=len(source),
            unit=" images",
            leave=False,
            delay=1,
        ) as bar:
            for start, part in zip(starts, parts, strict=True):
                for key, x in part.items():
                    arrays[key][start : start + len(x)] = x
                bar.update(len(x))
    finally:  # an error or an interrupt does not wait for the rest
        pool.shutdown(cancel_futures=True)
    return InMemory(source.name, arrays, source.n_classes)
