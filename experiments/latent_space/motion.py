"""Images whose generator's input moves or turns, as an animation (arXiv 2106.12423)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from tqdm import tqdm

from experiments.latent_space import generator, outputs, points
from experiments.latent_space.generator import BATCH, Styled
from experiments.sampling import animation, pictures
from gans.metrics.scores import equivariance

SEEDS, FRAMES, FPS = "0-3", 48, 24
AMOUNT = 0.1  # sides of the image


def pan(workdir: str, *, amount: float = AMOUNT, **options) -> str:
    """Moves images once around a circle; returns where they are.

    amount: its radius, in sides of the image. The others are as in `rotate`.
    """
    if not 0 < amount <= 1:
        raise ValueError(f"--amount={amount:g}: wanted above 0 and at most 1 (a side)")

    def circle(t):
        return equivariance.translation(amount * np.sin(t), amount * (1 - np.cos(t)))

    return _animated(workdir, circle, **options)


def rotate(workdir: str, **options) -> str:
    """Turns images once about their middle; returns where they are.

    Args:
      out: x.gif, x.webp or x.mp4; x.png: all frames, a row for each point.
      seeds: points, see `points.read`: a column of the animation for each.
      frames: of the animation.
      beside: the folder of another run, whose images are below these.
      label, truncation: of samples, see `points.read`.
      fps: frames a second.

    Raises ValueError or OSError for what is wrong in them, and for a generator whose
    input cannot be moved.
    """
    return _animated(workdir, equivariance.rotation, **options)


def _animated(
    workdir,
    motion,
    *,
    out,
    checkpoint=None,
    seeds=SEEDS,
    frames=FRAMES,
    beside=None,
    label=None,
    truncation=None,
    fps=FPS,
):
    suffix = outputs.check(out, (*animation.SUFFIXES, ".png"))
    if frames < 2:
        raise ValueError(f"--frames={frames}: wanted at least 2")
    if not 1 <= fps <= 60:
        raise ValueError(f"--fps={fps:g}: wanted 1 to 60")
    models = [Styled.load(workdir, checkpoint)]
    models += [Styled.load(beside)] if beside else []
    for styled in models:
        generator.check_moves(styled.model.gan)
    if len({styled.shape for styled in models}) > 1:
        sizes = " and ".join(f"{x.shape[1]}x{x.shape[0]}" for x in models)
        raise ValueError(f"--beside={beside}: its images are of another size: {sizes}")
    given = {"label": label, "truncation": truncation}
    rows = [
        (x, np.stack([p.ws for p in points.read(seeds, x, **given)])) for x in models
    ]
    inverse = transforms(motion, frames)
    made = outputs.made(out)
    if suffix == ".png":
        shown = [x.images(ws[[i] * frames], transform=inverse)
                 for x, ws in rows for i in range(len(ws))]  # fmt: skip
        pictures.save_png(made, pictures.grid(np.concatenate(shown), frames))
    else:
        animation.save(made, _frames(rows, inverse), fps=fps)
    return out


def transforms(motion, n: int) -> np.ndarray:
    """Returns the transforms [n, 3, 3] of the input for a motion of the image.

    motion: t in [0, 2 pi) -> the matrix [3, 3] that moves points of the image.
    """
    turns = 2 * np.pi * np.arange(n) / n
    return np.stack([np.linalg.inv(motion(t)) for t in turns]).astype(np.float32)


def _frames(rows, inverse) -> Iterator[np.ndarray]:
    # disable=None: at a terminal only
    for start in tqdm(range(0, len(inverse), BATCH), unit=" batches", disable=None):
        part, tiles = inverse[start : start + BATCH], []
        for styled, ws in rows:
            each = [
                styled.images(w[None].repeat(len(part), 0), transform=part) for w in ws
            ]
            tiles.append(np.stack(each, 1))
        for together in np.concatenate(tiles, 1):
            columns = len(rows[0][1])
            yield animation.enlarged(pictures.grid(together, columns))
