"""Two pictures of a set, bouncing in a frame: `moving:digits`, `moving:tfds:mnist`.

After Moving MNIST of N. Srivastava et al.: Unsupervised Learning of Video
Representations using LSTMs (arXiv 1502.04681, section 4.2): pictures of 28 pixels in
frames of 64, where they overlap the brighter one is seen. Unlike there, each has a
speed of its own, and moves by fractions of a pixel, so that small frames show smooth
motion, too.
"""

from __future__ import annotations

import itertools

import numpy as np

from gans import data
from gans.data.source import Streamed
from gans.data.spec import Field, main_field

NAMES = ("moving:NAME",)
SEEDED = False

SIZE, SMALLEST = 64, 8  # of a frame, in pixels
SHARE = 28 / 64  # of the frame's side, that a picture has
SPEEDS = 1 / 32, 1 / 16  # of the frame's side, in a frame
N_OBJECTS = 2
N_TRAIN, N_TEST = 20_000, 2_000
UNIT = 64  # steps of a pixel: all motion is in whole ones, and so the same everywhere
QUADRANTS = ("ne", "nw", "se", "sw")  # to which an object moves in the first frame
_LABELS = {
    pair: i
    for i, pair in enumerate(itertools.combinations_with_replacement(range(4), 2))
}
DIRECTIONS = tuple(f"{QUADRANTS[i]}-{QUADRANTS[j]}" for i, j in _LABELS)


def load(
    base: str,
    *,
    resolution: int | None = SIZE,
    channels: int | None = 1,
    split: str = "train",
    frames: int = 16,
    stride: int = 1,
    **options,
) -> Streamed:
    """Clips of two pictures of the set `base`, bouncing off the edges of the frame.

    `video` is uint8 [T, R, R, C] on black, T = `frames`, R = `resolution` or 64. The
    `label` int32 says in which of four directions the two set out, as an unordered
    pair: one of the ten `DIRECTIONS`. Each moves by 1/32 to 1/16 of R a frame, times
    `stride`.

    Clip i is a function of i and the split alone: any two pictures of that split of the
    base, any places, directions and speeds. There are 2,000 in the split "test", else
    20,000. Other options are those of `gans.data.load`.

    Raises ValueError for a base that has no images, and for R < 8.
    """
    name = f"moving:{base}"
    size = resolution or SIZE
    if size < SMALLEST:
        raise ValueError(f"{name}: resolution={size}: at least {SMALLEST} are needed")
    side = round(SHARE * size)
    options |= {"channels": channels or 1, "resolution": side}
    source = data.load(base, split=split, **options)
    image = main_field(source.spec)
    if source.spec[image].kind != "image":
        raise ValueError(f"{name}: {base} is not a set of images")
    shape = (frames, size, size, source.spec[image].shape[-1])
    stream = int(split == "test")
    times = stride * np.arange(frames)

    def take(indices: np.ndarray) -> dict[str, np.ndarray]:
        found = [_numbers(int(i), stream) for i in indices]
        rows = np.array([(x[:, 0] * len(source)).astype(int) for x in found])
        pictures = source.take(rows.ravel())[image]
        pictures = pictures.reshape(*rows.shape, *pictures.shape[1:])
        clips = np.zeros((len(indices), *shape), np.uint8)
        labels = np.empty(len(indices), np.int32)
        for i, numbers in enumerate(found):
            starts, steps = _motion(numbers, size, side)
            for picture, start, step in zip(pictures[i], starts, steps, strict=True):
                places = _bounced(start + times[:, None] * step, (size - side) * UNIT)
                _show(clips[i], picture, places)
            quadrants = 2 * (steps[:, 0] > 0) + (steps[:, 1] < 0)
            labels[i] = _LABELS[tuple(sorted(quadrants.tolist()))]
        return {"video": clips, "label": labels}

    spec = {
        "video": Field("video", shape, "uint8"),
        "label": Field("label", (), "int32", len(DIRECTIONS), DIRECTIONS),
    }
    n = N_TEST if split == "test" else N_TRAIN
    return Streamed(name, take, n, spec, source.reading)


def _numbers(row: int, stream: int) -> np.ndarray:
    """Five numbers in [0, 1) for each object, the same for ever: [2, 5].

    Raw bits, as NumPy's policy (NEP 19) promises the same of those alone.
    """
    bits = np.random.Philox(key=[row, stream]).random_raw(5 * N_OBJECTS)
    return ((bits >> np.uint64(11)) * 2.0**-53).reshape(N_OBJECTS, 5)


def _motion(numbers: np.ndarray, size: int, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Places (top, left) and steps a frame of the objects, in units: int [2, 2]."""
    _, top, left, angle, speed = numbers.T
    starts = np.stack([top, left], 1) * ((size - side) * UNIT)
    slow, fast = SPEEDS
    speed = (slow + speed * (fast - slow)) * size * UNIT
    angle = 2 * np.pi * angle
    steps = speed[:, None] * np.stack([np.sin(angle), np.cos(angle)], 1)
    return starts.astype(int), np.rint(steps).astype(int)


def _bounced(places: np.ndarray, most: int) -> np.ndarray:
    """Places on an unbounded line, folded into [0, most]."""
    places = places % (2 * most)
    return np.minimum(places, 2 * most - places)


def _show(clip: np.ndarray, picture: np.ndarray, places: np.ndarray) -> None:
    """Draws a picture [s, s, C] into a clip [T, R, R, C], at places [T, 2] in units.

    Between pixels it is interpolated, bilinearly.
    """
    whole, part = np.divmod(places, UNIT)
    x = np.pad(picture, ((1, 1), (1, 1), (0, 0))).astype(np.int32)
    down, right = part.T[:, :, None, None, None].astype(np.int32)
    x = (UNIT - down) * x[1:] + down * x[:-1]  # [T, s + 1, s + 2, C]
    x = (UNIT - right) * x[:, :, 1:] + right * x[:, :, :-1]
    x = ((x + UNIT**2 // 2) // UNIT**2).astype(np.uint8)
    for frame, (top, left), moved in zip(clip, whole, x, strict=True):
        seen = frame[top : top + x.shape[1], left : left + x.shape[2]]
        np.maximum(seen, moved[: seen.shape[0], : seen.shape[1]], out=seen)
