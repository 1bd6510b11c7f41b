"""From a source to batches: a pure function of the seed and the step.

Nothing here has a state to save. Whoever continues at step n asks for batch n, and
each host of several asks for its own part of it.

Batches leave the host as they are stored, images as bytes. `prepare` returns what
mirrors and decodes them on the device, inside the compiled step.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import os
import sys
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from gans.data import kinds
from gans.data.spec import Spec
from gans.data.weighted import Weighted

Batch = dict[str, np.ndarray]

# Batches in memory from this many bytes on are gathered by a thread: a hand-over
# between threads costs as much as gathering some ten kilobytes.
THREADED_BYTES = 2**15
BLOCK = 1024  # rows whose random numbers are drawn at once


def batches(
    source,
    batch_size: int,
    *,
    seed: int,
    flip: bool = False,
    shard: tuple[int, int] = (0, 1),
    first_row: int = 0,
    first_step: int = 0,
    weights: Sequence[float] | None = None,
) -> Batches:
    """The endless sequence of batches; `batches(...)[step]` is a pure function.

    A batch is {field: [B, ...]} of the types in which `source` stores its fields. With
    `flip` it also has, for group i of the source's fields, "flip/i" bool [B]: which
    examples `prepare` mirrors, each with probability 1/2. Groups without images have
    none.

    Every epoch is a fresh permutation, so each example comes exactly once in it; a
    batch may end one epoch and begin the next. Each group has its own permutations and
    coins, so that the fields of one group stay together. An augmented source, such as
    one of random crops, gets a random number for each row of each group: another one in
    each epoch, a function of the seed and the row alone. With `weights` of its classes
    an epoch has the rows of `gans.data.weighted.Weighted` instead.

    `shard=(i, n)` is the i-th contiguous n-th of it, of B / n examples.

    Rows are counted in examples. Step `first_step` takes those from `first_row` on: a
    run that has drawn r examples in s steps continues in the same epoch, with another
    batch size, by first_row=r and first_step=s.

    Raises ValueError for an empty source, for sizes that do not divide, and with `flip`
    for a group of which only some fields have a mirror image (labels and sentences
    aside); and for weights that do not fit.
    """
    source = source if weights is None else Weighted(source, weights)
    index, count = shard
    if min(source.lengths) == 0:
        raise ValueError(f"{source.name} holds no elements")
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size}")
    if not 0 <= index < count or batch_size % count:
        raise ValueError(
            f"shard {shard} of batch_size {batch_size}: wanted (i, n) with "
            "0 <= i < n and n a divisor of the batch size"
        )
    if min(first_row, first_step) < 0:
        raise ValueError(
            f"first_row={first_row} and first_step={first_step} must be at least 0"
        )
    for fields in source.groups if flip else ():
        _check_mirrors({name: source.spec[name] for name in fields})
    return Batches(source, batch_size, seed, flip, shard, first_row, first_step)


@dataclasses.dataclass(frozen=True, eq=False)
class Batches:
    """What `batches` returns; it has no length, as training decides when to stop."""

    source: object
    batch_size: int
    seed: int
    flip: bool
    shard: tuple[int, int]
    first_row: int
    first_step: int

    def __getitem__(self, step: int) -> Batch:
        return {key: x[0] for key, x in self.window(step, 1).items()}

    def window(self, start: int, n_steps: int) -> Batch:
        """Batches `start`, `start + 1`, ... stacked on a new first axis: [S, B, ...].

        All are gathered at once, so many small batches cost little more than one.
        """
        if start < self.first_step:
            raise IndexError(
                f"steps are counted from {self.first_step} on, got {start}"
            )
        index, count = self.shard
        size = self.batch_size // count
        mine = slice(index * size, (index + 1) * size)
        steps = np.arange(start, start + n_steps)
        begin = self.first_row + (steps - self.first_step) * self.batch_size
        rows = (begin[:, None] + np.arange(self.batch_size)[mine]).ravel()
        lengths = self.source.lengths
        indices = [
            self._entries(_permutation, rows, i, n) for i, n in enumerate(lengths)
        ]
        options = {}
        if self.source.augmented:
            draws = [
                self._entries(_numbers, rows, i, BLOCK) for i in range(len(lengths))
            ]
            options["draws"] = draws
        batch = dict(self.source.take(*indices, **options))
        for group in self._mirrored:
            coins = [self._coins(step, group)[mine] for step in steps]
            batch[f"flip/{group}"] = np.concatenate(coins)
        return {k: x.reshape(n_steps, size, *x.shape[1:]) for k, x in batch.items()}

    @property
    def prepare(self) -> Callable[[Batch], Batch]:
        return prepare(self.source.spec, self.source.groups)

    @functools.cached_property
    def _mirrored(self) -> list[int]:
        """The groups with a field that has a mirror image."""
        groups = enumerate(self.source.groups if self.flip else ())
        spec = self.source.spec
        return [
            i for i, fields in groups if any(kinds.of(spec[f]).MIRRORED for f in fields)
        ]

    def _entries(self, table, rows: np.ndarray, group: int, length: int) -> np.ndarray:
        """Entries `rows` [R] of a group's tables of some length, laid end to end."""
        counts, places = np.divmod(rows, length)
        if counts[0] == counts[-1]:
            return table(length, self.seed, int(counts[0]), group)[places]
        parts = [
            table(length, self.seed, count, group)[places[counts == count]]
            for count in range(counts[0], counts[-1] + 1)
        ]
        return np.concatenate(parts)

    def _coins(self, step: int, group: int) -> np.ndarray:
        """Which examples of the whole batch are mirrored: bool [B]."""
        random = _generator(self.seed, "flip", int(step), group)
        return random.random(self.batch_size) < 0.5


def prepare(spec: Spec, groups: Sequence[Sequence[str]]) -> Callable[[Batch], Batch]:
    """Returns a pure function from a batch of `batches` to the one that losses see.

    It can be traced: {field: [B, ...]} as stored, mirrored where "flip/i" is true,
    which is left out, and decoded: images float32 in [-1, 1], labels int32.
    """
    place = {name: f"flip/{i}" for i, fields in enumerate(groups) for name in fields}

    def prepared(raw: Batch) -> Batch:
        batch = {}
        for name, field in spec.items():
            kind, x = kinds.of(field), raw[name]
            if place[name] in raw:
                x = kind.flip(x, raw[place[name]])
            batch[name] = kind.decode(x)
        return batch

    return prepared


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
    By default small batches in memory are read on demand, as a hand-over between
    threads costs more than gathering them; larger ones by one thread; streamed ones by
    many.
    """
    import grain  # takes two seconds, and single batches do not need it

    if n_threads is None:
        n_threads = _n_threads(dataset)
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


def _check_mirrors(group: Spec) -> None:
    """Raises ValueError if a flip would mirror some fields and leave others."""
    mirrored = [name for name, field in group.items() if kinds.of(field).MIRRORED]
    others = [
        name
        for name, field in group.items()
        if name not in mirrored and not getattr(kinds.of(field), "PLACELESS", False)
    ]
    if mirrored and others:
        raise ValueError(
            f"flip=True would mirror {', '.join(mirrored)}, but not "
            f"{', '.join(others)} of the same example; accepted is flip=False"
        )


def _n_threads(dataset: Batches) -> int:
    """How many threads read a data set by default."""
    if dataset.source.streamed:
        return min(16, 2 * (os.cpu_count() or 1))
    fields = dataset.source.spec.values()
    size = sum(math.prod(f.shape) * np.dtype(f.dtype).itemsize for f in fields)
    return int(size * dataset.batch_size >= THREADED_BYTES)


@functools.lru_cache(maxsize=8)  # the epochs that threads work in, and a little more
def _permutation(length: int, seed: int, epoch: int, group: int) -> np.ndarray:
    order = _generator(seed, "shuffle", epoch, group).permutation(length)
    order.setflags(write=False)
    return order


@functools.lru_cache(maxsize=8)  # as above
def _numbers(length: int, seed: int, block: int, group: int) -> np.ndarray:
    random = _generator(seed, "draw", block, group)
    return random.integers(2**64, size=length, dtype=np.uint64)


def _generator(seed: int, purpose: str, count: int, group: int) -> np.random.Generator:
    """A stream of random numbers of its own for each purpose, count and group."""
    stream = (seed, ("shuffle", "flip", "draw").index(purpose), count)
    return np.random.default_rng((*stream, group) if group else stream)
