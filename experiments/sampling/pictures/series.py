"""Series [n, T, C]: small line plots, one line a channel."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from experiments.sampling import pictures

PLURAL = "Series"
N, GRID, SOURCE = 16, False, False


def draw(
    path: str | os.PathLike,
    examples: np.ndarray,
    *,
    name: str = "series",
    beside: Sequence[np.ndarray] = (),
    source: Any = None,
    columns: int | None = None,
) -> np.ndarray:
    """Draws each example in a small plot of its own, `beside` in grey under it.

    All plots have the same axes. Returns uint8 [H, W, 3].
    """
    # It takes a second to import, and not every run needs it.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    n = len(examples)
    columns = math.ceil(math.sqrt(n))
    rows = -(-n // columns)
    figure = Figure(figsize=(2 * columns, 1.4 * rows), dpi=100, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    all_axes = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    for i, axes in enumerate(all_axes.flat):
        if i >= n:
            axes.set_axis_off()
            continue
        for x in beside:
            axes.plot(np.asarray(x)[i], color="0.6", lw=1)
        axes.plot(np.asarray(examples)[i], lw=1)
        axes.tick_params(labelsize=6)
    canvas.draw()
    picture = np.asarray(canvas.buffer_rgba())[:, :, :3].copy()
    pictures.save_png(path, picture)
    return picture
