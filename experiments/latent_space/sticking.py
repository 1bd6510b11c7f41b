"""Whether texture sticks to pixels: means of neighbours, and slices of walks.

Karras et al., arXiv 2106.12423, figure 1.
"""

from __future__ import annotations

import numpy as np

from experiments.latent_space import interpolate, outputs, points
from experiments.latent_space.generator import N_STATISTICS, Styled
from experiments.sampling import pictures

SEEDS, AMOUNT = "0-3", 0.3
N = 128  # neighbours, and steps of a walk


def run(
    workdir: str,
    *,
    out: str,
    checkpoint: str | int | None = None,
    seeds: str = SEEDS,
    amount: float = AMOUNT,
    label: str | None = None,
    truncation: float | None = None,
) -> str:
    """Draws a row of three pictures for each point; returns where they are.

    The image, the mean of those of 128 neighbours, and a slice: the middle column of
    each image on a walk from this point to the next, side by side. Texture that sticks
    to pixels is sharp in the mean, and makes horizontal streaks in the slice.

    Args:
      out: x.png.
      seeds: two points or more, see `points.read`.
      amount: how far neighbours are, in deviations of w along each dimension.
      label, truncation: of samples, see `points.read`.

    Raises ValueError or OSError for what is wrong in them.
    """
    outputs.check(out, (".png",))
    if not amount > 0:
        raise ValueError(f"--amount={amount:g}: wanted a positive number")
    styled = Styled.load(workdir, checkpoint)
    found = points.read(seeds, styled, label=label, truncation=truncation)
    if len(found) < 2:
        raise ValueError(f"--seeds={seeds}: slices need two points at least")
    ws = np.stack([x.ws for x in found])
    w, _ = styled.samples(N_STATISTICS, label)
    tiles = []
    for i, image in enumerate(styled.images(ws)):
        near = ws[i] + amount * neighbours(w.std(0), seed=i)[:, None]
        mean = styled.images(near.astype(np.float32)).mean(0)
        pair = np.stack([ws[i], ws[(i + 1) % len(ws)]])
        walk = styled.images(interpolate.lines(pair, N)[:N])
        tiles += [image, mean, sliced(walk)]
    pictures.save_png(outputs.made(out), pictures.grid(np.stack(tiles), 3))
    return out


def neighbours(deviation: np.ndarray, seed: int) -> np.ndarray:
    """Returns normal numbers [128, w_dim] of deviations [w_dim], and of mean 0."""
    drawn = np.random.default_rng(seed).normal(size=(N // 2, len(deviation)))
    return np.concatenate([drawn, -drawn]) * deviation


def sliced(images: np.ndarray) -> np.ndarray:
    """Images [N, H, W, C] -> the middle columns of W of them, [H, W, C]."""
    n, _, width, _ = images.shape
    chosen = np.linspace(0, n - 1, width).round().astype(int)
    return images[chosen, :, width // 2].swapaxes(0, 1)
