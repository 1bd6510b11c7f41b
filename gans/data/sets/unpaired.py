"""Two sets of pictures for image translation: `unpaired:PATH`."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from gans.data import altered, reading
from gans.data.doubles import unseen
from gans.data.image import halves
from gans.data.sets import options
from gans.data.sets.folder import OPTIONS, reader
from gans.data.sides import Part, find
from gans.data.source import Streamed, Unpaired, hold
from gans.data.spec import Field

NAMES = ("unpaired:PATH",)
SEEDED = False


def load(
    path: str,
    *,
    resolution: int | None = None,
    channels: int | None = 3,
    split: str = "train",
    skip_corrupt: bool = False,
    **_unused,
) -> Unpaired:
    """Pictures of two sets, `a` and `b` uint8 [R, R, C], that do not correspond.

    They lie in folders trainA and trainB, testA and testB, or A and B, or in those of
    two paths, "PATH_A,PATH_B". All that `pairs:PATH` reads can be read so, too. The
    sides have their own lengths and orders. Pictures are read as those of
    `folder:PATH`, with its options.

    Pictures of another split that also stand in train, on either side, are left out,
    and counted.

    Raises ValueError for a side without pictures and for a file that cannot be read,
    unless `skip_corrupt` is set: then these are left out and named.
    """
    name = f"unpaired:{path}"
    path, given = options(name, path, OPTIONS)
    read = reader(name, resolution, channels, given)
    sides = find(name, path)
    parts = sides.apart(split)
    if split != "train" and "train" in sides.files:
        train = [(file.path,) for file in sides.files["train"]]
        for side, own in parts.items():
            what = f"pictures {side.upper()} of the split {split!r}"
            parts[side] = unseen(own, train, lambda part: part[:1], name, what)
    reading.check_pixels([path for own in parts.values() for path, _ in own], read)
    lost = dict.fromkeys(parts, 0)
    if skip_corrupt:
        for side, own in parts.items():
            intact = reading.intact(own, lambda part: _read(part, read), name)
            parts[side], lost[side] = [own[i] for i in intact], len(own) - len(intact)
    size = (resolution,) * 2
    if not resolution:
        every = list(dict.fromkeys(p for own in parts.values() for p, _ in own))
        halved = parts["a"][0][1] is not None
        size = reading.common_size(every, read, halved)
    spec = {"image": Field("image", (*size, read.channels), "uint8")}

    def source(side: str, own: list[Part]):
        def take(indices: np.ndarray) -> dict[str, np.ndarray]:
            return {"image": np.stack([_read(own[i], read) for i in indices])}

        @functools.cache
        def changed() -> dict[str, Any]:
            found = {"corrupt": lost[side]} if lost[side] else {}
            halved = own[0][1] is not None
            return found | altered.of_files([path for path, _ in own], read, halved)

        return hold(Streamed(name, take, len(own), spec, changed))

    return Unpaired(name, {side: source(side, own) for side, own in parts.items()})


def _read(part: Part, read: reading.Reader) -> np.ndarray:
    """A picture, or one half of it, as uint8 [R, R, C]."""
    path, half = part
    if half is None:
        return read(path)
    with read.reading(path) as image:
        return read.fit(halves(image)[half])
