"""Voxels [n, D, H, W, C]: each from three sides, the nearer the lighter."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from experiments.sampling import pictures

PLURAL = "Voxels"
N, GRID, SOURCE = 16, True, False
FAR = 0.3  # brightness of what is farthest, if that of the nearest is 1


def draw(
    path: str | os.PathLike,
    examples: np.ndarray,
    *,
    name: str = "voxels",
    beside: Sequence[np.ndarray] = (),
    source: Any = None,
    columns: int | None = None,
) -> np.ndarray:
    """Draws three views of each example in a row: front, top, side."""
    views = pictures.side_by_side(
        [view for x in (*beside, examples) for view in projections(x)]
    )
    per_example = 3 * (len(beside) + 1)
    if columns is None:
        columns = pictures.columns_of(len(examples), per_example)
    else:
        columns *= per_example
    picture = pictures.grid(views, columns)
    pictures.save_png(path, picture)
    return picture


def projections(x: np.ndarray) -> list[np.ndarray]:
    """Views voxels [n, D, H, W, C] along D, H and W: images [n, ., ., C] in [-1, 1].

    A pixel is the brightest voxel on its line of sight; the farther one is, the darker.
    """
    x = (np.nan_to_num(np.asarray(x, np.float32)).clip(-1, 1) + 1) / 2
    found = []
    for axis in (1, 2, 3):
        shape = [1] * x.ndim
        shape[axis] = -1
        light = np.linspace(1, FAR, x.shape[axis], dtype=np.float32).reshape(shape)
        found.append(2 * (x * light).max(axis) - 1)
    return found
