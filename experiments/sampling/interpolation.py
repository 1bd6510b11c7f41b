"""Inputs on the way from one latent to another."""

from __future__ import annotations

import numpy as np

from gans import interpolation


def between(a: np.ndarray, b: np.ndarray, n: int) -> np.ndarray:
    """Returns n points of the great circle from each a to its b, both ends included.

    Args:
      a, b: [N, ...]; neither 0 nor opposite to each other.

    Returns [N, n, ...], of the type of `a`; see `gans.interpolation.slerp`.
    """
    ends = (np.asarray(x).reshape(len(x), -1).repeat(n, 0) for x in (a, b))
    t = np.tile(np.linspace(0, 1, n), len(a))[:, None]
    points = interpolation.slerp(*ends, t)
    return points.reshape(len(a), n, *a.shape[1:]).astype(a.dtype)


def rows(inputs: dict[str, np.ndarray], n: int) -> dict[str, np.ndarray]:
    """Turns 2N inputs into N rows of n: the first half on its way to the second.

    Args:
      inputs: {name: [2N, ...]}. Latents `z` are interpolated; all else is that of the
        first half, throughout its row.

    Returns {name: [N * n, ...]}. Raises ValueError for inputs without latents.
    """
    if "z" not in inputs:
        raise ValueError(
            "interpolate: there are no latents z among the model's inputs: "
            f"{', '.join(inputs)}"
        )
    half = len(inputs["z"]) // 2
    ends = inputs["z"][:half], inputs["z"][half:]
    found = {name: x[:half].repeat(n, 0) for name, x in inputs.items()}
    found["z"] = between(*ends, n).reshape(found["z"].shape)
    return found
