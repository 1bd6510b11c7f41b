"""Pairs of pictures for image translation: `pairs:PATH`."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from gans.data import altered, reading
from gans.data.doubles import unseen
from gans.data.image import halves, upright
from gans.data.notes import note
from gans.data.sets import options
from gans.data.sets.folder import OPTIONS, reader
from gans.data.sides import File, find
from gans.data.source import InMemory, Streamed, hold
from gans.data.spec import Field

NAMES = ("pairs:PATH",)
SEEDED = False


def load(
    path: str,
    *,
    resolution: int | None = None,
    channels: int | None = 3,
    split: str = "train",
    skip_corrupt: bool = False,
    **_unused,
) -> InMemory | Streamed:
    """Pairs of pictures, `a` and `b` uint8 [R, R, C], in the order of their paths.

    They are pictures side by side (left A, right B), or lie in folders A and B under
    equal names, whose endings may differ. Splits are folders around those or in them:
    train/, trainA/ and trainB/, A/train/; "test" is val where there is no test. Two
    paths, "PATH_A,PATH_B", are A and B. Pictures are read as those of `folder:PATH`,
    with its options; in the whole pair the same is cut off.

    Pairs of another split that also stand in train are left out, and counted.

    Raises ValueError, naming the first few, for pictures without a partner, for pairs
    of which one is not as wide, for its height, as the other, and for files that cannot
    be read. With `skip_corrupt` all of these are left out and named.
    """
    name = f"pairs:{path}"
    path, given = options(name, path, OPTIONS)
    read = reader(name, resolution, channels, given)
    sides = find(name, path)
    pairs = sides.pairs(split, skip_corrupt)
    if split != "train" and "train" in sides.files:
        train = map(_paths, sides.pairs("train", skip=True))
        pairs = unseen(pairs, train, _paths, name, f"pairs of the split {split!r}")
    pairs = [_paths(pair) for pair in pairs]
    reading.check_pixels([path for pair in pairs for path in pair], read)
    lost = {}
    if skip_corrupt:
        intact = reading.intact(pairs, lambda pair: read_pair(pair, read), name)
        lost = {"corrupt": len(pairs) - len(intact)}
        pairs = [pairs[i] for i in intact]
    every = [path for pair in pairs for path in pair]
    halved, size = len(pairs[0]) == 1, (resolution,) * 2
    if not resolution:
        size = reading.common_size(every, read, halved)
    field = Field("image", (*size, read.channels), "uint8")

    def take(indices: np.ndarray) -> dict[str, np.ndarray]:
        taken = [read_pair(pairs[i], read) for i in indices]
        a, b = (np.stack(x) for x in zip(*taken, strict=True))
        return {"a": a, "b": b}

    @functools.cache
    def changed() -> dict[str, Any]:
        own = {key: x for key, x in lost.items() if x}
        return own | altered.of_files(every, read, halved)

    spec = {"a": field, "b": field}
    return hold(Streamed(name, take, len(pairs), spec, changed))


def read_pair(
    paths: tuple[str, ...], read: reading.Reader
) -> tuple[np.ndarray, np.ndarray]:
    """Returns A and B, uint8 [R, R, C], of two files, or of one side by side.

    Raises ValueError for files that cannot be read, and for two of which one is not as
    wide, for its height, as the other.
    """
    with read.reading(paths[0]) as image:
        if len(paths) == 1:
            a, b = halves(image)
            return read.fit(a), read.fit(b)
        (width, height), a = upright(image).size, read.fit(image)
    with read.reading(paths[1]) as image:
        size = upright(image).size
        # As wide as A to a pixel, if it were as high.
        if not read.squash and abs(size[0] * height - width * size[1]) > max(
            height, size[1]
        ):
            raise ValueError(
                f"it is {size[0]}x{size[1]}, its partner {paths[0]} is {width}x{height}"
            )
        if size != (width, height):
            note(f"{read.name}: in some pairs A and B differ in size; both are resized")
        return a, read.fit(image)


def _paths(pair: tuple[File, ...]) -> tuple[str, ...]:
    return tuple(file.path for file in pair)
