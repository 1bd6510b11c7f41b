"""Clips [n, T, H, W, C]: film strips, one row a clip, and an animation beside them."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from experiments.files import replacing
from experiments.sampling import pictures

PLURAL = "Clips"
N, GRID, SOURCE = 8, False, False
N_FRAMES = 12  # of a strip
MILLISECONDS = 100  # of a frame, in the animation


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
    _animate(pathlib.Path(path).with_suffix(".webp"), clips, len(beside) + 1)
    return picture


def _animate(path, clips, n_arrays):
    columns = pictures.columns_of(len(clips) // n_arrays, n_arrays)
    frames = [pictures.grid(clips[:, t], columns) for t in range(clips.shape[1])]
    frames = [Image.fromarray(x[:, :, 0] if x.shape[2] == 1 else x) for x in frames]
    frames = [frame.convert("RGB") for frame in frames]
    with replacing(path) as temporary:
        frames[0].save(
            temporary,
            "WEBP",
            save_all=True,
            append_images=frames[1:],
            duration=MILLISECONDS,
            loop=0,
        )
