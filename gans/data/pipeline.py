"""From a source to batches: a pure function of the seed and the step.

Nothing here has a state to save. Whoever continues at step n asks for batch n, and
each host of several asks for its own part of it.
"""

from __future__ import annotations

import dataclasses
import functools
import os
import sys
from collections.abc import Iterator

import numpy as np

from gans.data.source import Streamed

Batch = dict[str, np.ndarray]


def batches(
    source,
    batch_size: int,
    *,
    seed: int,
    flip: bool = False,
    shard: tuple[int, int] = (0, 1),
) -> Batches:
    """The endless sequence of batches; `batches(...)[step]` is a pure function.

    Every epoch is a fresh permutation, so each element comes exactly once in it; a
    batch may end one epoch and begin the next. A batch is `image` float32
    [B, H, W, C] in [-1, 1] with `label` int32 [B] where the source has labels, or
    `point` float32 [B, 2]. `flip` mirrors each image with probability 1/2.
    `shard=(i, n)` is the i-th contiguous n-th of it, of B / n elements.

    Raises ValueError for an empty source and for sizes that do not divide.
    """
    index, count = shard
    if len(source) == 0:
        raise ValueError(f"{source.name} holds no elements")
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size}")
    if not 0 <= index < count or batch_size % count:
        raise ValueError(
            f"shard {shard} of batch_size {batch_size}: wanted (i, n) with "
            "0 <= i < n and n a divisor of the batch size"
        )
    return Batches(source, batch_size, seed, flip, index, count)


@dataclasses.dataclass(frozen=True, eq=False)
class Batches:
    """What `batches` returns; it has no length, as training decides when to stop."""

    source: object
    batch_size: int
    seed: int
    flip: bool
    shard_index: int
    shard_count: int

    def __getitem__(self, step: int) -> Batch:
        return {key: x[0] for key, x in self.window(step, 1).items()}

    def window(self, start: int, n_steps: int) -> Batch:
        """Batches `start`, `start + 1`, ... stacked on a new first axis: [S, B, ...].

        All are gathered at once, so many small batches cost little more than one.
        """
        if start < 0:
            raise IndexError(f"steps are counted from 0, got {start}")
        size = self.batch_size // self.shard_count
        mine = slice(self.shard_index * size, (self.shard_index + 1) * size)
        steps = np.arange(start, start + n_steps)
        rows = steps[:, None] * self.batch_size + np.arange(self.batch_size)[mine]
        batch = dict(self.source.take(self._shuffle(rows.ravel())))
        if "image" in batch:
            image = batch["image"]
            if self.flip:
                mirrored = np.concatenate([self._coins(s)[mine] for s in steps])
                image[mirrored] = image[mirrored, :, ::-1]
            batch["image"] = to_float(image)
        return {k: x.reshape(n_steps, size, *x.shape[1:]) for k, x in batch.items()}

    def _shuffle(self, rows: np.ndarray) -> np.ndarray:
        """Elements at `rows` [R] of the shuffled epochs laid end to end."""
        epochs, places = np.divmod(rows, len(self.source))
        if epochs[0] == epochs[-1]:
            return _permutation(len(self.source), self.seed, int(epochs[0]))[places]
        indices = np.empty_like(rows)
        for epoch in range(epochs[0], epochs[-1] + 1):
            here = epochs == epoch
            order = _permutation(len(self.source), self.seed, epoch)
            indices[here] = order[places[here]]
        return indices

    def _coins(self, step: int) -> np.ndarray:
        """Which images of the whole batch are mirrored: bool [B]."""
        return _generator(self.seed, "flip", step).random(self.batch_size) < 0.5


def iterate(
    dataset: Batches,
    start: int,
    *,
    per_call: int = 1,
    n_threads: int | None = None,
    prefetch: int | None = None,
) -> Iterator[Batch]:
    """Yields `dataset[start]`, `dataset[start + 1]`, ... read ahead in the background.

    With `per_call` k > 1 each item is k batches stacked on a new first axis:
    [k, B, ...]. `n_threads` threads keep `prefetch` items ready; 0 reads on demand.
    By default points are read on demand, as a hand-over between threads costs more
    than gathering them; images in memory by one thread; streamed ones by many.
    """
    import grain  # two seconds, of no use to whoever only asks for a batch

    if n_threads is None:
        threads_for_images = 1
        if isinstance(dataset.source, Streamed):
            threads_for_images = min(16, 2 * (os.cpu_count() or 1))
        n_threads = threads_for_images if len(dataset.source.shape) == 3 else 0
    if prefetch is None:
        prefetch = 2 * n_threads
    options = grain.ReadOptions(num_threads=n_threads, prefetch_buffer_size=prefetch)
    calls = grain.MapDataset.source(_Calls(dataset, start, per_call))
    return iter(calls.to_iter_dataset(options))


@dataclasses.dataclass(frozen=True, eq=False)
class _Calls:
    """Random access to what `iterate` yields, in the form that grain reads."""

    dataset: Batches
    start: int
    per_call: int

    def __len__(self) -> int:
        return sys.maxsize  # grain asks for a length; this one outlives any run

    def __getitem__(self, call: int) -> Batch:
        step = self.start + call * self.per_call
        if self.per_call == 1:
            return self.dataset[step]
        return self.dataset.window(step, self.per_call)


def to_float(images: np.ndarray) -> np.ndarray:
    """uint8 [...] in 0..255 to float32 [...] in [-1, 1]."""
    scaled = images.astype(np.float32)
    scaled /= 127.5
    scaled -= 1
    return scaled


def to_uint8(images: np.ndarray) -> np.ndarray:
    """Floats [...] in [-1, 1] to uint8 [...]: rounded, and clipped beyond the range.

    The inverse of `to_float` on every one of its 256 values.
    """
    scaled = (np.asarray(images, np.float32) + 1) * 127.5
    return np.clip(np.rint(scaled), 0, 255).astype(np.uint8)


@functools.lru_cache(maxsize=4)  # the epochs that threads work in, and a little more
def _permutation(length: int, seed: int, epoch: int) -> np.ndarray:
    order = _generator(seed, "shuffle", epoch).permutation(length)
    order.setflags(write=False)
    return order


def _generator(seed: int, purpose: str, count: int) -> np.random.Generator:
    """A stream of random numbers of its own for each purpose and count."""
    return np.random.default_rng((seed, ("shuffle", "flip").index(purpose), count))
