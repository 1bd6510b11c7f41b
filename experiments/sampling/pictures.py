"""Pictures of what a GAN makes: grids of images, scatter plots of points."""

from __future__ import annotations

import math
import os

import numpy as np

from experiments.files import replacing
from gans.data.pipeline import to_uint8

# Images up to half this many pixels are enlarged to (nearly) as many, to be seen.
_TILE = 64
_GAP = 2  # pixels
_GAP_VALUE = 128


def grid(images: np.ndarray, columns: int | None = None) -> np.ndarray:
    """Images side by side, row by row, with gaps of two grey pixels.

    Args:
      images: [N, H, W, C] floats in [-1, 1]; what is not a number is shown grey.
      columns: images in a row; by default as many as make a square.

    Returns:
      uint8 [h, w, C]. Images of at most 32 pixels are enlarged, each pixel to a square,
      by the largest integer that keeps them within 64.

    Raises ValueError if there are no images, or columns < 1.
    """
    images = np.asarray(images, np.float32)
    if images.ndim != 4 or not images.size:
        raise ValueError(f"grid wants images [N, H, W, C], N > 0, got {images.shape}")
    if columns is None:
        columns = math.ceil(math.sqrt(len(images)))
    if columns < 1:
        raise ValueError(f"grid wants at least 1 column, got {columns}")
    factor = max(1, _TILE // max(images.shape[1:3]))
    tiles = to_uint8(np.nan_to_num(images)).repeat(factor, 1).repeat(factor, 2)

    n, height, width, channels = tiles.shape
    rows = -(-n // columns)
    shape = (rows * columns, height + _GAP, width + _GAP, channels)
    cells = np.full(shape, _GAP_VALUE, np.uint8)
    cells[:n, :height, :width] = tiles
    cells = cells.reshape(rows, columns, *shape[1:]).swapaxes(1, 2)
    return cells.reshape(rows * shape[1], columns * shape[2], channels)[:-_GAP, :-_GAP]


def save_png(path: str | os.PathLike, image: np.ndarray) -> None:
    """Writes uint8 [H, W, C], C = 1 (grey), 3 or 4; whole, or not at all.

    Raises ValueError for another shape or type, OSError if it cannot be written.
    """
    from PIL import Image

    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] not in (1, 3, 4):
        raise ValueError(
            "save_png wants uint8 [H, W, C] with C = 1, 3 or 4, "
            f"got {image.dtype} {image.shape}"
        )
    picture = Image.fromarray(image[:, :, 0] if image.shape[2] == 1 else image)
    with replacing(path) as temporary:
        picture.save(temporary, "PNG")


def scatter(
    path: str | os.PathLike,
    real: np.ndarray,
    fake: np.ndarray,
    modes: np.ndarray | None = None,
) -> np.ndarray:
    """Draws real points in grey and generated ones in colour, and saves it as PNG.

    Args:
      path: where to.
      real: [N, 2]; they set the limits of the axes.
      fake: [M, 2]; the share of them outside the limits is stated.
      modes: [K, 2], centres of the modes, marked by crosses.

    Returns the picture, uint8 [640, 640, 3].
    """
    # The object-oriented interface: no window, no state shared with the caller's plots.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    real, fake = np.asarray(real), np.asarray(fake)
    centre = (real.min(0) + real.max(0)) / 2
    reach = 0.575 * max(np.ptp(real, 0).max(), 1e-3)
    outside = ~(np.abs(fake - centre) <= reach).all(1)

    figure = Figure(figsize=(6.4, 6.4), dpi=100, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.scatter(*real.T, s=16, c="0.6", alpha=0.35, lw=0, label="real")
    axes.scatter(*fake.T, s=6, c="tab:red", alpha=0.5, lw=0, label="generated")
    if modes is not None:
        axes.scatter(
            *np.asarray(modes).T, s=30, c="k", marker="+", lw=0.8, label="modes"
        )
    axes.set(
        xlim=(centre[0] - reach, centre[0] + reach),
        ylim=(centre[1] - reach, centre[1] + reach),
        aspect="equal",
    )
    # Always there, so that pictures of one run lie exactly on each other.
    axes.set_xlabel(f"{outside.mean():.1%} of the generated points lie outside")
    legend = figure.legend(loc="outside upper center", ncols=3, frameon=False)
    for handle in legend.legend_handles:
        handle.set(alpha=1, sizes=[30])
    canvas.draw()
    picture = np.asarray(canvas.buffer_rgba())[:, :, :3].copy()
    save_png(path, picture)
    return picture
