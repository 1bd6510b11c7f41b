"""Images [n, H, W, C]: a grid."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from experiments.sampling import pictures
from gans.data.kinds.image import encode

PLURAL = "Images"
N, GRID, SOURCE = 64, True, False
CAPTIONS = True
SUFFIX = ".png"


def draw(
    path: str | os.PathLike,
    examples: np.ndarray,
    *,
    name: str = "image",
    beside: Sequence[np.ndarray] = (),
    source: Any = None,
    columns: int | None = None,
) -> np.ndarray:
    """Draws a grid; with `beside`, an example's images are next to each other."""
    n = len(examples)
    if beside:
        each = len(beside) + 1
        columns = columns * each if columns else pictures.columns_of(n, each)
        examples = pictures.side_by_side([*beside, examples])
    picture = pictures.grid(examples, columns)
    pictures.save_png(path, picture)
    return picture


def single(path: str | os.PathLike, example: np.ndarray) -> None:
    """Saves one image [H, W, C] pixel for pixel."""
    pictures.save_png(path, encode(example))
