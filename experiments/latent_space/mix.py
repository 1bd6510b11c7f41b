"""Style mixing: a grid of pictures with some layers' styles of other pictures.

Karras et al., arXiv 1812.04948, figure 3.
"""

from __future__ import annotations

import numpy as np

from experiments import origin
from experiments.latent_space import layers as ranges
from experiments.latent_space import outputs, points
from experiments.latent_space.generator import Styled
from experiments.sampling import pictures

ROWS, COLUMNS, LAYERS = "0-3", "4-9", "coarse,middle,fine"


def run(
    workdir: str,
    *,
    out: str,
    checkpoint: str | int | None = None,
    rows: str = ROWS,
    columns: str = COLUMNS,
    layers: str = LAYERS,
    label: str | None = None,
    truncation: float | None = None,
) -> str:
    """Draws a grid for each of several ranges of layers; returns where it is.

    The first row and the first column show the points; the picture in row r and column
    c is that of row r with the styles of column c in the layers of the grid.

    Args:
      rows, columns: points, see `points.read`.
      layers: "coarse,0-3,middle+fine": a grid each, see `layers.read`.
      label, truncation: of samples, see `points.read`.

    Raises ValueError or OSError for what is wrong in them.
    """
    outputs.check(out, (".png",))
    styled = Styled.load(workdir, checkpoint)
    chosen = [ranges.read(part, styled.n_ws) for part in layers.split(",")]
    given = {"label": label, "truncation": truncation}
    down = points.read(rows, styled, flag="--rows", **given)
    across = points.read(columns, styled, flag="--columns", **given)
    grids = []
    for text, found in zip(layers.split(","), chosen, strict=True):
        grid = _grid(styled, down, across, found)
        caption = f"{text}: layers {ranges.said(found)} are those of the column"
        grids.append(pictures.captioned(grid, [caption], 1))
    with origin.noted(**styled.model.origin()):
        pictures.save_png(outputs.made(out), np.concatenate(grids))
    return out


def mixed(down: np.ndarray, across: np.ndarray, layers: np.ndarray) -> np.ndarray:
    """Returns the latents [R, C, n_ws, w_dim] of the grid.

    down, across: [R, n_ws, w_dim] and [C, n_ws, w_dim]; the layers [K] are those of the
    second, all else is that of the first.
    """
    of_column = np.isin(np.arange(down.shape[1]), layers)[:, None]
    return np.where(of_column, across[None], down[:, None])


def _grid(styled, down, across, layers):
    rows, columns = (np.stack([x.ws for x in part]) for part in (down, across))
    cells = mixed(rows, columns, layers)
    cells = np.concatenate([rows[:, None], cells], axis=1)
    tiles = styled.images(np.concatenate([columns, *cells]))
    corner = np.ones((1, *styled.shape), tiles.dtype)
    return pictures.grid(np.concatenate([corner, tiles]), len(across) + 1)
