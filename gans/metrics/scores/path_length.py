"""Perceptual path length: how far an image changes for a step between two latents.

Karras et al., arXiv 1812.04948, section 4.1. A latent space in which the factors of
variation are entangled has sharp bends between points, and so a long path.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from gans.interpolation import lerp, slerp
from gans.names import check

Map = Callable[[Array, Array], Array]


class PathLength(NamedTuple):
    """Mean and its standard error of the n path lengths kept, in distance / step^2."""

    mean: float
    standard_error: float
    n: int


def path_length(
    generate: Map,
    distance: Callable[[Array, Array], Array],
    z0: np.ndarray,
    z1: np.ndarray,
    *,
    key: Array,
    mapping: Map | None = None,
    sampling: str = "full",
    epsilon: float = 1e-4,
    batch_size: int = 64,
) -> PathLength:
    """The mean of d(g(point(t)), g(point(t + epsilon))) / epsilon^2 over paths.

    Of all values, those below the 1st and above the 99th percentile are left out, as in
    the authors' code: the number is dominated by few pairs otherwise.

    Precision: points are interpolated in float64, then rounded to float32, as are
    images. With a step of 1e-4 that leaves a length wrong at random by some 3e-4 of
    itself, and the mean of 64 by 2e-5 (LPIPS of a DCGAN, against all in float64; with
    interpolation in float32 they were 7e-4 and 2e-4). A smaller step is worse in
    proportion. 8-bit images cannot show the difference at all.

    Args:
      generate: (latents [B, L], key) -> float images [B, H, W, C]. Both ends of a pair
        get the same key: draw noise and labels from nothing else. Without
        `mapping` the latents are z, else w.
      distance: (x, y), both [B, H, W, C] -> [B], quadratic in small differences, as
        LPIPS is. Jit both yourself; the last batch may be smaller.
      z0, z1: [N, L] ends of the paths.
      mapping: None measures in Z, along `slerp`; (z [B, L], key) -> w [B, W] measures
        in W, along straight lines.
      sampling: "full": t uniform in [0, 1); "end": t = 0, where latents are likelier.
      epsilon: the step, as a share of the path.

    Raises ValueError for shapes that differ, another `sampling`, images that are not
    floats, and distances that are not finite.
    """
    check(sampling, ("full", "end"), "path_length: sampling")
    if np.ndim(z0) != 2 or np.shape(z0) != np.shape(z1):
        raise ValueError(
            f"path_length: z0 {np.shape(z0)} and z1 {np.shape(z1)}, accepted are two "
            "of one shape [N, L]"
        )
    key_t, key = jax.random.split(key)
    t = np.zeros((len(z0), 1))
    if sampling == "full":
        t += jax.random.uniform(key_t, t.shape)
    found = []
    for start in range(0, len(z0), batch_size):
        rows = slice(start, start + batch_size)
        key_batch = jax.random.fold_in(key, start)
        ends, path = (z0[rows], z1[rows]), slerp
        if mapping is not None:
            ends, path = tuple(mapping(z, key_batch) for z in ends), lerp
        points = (path(*ends, t[rows] + step) for step in (0, epsilon))
        pair = [generate(jnp.asarray(p, jnp.float32), key_batch) for p in points]
        if not jnp.issubdtype(pair[0].dtype, jnp.floating):
            raise ValueError(
                f"path_length: images are {pair[0].dtype}, accepted are floats: a step "
                "is far less than a level of 8-bit images"
            )
        found.append(np.asarray(distance(*pair), np.float64))
    return _summary(np.concatenate(found) / epsilon**2)


def _summary(lengths):
    if not np.isfinite(lengths).all():
        n_bad = int(np.sum(~np.isfinite(lengths)))
        raise ValueError(f"path_length: {n_bad} of {len(lengths)} are not finite")
    low = np.percentile(lengths, 1, method="lower")
    high = np.percentile(lengths, 99, method="higher")
    kept = lengths[(low <= lengths) & (lengths <= high)]
    error = kept.std(ddof=1) / len(kept) ** 0.5 if len(kept) > 1 else np.nan
    return PathLength(float(kept.mean()), float(error), len(kept))
