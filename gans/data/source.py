"""What a data set is here: random access to numpy arrays, one or many at a time.

A source has

    name      for messages
    spec      {field: Field}, what one example holds (see `gans.data.spec`)
    groups    tuples of the fields that belong together: one permutation and one flip
    lengths   how many examples each group has
    streamed  whether examples are read and decoded whenever they are asked for
    augmented whether an example has random forms: then `take` also accepts `draws`, for
              each group random numbers uint64 [B] that choose them; without, an example
              has the one form in which it is scored
    len(source), source[i] -> {field: array}
    length_of(field)   how many examples the group of that field has
    label_of(field)    the name of its labels, or None
    take(*indices [B]) -> {field: [B, ...]}, new arrays of the stored types. With one
              array all groups are read there; else each at its own indices
    whole(indices [1]) -> as `take`, an example in its own size; only of a source whose
              examples differ in size: its `take` cuts all of them to that of its spec.
              It has `names`, those of its examples
    reading() -> what was left out or changed when it was read, in numbers, as JSON (see
              `gans.data.altered`); {} if nothing

Almost all have one group. `Unpaired` joins sources whose examples do not correspond.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import tqdm

from gans.data import kinds, values
from gans.data.spec import Field, Spec, main_field

# Decoded sets up to this many bytes are held in memory, larger ones are streamed.
MEMORY_LIMIT = 2**30

Arrays = dict[str, np.ndarray]


class Source:
    """What all sources share: one group of all fields, unless they say otherwise."""

    name: str
    spec: Spec
    streamed = False
    augmented = False

    @property
    def groups(self) -> tuple[tuple[str, ...], ...]:
        return (tuple(self.spec),)

    @property
    def lengths(self) -> tuple[int, ...]:
        return (len(self),)

    def _group_of(self, field: str) -> int:
        """Returns the number of the group that holds a field."""
        for i, group in enumerate(self.groups):
            if field in group:
                return i
        raise KeyError(field)

    def length_of(self, field: str) -> int:
        """Returns how many examples there are of a field: of the group it is in."""
        return self.lengths[self._group_of(field)]

    def label_of(self, field: str) -> str | None:
        """Returns the name of a field's labels, or None.

        They are in the field's own group: "FIELD/label", "label", or the only one.
        """
        group = self.groups[self._group_of(field)]
        labels = [name for name in group if self.spec[name].kind == "label"]
        for name in (f"{field}/label", "label"):
            if name in labels:
                return name
        return labels[0] if len(labels) == 1 else None

    def reading(self) -> dict[str, Any]:
        """Returns what was left out or changed when the set was read; {} if nothing."""
        return {}

    @property
    def shape(self) -> tuple[int, ...]:
        return next(f.shape for f in self.spec.values() if f.kind != "label")

    @property
    def n_classes(self) -> int | None:
        labels = [f.n_classes for f in self.spec.values() if f.kind == "label"]
        return labels[0] if labels else None

    def __getitem__(self, index: int) -> Arrays:
        taken = self.take(np.array([range(len(self))[index]]))
        return {key: np.asarray(x[0]) for key, x in taken.items()}


@dataclasses.dataclass(frozen=True, eq=False)
class InMemory(Source):
    """A set held as stacked arrays, for example `{"image": [N, H, W, C]}`.

    `spec` gives each field as a `Field`, or only its kind: {"a": "image", "b": "image"}
    makes a paired set. A field that is missing there has its name for a kind. Classes
    are counted in the labels where they are not given.

    Raises ValueError for arrays of several lengths, or unlike their fields; for floats
    that are not in the range of their kind, as far as can be told (see
    `gans.data.values`, which brings others to it); and for labels of other classes.
    """

    name: str
    arrays: Arrays
    spec: Mapping[str, Field | str] = dataclasses.field(default_factory=dict)
    reading: Callable[[], dict[str, Any]] = dict

    def __post_init__(self):
        if len({len(x) for x in self.arrays.values()}) > 1:
            lengths = ", ".join(f"{k} {len(x)}" for k, x in self.arrays.items())
            raise ValueError(f"{self.name}: fields of several lengths: {lengths}")
        for name in self.spec:
            if name not in self.arrays:
                raise ValueError(f"{self.name}: there is no array for field {name!r}")
        spec = {
            name: self._field(name, self.spec.get(name, name), x)
            for name, x in self.arrays.items()
        }
        object.__setattr__(self, "spec", spec)

    def _field(self, name: str, given: Field | str, x: np.ndarray) -> Field:
        try:
            if isinstance(given, Field):
                field = dataclasses.replace(given, shape=x.shape[1:], dtype=x.dtype)
            else:
                n_classes = None
                if kinds.named(given).CLASSES:
                    n_classes = int(x.max(initial=-1)) + 1
                field = Field(given, x.shape[1:], x.dtype, n_classes)
            check_values(field, x, declared=isinstance(given, Field))
        except ValueError as error:
            raise ValueError(f"{self.name}: field {name!r}: {error}") from None
        if isinstance(given, Field) and field != given:
            raise ValueError(
                f"{self.name}: array {name!r} is {field.dtype} {field.shape}; its "
                f"field says {given.dtype} {given.shape}"
            )
        return field

    def __len__(self) -> int:
        return len(next(iter(self.arrays.values())))

    def take(self, indices: np.ndarray) -> Arrays:
        """Examples `indices` [B] as new arrays [B, ...]."""
        return {key: x[indices] for key, x in self.arrays.items()}


@dataclasses.dataclass(frozen=True, eq=False)
class Streamed(Source):
    """A set of `length` examples, each read and decoded whenever it is asked for.

    `take(indices [B])` does so, for several threads at once, and returns the fields of
    `spec`: {"image": uint8 [B, H, W, C]}.
    """

    name: str
    take: Callable[[np.ndarray], Arrays]
    length: int
    spec: Spec
    reading: Callable[[], dict[str, Any]] = dict
    streamed = True

    def __len__(self) -> int:
        return self.length


@dataclasses.dataclass(frozen=True, eq=False)
class Unpaired(Source):
    """Sources whose examples do not correspond: `Unpaired("x", {"a": ..., "b": ...})`.

    Each has one field besides labels, which is called by its key here; its labels, if
    any, become "KEY/label". Each has its own permutation, flips and length. `len` is
    the largest of them; read at one index, the shorter sets begin again.

    Raises ValueError for a source of several fields.
    """

    name: str
    sources: Mapping[str, Source]

    def __post_init__(self):
        for key, source in self.sources.items():
            if [f.kind != "label" for f in source.spec.values()].count(True) != 1:
                raise ValueError(
                    f"{self.name}: {key}: {source.name} has the fields "
                    f"{', '.join(source.spec)}; wanted one besides labels"
                )

    def _renamed(self, key: str, fields: Mapping) -> dict:
        """The fields of the source `key`, by their names here."""
        spec = self.sources[key].spec
        return {
            f"{key}/{name}" if spec[name].kind == "label" else key: x
            for name, x in fields.items()
        }

    @property
    def spec(self) -> Spec:
        return {
            name: field
            for key, source in self.sources.items()
            for name, field in self._renamed(key, source.spec).items()
        }

    @property
    def groups(self) -> tuple[tuple[str, ...], ...]:
        return tuple(
            tuple(self._renamed(key, source.spec))
            for key, source in self.sources.items()
        )

    @property
    def lengths(self) -> tuple[int, ...]:
        return tuple(len(source) for source in self.sources.values())

    @property
    def streamed(self) -> bool:
        return any(source.streamed for source in self.sources.values())

    def reading(self) -> dict[str, Any]:
        """Returns {key: `reading` of its source}."""
        found = {key: source.reading() for key, source in self.sources.items()}
        return {key: x for key, x in found.items() if x}

    def __len__(self) -> int:
        return max(self.lengths)

    def take(self, *indices: np.ndarray) -> Arrays:
        """Examples `indices` [B], of each source its own or all the same: [B, ...]."""
        if len(indices) == 1:
            indices = [indices[0] % n for n in self.lengths]
        taken = {}
        for (key, source), own in zip(self.sources.items(), indices, strict=True):
            taken |= self._renamed(key, source.take(own))
        return taken


@dataclasses.dataclass(frozen=True, eq=False)
class Rows(Source):
    """Some examples of a source, of the group that holds one field.

    `rows` are their places in that group; by default the field is the only one besides
    labels.
    """

    source: Source
    rows: np.ndarray
    field: str | None = None

    @property
    def name(self) -> str:
        return self.source.name

    @property
    def streamed(self) -> bool:
        return self.source.streamed

    @property
    def spec(self) -> Spec:
        source = self.source
        group = source._group_of(self.field or main_field(source.spec))
        return {name: source.spec[name] for name in source.groups[group]}

    def reading(self) -> dict[str, Any]:
        """Returns that of the whole source."""
        return self.source.reading()

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, indices: np.ndarray) -> Arrays:
        """Examples `indices` [B] of these rows: [B, ...]."""
        taken = self.source.take(self.rows[indices])
        return {name: taken[name] for name in self.spec}


def hold(source: Streamed, limit: int = MEMORY_LIMIT) -> InMemory | Streamed:
    """`source` decoded once, with a progress bar, if it takes at most `limit` bytes."""
    size = sum(
        math.prod(f.shape) * np.dtype(f.dtype).itemsize for f in source.spec.values()
    )
    if len(source) * size > limit:
        return source
    arrays = {
        name: np.empty((len(source), *field.shape), field.dtype)
        for name, field in source.spec.items()
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
            disable=None,  # at a terminal only: it would break lines of a log
        ) as bar:
            for start, part in zip(starts, parts, strict=True):
                for key, x in part.items():
                    arrays[key][start : start + len(x)] = x
                bar.update(len(x))
    finally:  # an error or an interrupt does not wait for the rest
        pool.shutdown(cancel_futures=True)
    return InMemory(source.name, arrays, source.spec, source.reading)


def check_values(field: Field, x: np.ndarray, declared: bool = True) -> None:
    """Raises ValueError for examples [N, ...] whose values their field does not have.

    declared: whether the field was given, so that classes may be empty and all bytes 0
      or 1.
    """
    if not x.size:
        return
    if field.kind == "label":
        low, high, n = x.min(), x.max(), field.n_classes
        if low < 0 or high >= n:
            raise ValueError(
                f"labels in [{low}, {high}]; n_classes={n} has 0 to {n - 1}"
            )
        empty = [] if declared else np.setdiff1d(np.arange(n), x)
        if len(empty):
            raise ValueError(
                f"no example has the class {empty[0]} of {n}: number the classes from "
                "0 on without gaps, as `gans.data.values.classes` does, or declare "
                "them by a Field"
            )
    allowed, floats = kinds.of(field).RANGE, np.issubdtype(x.dtype, np.floating)
    if allowed is None:
        if floats:
            values.extremes(x)  # raises it for NaN
        return
    if declared and not floats:
        return
    wanted = f"floats of kind {field.kind} must lie in [{allowed[0]:g}, {allowed[1]:g}]"
    if not floats:
        allowed, wanted = (0, 255), f"bytes of kind {field.kind} must lie in [0, 255]"
    try:
        low, high = values.range_of(x)
    except values.NoRange as error:
        raise ValueError(f"{error}; {wanted}") from None
    if (low, high) != allowed:
        raise ValueError(
            f"{wanted}, these are in [{low}, {high}]; `gans.data.values.to_bytes` "
            "converts them"
        )
