"""Points [n, D]: a scatter plot of their first two coordinates."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from experiments.sampling import pictures

PLURAL = "Points"
N, GRID, SOURCE, REAL = 2048, False, True, True


def draw(
    path: str | os.PathLike,
    examples: np.ndarray,
    *,
    name: str = "point",
    beside: Sequence[np.ndarray] = (),
    source: Any = None,
    columns: int | None = None,
) -> np.ndarray:
    """Draws points over as many real ones, of `source`, and its modes if it has any.

    Without points, the real ones alone.
    """
    finite = examples[np.isfinite(examples).all(1)]
    real = finite if len(finite) else np.zeros((1, *examples.shape[1:]))
    if source is not None:
        real = source.take(np.arange(min(N, len(source))))[name]
    return scatter(path, real, examples, getattr(source, "modes", None))


def scatter(
    path: str | os.PathLike,
    real: np.ndarray,
    fake: np.ndarray,
    modes: np.ndarray | None = None,
) -> np.ndarray:
    """Draws real points in grey and generated ones in colour, and saves it as PNG.

    Args:
      path: where to.
      real: [N, D]; they set the limits of the axes.
      fake: [M, D]; the share of them outside the limits is stated.
      modes: [K, D], centres of the modes, marked by crosses.

    Returns the picture, uint8 [640, 640, 3].
    """
    # Slow to import, and not every run needs it. The object-oriented interface opens no
    # window and shares no state with the caller's plots.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    real, fake = np.asarray(real)[:, :2], np.asarray(fake)[:, :2]
    if real.shape[1] == 1:  # along the axis
        real, fake = (np.pad(x, ((0, 0), (0, 1))) for x in (real, fake))
    centre = (real.min(0) + real.max(0)) / 2
    reach = 0.575 * max(np.ptp(real, 0).max(), 1e-3)
    outside = ~(np.abs(fake - centre) <= reach).all(1)

    figure = Figure(figsize=(6.4, 6.4), dpi=100, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.scatter(*real.T, s=16, c="0.6", alpha=0.35, lw=0, label="real")
    if len(fake):
        # A few points are to be seen as well as thousands.
        few = min(1.0, math.sqrt(len(fake) / N))
        size, alpha = 24 - 18 * few, 1 - 0.5 * few
        axes.scatter(*fake.T, s=size, c="tab:red", alpha=alpha, lw=0, label="generated")
    if modes is not None:
        axes.scatter(
            *np.asarray(modes)[:, :2].T, s=30, c="k", marker="+", lw=0.8, label="modes"
        )
    axes.set(
        xlim=(centre[0] - reach, centre[0] + reach),
        ylim=(centre[1] - reach, centre[1] + reach),
        aspect="equal",
    )
    # Always there, so that pictures of one run lie exactly on each other.
    share = f"{outside.mean() if len(fake) else 0:.1%}"
    axes.set_xlabel(
        f"{share} of the generated points lie outside", alpha=float(len(fake) > 0)
    )
    legend = figure.legend(loc="outside upper center", ncols=3, frameon=False)
    for handle in legend.legend_handles:
        handle.set(alpha=1, sizes=[30])
    canvas.draw()
    picture = np.asarray(canvas.buffer_rgba())[:, :, :3].copy()
    pictures.save_png(path, picture)
    return picture
