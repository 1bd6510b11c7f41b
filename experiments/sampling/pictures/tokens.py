"""Tokens [n, T]: lines of text."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from experiments.sampling import pictures

PLURAL = "Texts"
N, GRID, SOURCE = 24, False, True
WIDTH = 100  # characters of a line at most
_SEPARATOR = "  |  "


def draw(
    path: str | os.PathLike,
    examples: np.ndarray,
    *,
    name: str = "tokens",
    beside: Sequence[np.ndarray] = (),
    source: Any = None,
    columns: int | None = None,
) -> np.ndarray:
    """Writes one example a line; `beside` come before it, on the same line.

    source.vocabulary, if there is one, has the words by their numbers. Returns uint8
    [H, W, 1].
    """
    lines = [
        _SEPARATOR.join(text(x, source) for x in row)[:WIDTH]
        for row in zip(*beside, examples, strict=True)
    ]
    measure = ImageDraw.Draw(Image.new("L", (1, 1)))
    boxes = [measure.textbbox((0, 0), line) for line in lines]
    width, height = max(box[2] for box in boxes), max(box[3] for box in boxes) + 4
    image = Image.new("L", (int(width) + 8, int(height) * len(lines) + 8), 255)
    pen = ImageDraw.Draw(image)
    for i, line in enumerate(lines):
        pen.text((4, 4 + i * height), line, fill=0)
    picture = np.asarray(image)[:, :, None].copy()
    pictures.save_png(path, picture)
    return picture


def text(tokens: np.ndarray, source: Any = None) -> str:
    """Returns tokens [T] as text: the source's words if it has them, else numbers."""
    vocabulary = getattr(source, "vocabulary", None)
    if vocabulary is None:
        return " ".join(str(int(i)) for i in tokens)
    words = [str(vocabulary[int(i)]) for i in tokens]
    return ("" if all(len(x) == 1 for x in words) else " ").join(words)
