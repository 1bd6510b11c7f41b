"""Sentences above the tiles of a grid."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

LINE, MOST_LINES, MARGIN = 11, 4, 2  # pixels, lines, pixels


def above(
    grid: np.ndarray, texts: Sequence[str], columns: int, each: int = 1
) -> np.ndarray:
    """Returns a grid, uint8 [H, W, 1 or 3], with texts above its tiles; [h, W, 3].

    texts: of the examples, row by row; each has `each` tiles, side by side. columns:
    of tiles. Texts that are too long are cut.
    """
    grid = grid if grid.shape[2] == 3 else grid.repeat(3, 2)
    font, per_row = ImageFont.load_default(9), columns // each
    n_rows = math.ceil(len(texts) / per_row)
    height, width = (grid.shape[0] + 2) // n_rows, (grid.shape[1] + 2) / per_row
    wrapped = [_wrapped(text, font, width - 2 * MARGIN) for text in texts]
    tall = LINE * max(map(len, wrapped)) + 2 * MARGIN
    parts = []
    for row in range(n_rows):
        strip = Image.new("RGB", (grid.shape[1], tall), "white")
        pen = ImageDraw.Draw(strip)
        for i, lines in enumerate(wrapped[row * per_row : (row + 1) * per_row]):
            for j, line in enumerate(lines):
                place = (i * width + MARGIN, j * LINE + MARGIN)
                pen.text(place, line, fill="black", font=font)
        parts += [np.asarray(strip), grid[row * height : (row + 1) * height]]
    return np.concatenate(parts)


def _wrapped(text, font, width):
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and font.getlength(longer) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    if len(lines) > MOST_LINES:
        lines = [*lines[: MOST_LINES - 1], lines[MOST_LINES - 1] + " …"]
    return lines
