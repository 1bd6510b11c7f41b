"""Distributions in the plane, whose modes can be counted and drawn.

`ring8` is that of Unrolled GANs (arXiv 1611.02163, appendix): eight Gaussians of
standard deviation 0.02 on a circle of radius 2. `grid25` is VEEGAN's 5x5 grid (arXiv
1705.07761), with PacGAN's centres and variance of 0.0025 (arXiv 1712.04086). `circle`
is this project's own.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from gans.data.sets import NoSplit
from gans.data.source import InMemory

NAMES = ("circle", "ring8", "grid25")
SEEDED = True
N_POINTS = 2**17
SPLITS = ("train", "test")


@dataclasses.dataclass(frozen=True, eq=False)
class Plane(InMemory):
    """Points with their distribution: `modes` float32 [K, 2] or a circle's `radius`.

    `sigma` is the standard deviation about a mode (each axis), or of the radius.
    """

    modes: np.ndarray | None = None
    sigma: float = 0.0
    radius: float | None = None


def circle(rng: np.random.Generator, *, radius=5.0, sigma=0.5) -> Plane:
    """A ring: the angle is uniform, the distance to 0 is normal. `point` [N, 2]."""
    angle = rng.uniform(0, 2 * np.pi, N_POINTS)
    length = radius + sigma * rng.standard_normal(N_POINTS)
    points = length[:, None] * np.stack([np.cos(angle), np.sin(angle)], 1)
    arrays = {"point": points.astype(np.float32)}
    return Plane("circle", arrays, sigma=sigma, radius=radius)


def ring8(rng: np.random.Generator) -> Plane:
    """Eight Gaussians on the circle of radius 2, sigma 0.02. `point` [N, 2]."""
    angle = np.arange(8) * (2 * np.pi / 8)
    modes = 2 * np.stack([np.cos(angle), np.sin(angle)], 1)
    return _mixture("ring8", rng, modes, 0.02)


def grid25(rng: np.random.Generator) -> Plane:
    """25 Gaussians on {-4, -2, 0, 2, 4}^2, sigma 0.05. `point` [N, 2]."""
    ticks = np.arange(-4.0, 5.0, 2.0)
    modes = np.stack(np.meshgrid(ticks, ticks), -1).reshape(-1, 2)
    return _mixture("grid25", rng, modes, 0.05)


def load(name: str, *, split: str = "train", seed: int = 0, **_unused) -> Plane:
    """The set called `name`: 131,072 points `point` float32 [N, 2] drawn by `seed`.

    `split` is "train" or "test", which are independent draws. Raises ValueError for
    any other.
    """
    if split not in SPLITS:
        raise NoSplit(f"{name} has no split {split!r}; it has {', '.join(SPLITS)}")
    rng = np.random.default_rng((seed, SPLITS.index(split)))
    return {"circle": circle, "ring8": ring8, "grid25": grid25}[name](rng)


def _mixture(name, rng, modes, sigma) -> Plane:
    """Equally likely Gaussians about `modes` [K, 2]."""
    which = rng.integers(len(modes), size=N_POINTS)
    points = modes[which] + sigma * rng.standard_normal((N_POINTS, 2))
    arrays = {"point": points.astype(np.float32)}
    return Plane(name, arrays, modes=modes.astype(np.float32), sigma=sigma)
