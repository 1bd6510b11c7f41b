"""The shapes at which a network is run: pictures padded to them, or cut into tiles.

A program is compiled for each shape, so that there are few of them: eight sizes of a
side from one doubling to the next, and one for all sides that are longer than a tile.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
import mmap
from collections.abc import Callable, Iterator

import numpy as np

SIZES = 8  # in each doubling
# Pixels of what is made that neighbouring tiles share, at most a quarter of a tile.
OVERLAP = 128
PIXELS = 2**20  # that are encoded at once


@dataclasses.dataclass(frozen=True)
class Shapes:
    """The sides at which a network is run.

    Attributes:
      first: the smallest one, a multiple of `multiple`: what it was trained at.
      multiple: of which all of them are multiples.
      tile: the longest one, a multiple of `multiple`, at least `first`. Sides of more
        than two tiles get tiles of three quarters of that, as the result needs memory.
    """

    first: int
    multiple: int
    tile: int

    def side(self, length: int) -> int:
        """Returns the side at which `length` pixels are run: padded, or in tiles."""
        if length > 2 * self.tile:
            return max(up(self.tile * 3 / 4, self.multiple), self.first)
        if length >= self.tile:
            return self.tile
        doubled = self.first << max(0, int(math.log2(max(length / self.first, 1))))
        sizes = (doubled * (1 + i / SIZES) for i in itertools.count())
        size = next(x for x in sizes if x >= length)
        return min(up(size, self.multiple), self.tile)


def up(number: float, multiple: int) -> int:
    """Returns the smallest multiple that is at least a number."""
    return math.ceil(number / multiple) * multiple


def run(
    network: Callable[[np.ndarray], np.ndarray],
    picture: np.ndarray,
    shapes: Shapes,
    each: Callable[[Iterator], Iterator] = iter,
    *,
    scale: int = 1,
    encode: Callable[[np.ndarray], np.ndarray] = np.asarray,
) -> np.ndarray:
    """Returns what a network makes of a picture [H, W, C] of any size: [S H, S W, C'].

    The picture is padded by reflection, alike on both sides, and the result is cropped.
    Longer sides than a tile are covered by tiles, evenly spread. Where they overlap,
    their results are blended; the weights go from 0 to 1 along half a cosine.

    Besides the result, as `encode` has it, only one row of tiles is held.

    Args:
      network: [h, w, C] -> [S h, S w, C'], with sides of `shapes`.
      each: of the tiles' places, for a progress bar.
      scale: S, how many times larger the network makes pictures.
      encode: of finished rows [h, S W, C'] float32, pixel by pixel.
    """
    made, row = None, 0
    height, width = (scale * n for n in picture.shape[:2])
    for band in _bands(network, picture, shapes, each, scale):
        for rows in _some(
            len(band), width
        ):  # encoding needs several times their memory
            part = encode(band[rows])
            if made is None:
                made = _zeros((height, width, part.shape[-1]), part.dtype)
            made[row : row + len(part)] = part
            row += len(part)
    return made


def _zeros(shape, dtype):
    """An array with pages of its own.

    On the heap it would lie where the network's program had its memory, which would
    need another place in the next call.
    """
    pages = mmap.mmap(-1, math.prod(shape) * np.dtype(dtype).itemsize)
    return np.frombuffer(pages, dtype).reshape(shape)


def _some(height: int, width: int) -> Iterator[slice]:
    """Slices of `height` rows, about a million pixels in each."""
    n = max(1, PIXELS // width)
    return (slice(i, min(i + n, height)) for i in range(0, height, n))


def _bands(network, picture, shapes, each, scale):
    """Yields the result from top to bottom, [h, S W, C'] float32."""
    lengths = picture.shape[:2]
    sides = [shapes.side(n) for n in lengths]
    spare = [max(side - n, 0) for side, n in zip(sides, lengths, strict=True)]
    top, left = before = [n // 2 for n in spare]
    pads = [(b, n - b) for b, n in zip(before, spare, strict=True)]
    padded = np.pad(picture, [*pads, (0, 0)], mode="reflect")
    rows, columns = (
        [*_placed(length, side, OVERLAP // scale)]
        for length, side in zip(padded.shape[:2], sides, strict=True)
    )
    ends = [*(y for y, _ in rows[1:]), len(padded)]  # where each row is finished
    across = slice(scale * left, scale * (left + lengths[1]))
    held = None
    for (i, (y, down)), (x, over) in each(
        [*itertools.product(enumerate(rows), columns)]
    ):
        part = network(padded[y : y + sides[0], x : x + sides[1]])
        part = np.asarray(part, np.float32)
        if held is None:
            width = scale * padded.shape[1]
            held = _zeros((scale * sides[0], width, part.shape[-1]), np.float32)
        down, over = (np.repeat(w, scale) for w in (down, over))
        part = part * down[:, None, None] * over[None, :, None]
        held[:, scale * x : scale * (x + sides[1])] += part
        if x < columns[-1][0]:
            continue
        n = scale * (ends[i] - y)
        first = max(scale * (top - y), 0)
        last = min(scale * (top + lengths[0] - y), n)
        yield held[first:last, across]
        for i in range(0, len(held) - n, n):  # up by n rows, without a copy of all
            held[i : i + n][: len(held) - n - i] = held[i + n : i + 2 * n]
        held[-n:] = 0


def _placed(length: int, side: int, overlap: int) -> list[tuple[int, np.ndarray]]:
    """Where tiles begin along an axis, and the weights [side] of each.

    The weights of all tiles add to 1. Towards a neighbour they begin with 0, where a
    network sees the tile's edge instead of what lies beyond.
    """
    overlap = min(overlap, side // 4)
    n = max(1, math.ceil((length - overlap) / (side - overlap)))
    starts = np.linspace(0, length - side, n).round().astype(int).tolist()
    margin = overlap // 4
    steps = (np.arange(overlap - 2 * margin) + 0.5) / max(overlap - 2 * margin, 1)
    ramp = np.concatenate([np.zeros(margin), np.sin(np.pi / 2 * steps) ** 2])
    weights, total = np.ones((n, side)), np.zeros(length)
    weights[1:, : len(ramp)] = ramp
    weights[:-1, side - len(ramp) :] = ramp[::-1]
    for start, own in zip(starts, weights, strict=True):
        total[start : start + side] += own
    return [
        (start, (own / total[start : start + side]).astype(np.float32))
        for start, own in zip(starts, weights, strict=True)
    ]
