"""Solids made of digits: each a plate in the form of a digit, turned about its height.

They take the place of a set of shapes where there is none: embedded, offline, with
labels, and asymmetric in all three axes.
"""

from __future__ import annotations

import numpy as np

from gans.data.sets import digits as plain
from gans.data.source import InMemory
from gans.data.spec import Field

SPLITS = ("train", "test")
VIEWS = 2  # solids of each digit
THICKNESS = 0.15, 0.35  # of the side
TURN = np.pi / 3  # to either side, at most


def digits(name: str, side: int, split: str) -> InMemory:
    """Plates `voxels` uint8 [N, side, side, side, 1], 0 or 255, and `label` int32 [N].

    Solid i is a function of i and the split alone: digit i // 2, as thick as 15 to 35 %
    of the side, turned by up to 60 degrees to either side. There are 2,874, and 720 in
    the split "test", of other digits.
    """
    source = plain.load(resolution=side, channels=1, split=split)
    rows = np.arange(len(source)).repeat(VIEWS)
    pictures = source.arrays["image"][..., 0] >= 128
    numbers = [_numbers(i, int(split == "test")) for i in range(len(rows))]
    found = [
        _turned(pictures[row], thickness, angle)
        for row, (thickness, angle) in zip(rows, numbers, strict=True)
    ]
    arrays = {
        "voxels": 255 * np.array(found, np.uint8, order="C")[..., None],
        "label": source.arrays["label"][rows],
    }
    shape = (side, side, side, 1)
    spec = {"voxels": Field("voxels", shape, "uint8"), "label": source.spec["label"]}
    return InMemory(name, arrays, spec)


def _numbers(row: int, stream: int) -> tuple[float, float]:
    """The thickness, as a share of the side, and the angle, the same for ever.

    Raw bits, as NumPy's policy (NEP 19) promises the same of those alone.
    """
    bits = np.random.Philox(key=[row, stream]).random_raw(2)
    thickness, angle = (bits >> np.uint64(11)) * 2.0**-53
    thin, thick = THICKNESS
    return thin + thickness * (thick - thin), (2 * angle - 1) * TURN


def _turned(picture: np.ndarray, thickness: float, angle: float) -> np.ndarray:
    """The plate [D, H, W] of a picture [H, W], turned about the axis H; bool."""
    side = len(picture)
    middle = (side - 1) / 2
    depth, right = np.mgrid[:side, :side] - middle
    along = np.cos(angle) * right + np.sin(angle) * depth  # of the picture
    across = np.cos(angle) * depth - np.sin(angle) * right
    # The nearest column of the picture; beyond its sides it is empty.
    columns = np.rint(along + middle).astype(int).clip(-1, side)
    framed = np.pad(picture, ((0, 0), (1, 1)))
    inside = np.abs(across) <= thickness * side / 2
    plate = framed[:, columns + 1] & inside  # [H, D, W]
    return plate.swapaxes(0, 1)
