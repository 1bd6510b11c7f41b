"""Clips [n, T, H, W, C]: film strips, one row a clip, and an animation beside them."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from experiments.sampling import animation, pictures
from gans.data.kinds.image import encode

PLURAL = "Clips"
N, GRID, SOURCE = 8, False, False
SUFFIX = ".webp"
N_FRAMES = 12  # of a strip


def draw(
    path: str | os.PathLike,
    examples: np.ndarray,
    *,
    name: str = "video",
    beside: Sequence[np.ndarray] = (),
    source: Any = None,
    columns: int | None = None,
) -> np.ndarray:
    """Draws strips of at most 12 frames, evenly chosen; PATH.webp is animated.

    `beside` are strips above those of the examples.
    """
    length = min(x.shape[1] for x in (*beside, examples))
    clips = pictures.side_by_side([x[:, :length] for x in (*beside, examples)])
    n_frames = min(length, N_FRAMES)
    chosen = np.linspace(0, length - 1, n_frames).round().astype(int)
    strips = clips[:, chosen].reshape(-1, *clips.shape[2:])
    picture = pictures.grid(strips, n_frames)
    pictures.save_png(path, picture)
    each = len(beside) + 1
    moving = frames(clips, pictures.columns_of(len(clips) // each, each))
    animation.save(pathlib.Path(path).with_suffix(SUFFIX), moving, lossless=False)
    return picture


def frames(examples: np.ndarray, columns: int | None = None) -> Iterator[np.ndarray]:
    """Yields the frames of clips [n, T, H, W, C] side by side: uint8 [h, w, C]."""
    for t in range(examples.shape[1]):
        yield pictures.grid(examples[:, t], columns)


def single(path: str | os.PathLike, example: np.ndarray) -> None:
    """Saves one clip [T, H, W, C] pixel for pixel, as an animation."""
    animation.save(path, encode(example))
