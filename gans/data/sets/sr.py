"""Pictures and smaller ones of them, for super-resolution: `sr:PATH`, `sr:photos`."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Callable, Sequence

import numpy as np

from gans.data import reading
from gans.data.degraded import Degraded
from gans.data.image import upright
from gans.data.sets import NoSplit, expanded, options
from gans.data.sets import photos as embedded
from gans.data.sets.folder import check_found
from gans.data.source import MEMORY_LIMIT, Arrays, Source
from gans.data.spec import Field, Spec
from gans.data.tree import splits, walk

NAMES = ("sr:PATH",)
SEEDED = False
SIZE = 96  # of crops, in the papers of SRGAN
OPTIONS = {"scale": ("1", "2", "3", "4", "8"), "blur": (), "noise": (), "jpeg": ()}


def load(
    argument: str,
    *,
    resolution: int | None = None,
    channels: int | None = 3,
    split: str = "train",
    skip_corrupt: bool = False,
    **_unused,
) -> Crops | Pictures:
    """Small pictures `a` and large ones `b`, uint8 [r, r, C] and [R, R, C], r = R / s.

    argument: "photos", the photographs that come with scikit-learn; a folder of
      pictures of any size, with sub-folders, in which train/ and test/ are splits; or
      two folders, "TRAIN,TEST". After it options: "scale=4" (the s), and what is done
      to small pictures beside, "blur=0.2..3", "noise=1..30", "jpeg=30..95"
      (`gans.data.degraded`).

    `resolution` is the R of the crops on which a model trains, 96 by default: see
    `Crops`. Test pictures are scored as a whole: see `Pictures`.

    Raises FileNotFoundError without pictures; ValueError naming a file that cannot be
    read, unless `skip_corrupt` leaves these out, for pictures smaller than a crop, and
    for an R that s does not divide.
    """
    name = f"sr:{argument}"
    argument, given = options(name, argument, OPTIONS)
    scale = int(given.pop("scale", 4))
    try:
        ranges = {key: _range(key, text) for key, text in given.items()}
        degraded = Degraded(scale, **ranges)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
    size, channels = resolution or SIZE, channels or 3
    if size % scale:
        raise ValueError(
            f"{name}: crops of resolution={size} are not a multiple of scale={scale}"
        )
    if argument == "photos":
        found = _embedded(name, split, channels)
    else:
        found = _files(name, argument, split, channels, skip_corrupt)
    sizes, picture, names = found
    for (height, width), which in zip(sizes, names, strict=True):
        if min(height, width) < size:
            raise ValueError(
                f"{name}: {which} is {width}x{height}, smaller than a crop of {size}x"
                f"{size}; leave it out, or choose a smaller resolution"
            )
    make = Crops if split == "train" else Pictures
    return make(name, sizes, picture, degraded, size, channels, names)


def fields(size: int, scale: int, channels: int) -> Spec:
    """Returns what an example holds: crops of `size` pixels, and small ones."""
    sides = {"a": size // scale, "b": size}
    return {
        key: Field("image", (side, side, channels), "uint8")
        for key, side in sides.items()
    }


def scale_of(name: str, argument: str) -> int:
    """Returns the scale that the name of a set says; ValueError for other options."""
    return int(options(name, argument, OPTIONS)[1].get("scale", 4))


@dataclasses.dataclass(frozen=True, eq=False)
class _Set(Source):
    """Pictures that are cut.

    Attributes:
      name: of the set.
      sizes: (H, W) of each picture.
      picture: its number -> uint8 [H, W, C].
      degraded: how small ones are made.
      size: of a crop, in pixels of the large picture.
      channels: of the pictures.
      names: of the pictures.
    """

    name: str
    sizes: Sequence[tuple[int, int]]
    picture: Callable[[int], np.ndarray]
    degraded: Degraded
    size: int
    channels: int
    names: Sequence[str]

    streamed = True

    @property
    def spec(self) -> Spec:
        return fields(self.size, self.degraded.scale, self.channels)

    def crop(self, number: int, top: int, left: int, height: int, width: int, draw):
        """Returns (small, large) of a part of a picture, uint8 [h, w, C], [H, W, C].

        The small one is that part of the small picture: it sees beyond its borders.
        All sides are multiples of the scale.
        """
        x, scale = self.picture(number), self.degraded.scale
        random = np.random.default_rng(int(draw))
        (above, tall), (before, wide) = (
            _widened(start, n, whole - whole % scale, self.degraded.margin)
            for start, n, whole in zip(
                (top, left), (height, width), x.shape[:2], strict=True
            )
        )
        around = x[above : above + tall, before : before + wide]
        small = self.degraded.smaller(around, random)
        row, column = (top - above) // scale, (left - before) // scale
        small = small[row : row + height // scale, column : column + width // scale]
        large = x[top : top + height, left : left + width]
        return self.degraded.spoilt(small, random), large

    def _taken(self, crops) -> Arrays:
        small, large = zip(*crops, strict=True)
        return {"a": np.stack(small), "b": np.stack(large)}


class Crops(_Set):
    """Squares cut out at random: what a model trains on.

    A picture has as many rows as it holds squares, so that all pixels are seen equally
    often. With `draws` (see `gans.data.pipeline.batches`) a row is another square of
    its picture in each epoch; without, it is always the same one.
    """

    augmented = True

    @functools.cached_property
    def _rows(self) -> np.ndarray:
        """The picture of each row."""
        areas = [(h // self.size) * (w // self.size) for h, w in self.sizes]
        return np.repeat(np.arange(len(areas)), areas)

    def __len__(self) -> int:
        return len(self._rows)

    def take(
        self, indices: np.ndarray, draws: Sequence[np.ndarray] | None = None
    ) -> Arrays:
        """Examples `indices` [B]; draws: ([B],), random numbers of their places."""
        numbers = draws[0] if draws else indices
        pairs = zip(self._rows[indices], numbers, strict=True)
        return self._taken(self._square(int(i), int(draw)) for i, draw in pairs)

    def _square(self, number: int, draw: int):
        scale = self.degraded.scale
        random = np.random.default_rng((draw, 1))
        free = [(n - self.size) // scale for n in self.sizes[number]]
        top, left = (scale * int(random.integers(n + 1)) for n in free)
        return self.crop(number, top, left, self.size, self.size, draw)


class Pictures(_Set):
    """Whole pictures, each cut to multiples of the scale: what a model is scored on.

    `take` gives the square in the middle of each, all of one size, and `whole` one
    picture in its own size.
    """

    def __len__(self) -> int:
        return len(self.sizes)

    def take(self, indices: np.ndarray) -> Arrays:
        """Squares of the pictures `indices` [B]: [B, r, r, C] and [B, R, R, C]."""
        return self._taken(self._middle(int(i)) for i in indices)

    def whole(self, indices: np.ndarray) -> Arrays:
        """The picture of `indices` [B], with B = 1, in its own size: [B, H, W, C].

        The upper left part is kept, as papers do it.
        """
        (i,) = indices
        scale = self.degraded.scale
        height, width = (n - n % scale for n in self.sizes[i])
        return self._taken([self.crop(int(i), 0, 0, height, width, i)])

    def _middle(self, number: int):
        scale = self.degraded.scale
        top, left = (
            scale * ((n - self.size) // (2 * scale)) for n in self.sizes[number]
        )
        return self.crop(number, top, left, self.size, self.size, number)


def _widened(start: int, n: int, whole: int, margin: int) -> tuple[int, int]:
    """Returns (start, length) of a part of an axis, with the margin that there is."""
    first = max(0, start - margin)
    return first, min(whole, start + n + margin) - first


def _range(key: str, text: str) -> tuple[float, float]:
    """Returns the numbers of "LOW..HIGH", or of one number twice."""
    low, _, high = text.partition("..")
    try:
        return float(low), float(high or low)
    except ValueError:
        form = "a number or LOW..HIGH, such as 0.2..3"
        raise ValueError(f"{key}={text!r} is not {form}") from None


def _embedded(name, split, channels):
    """(sizes, picture, names) of parts of scikit-learn's photographs."""
    if split not in embedded.SPLITS:
        known = ", ".join(embedded.SPLITS)
        raise NoSplit(f"{name} has no split {split!r}; it has {known}")
    _, boxes = embedded.SPLITS[split]
    read = reading.Reader(name, None, channels)
    parts = [read.fit(embedded.photograph(x).crop(box)) for x, box in boxes.items()]
    return [x.shape[:2] for x in parts], parts.__getitem__, [*boxes]


def _files(name, argument, split, channels, skip_corrupt):
    """(sizes, picture, names) of the pictures of a split."""
    root, inside = _folder(name, argument, split)
    files = [os.path.join(root, path) for path in inside]
    read = reading.Reader(name, None, channels)
    reading.check_pixels(files, read)
    if skip_corrupt:
        kept = reading.intact(files, read, name)
        files, inside = [files[i] for i in kept], [inside[i] for i in kept]
    sizes = []
    for path in files:
        with read.reading(path) as image:
            sizes.append(upright(image).size[::-1])
    held = sum(h * w * channels for h, w in sizes) <= MEMORY_LIMIT
    kept = functools.lru_cache(maxsize=None if held else 16)
    return sizes, kept(lambda i: read(files[i])), inside


def _folder(name, argument, split):
    """(root, paths below it) of the pictures of a split."""
    both = argument.split(",")
    if len(both) == 2 and not os.path.exists(expanded(argument)):
        sides = dict(zip(("train", "test"), both, strict=True))
        if split not in sides:
            raise NoSplit(f"{name} has no split {split!r}, only train, test")
        argument, chosen = sides[split], None
    else:
        chosen = split
    root = reading.folder(name, expanded(argument))
    tree = walk(root)
    check_found(name, tree)
    found = splits({p.partition("/")[0] for p in tree.pictures if "/" in p})
    if chosen is None or "train" not in found and chosen == "train":
        return root, tree.pictures
    if "train" not in found or chosen not in found:
        known = ", ".join(found) if "train" in found else "train"
        raise NoSplit(f"{name} has no split {split!r}, only {known}")
    start = f"{found[chosen]}/"
    return root, [p for p in tree.pictures if p.startswith(start)]
