"""Pictures along directions of W: a page with sliders, or a strip."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from experiments import origin
from experiments.files import expanded
from experiments.latent_space import directions as kept
from experiments.latent_space import layers as ranges
from experiments.latent_space import outputs, points
from experiments.latent_space.generator import Styled
from experiments.pages import sliders
from experiments.sampling import pictures
from gans.data.kinds.image import encode

SEEDS, AMOUNT, FRAMES = "0-3", 3.0, 9
MOST_FRAMES = 31
_MARGIN = 130  # pixels, of names


def run(
    workdir: str,
    *,
    out: str,
    directions: str,
    checkpoint: str | int | None = None,
    seeds: str = SEEDS,
    amount: float = AMOUNT,
    frames: int = FRAMES,
    layers: str | None = None,
    label: str | None = None,
    truncation: float | None = None,
) -> str:
    """Moves points along directions, one at a time; returns where the pictures are.

    Args:
      out: x.html, a page with a slider for each direction; x.png, a strip for each
        point and direction.
      directions: "x.npz,y.npz", of `directions`.
      seeds: points, see `points.read`.
      amount: how far to both sides, in deviations of w along the direction.
      frames: pictures from one end to the other, an odd number: the middle one is the
        point itself.
      layers: those that are moved, see `layers.read`; by default as the directions say.
      label, truncation: of samples, see `points.read`.

    Raises ValueError or OSError for what is wrong in them.
    """
    suffix = outputs.check(out, (".html", ".png"))
    if suffix == ".html":
        sliders.check(Path(out))
    if not (3 <= frames <= MOST_FRAMES and frames % 2):
        raise ValueError(f"--frames={frames}: wanted an odd number, 3 to {MOST_FRAMES}")
    if not amount > 0:
        raise ValueError(f"--amount={amount:g}: wanted a positive number")
    styled = Styled.load(workdir, checkpoint)
    found = [kept.load(expanded(x.strip()), styled) for x in directions.split(",")]
    moved = None if layers is None else ranges.read(layers, styled.n_ws)
    given = {"label": label, "truncation": truncation}
    starts = points.read(seeds, styled, **given)
    amounts = np.linspace(-amount, amount, frames)
    titles = [name for group in found for name in group.names]
    made = []
    for point in starts:
        for group in found:
            at = group.layers if moved is None else moved
            for vector, deviation in zip(group.vectors, group.deviations, strict=True):
                ws = along(point.ws, vector, deviation * amounts, at)
                made.append(encode(styled.images(ws, point.noise or None)))
    path = outputs.made(out)
    if suffix == ".html":
        names = [point.name for point in starts]
        sprites = np.stack(made).reshape(
            len(starts), len(titles), frames, *styled.shape
        )
        _page(path, styled, names, titles, amounts, sprites)
    else:
        with origin.noted(**styled.model.origin()):
            _strip(path, starts, titles, amounts, np.concatenate(made))
    return out


def along(
    ws: np.ndarray, vector: np.ndarray, amounts: np.ndarray, layers: np.ndarray
) -> np.ndarray:
    """Returns ws [n_ws, w_dim] moved along a vector [w_dim] by amounts [F], in layers.

    [F, n_ws, w_dim], in the type of ws.
    """
    moves = np.zeros((len(amounts), *ws.shape))
    moves[:, layers] = (amounts[:, None] * vector)[:, None]
    return (ws + moves).astype(ws.dtype)


def _page(path: Path, styled, names, titles, amounts, sprites) -> None:
    config, step = styled.model.config, int(styled.model.state.step)
    said = f"{config.variant} on {config.data}, checkpoint of step {step:,}"
    sliders.write(path, said, names, titles, amounts, sprites)


def _strip(path: str | os.PathLike, starts, titles, amounts, images) -> None:
    """A row for each point and direction, with their names; amounts above."""
    grid = pictures.grid(images / np.float32(127.5) - 1, len(amounts))
    captions = [f"{x:+.3g}" if x else "0" for x in amounts]
    grid = pictures.captioned(grid, captions, len(amounts))
    names = [f"{point.name}\n{title}" for point in starts for title in titles]
    margin = Image.new("RGB", (_MARGIN, grid.shape[0]), "white")
    draw, font = ImageDraw.Draw(margin), ImageFont.load_default(12)
    top = pictures.CAPTION
    height = (grid.shape[0] - top) / len(names)
    for i, name in enumerate(names):
        at = (4, top + (i + 0.5) * height)
        draw.multiline_text(at, name, fill="black", font=font, anchor="lm")
    pictures.save_png(path, np.concatenate([np.asarray(margin), grid], axis=1))
