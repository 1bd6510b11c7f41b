"""Inputs on the way from one latent to another."""

from __future__ import annotations

from typing import Any

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
    _check(inputs)
    half = len(inputs["z"]) // 2
    ends = inputs["z"][:half], inputs["z"][half:]
    found = {name: x[:half].repeat(n, 0) for name, x in inputs.items()}
    found["z"] = between(*ends, n).reshape(found["z"].shape)
    return found


def _check(inputs):
    if "z" not in inputs:
        raise ValueError(
            "interpolate: there are no latents z among the model's inputs: "
            f"{', '.join(inputs)}"
        )


def loop(inputs: dict[str, np.ndarray], n_latents: int, n: int) -> dict[str, Any]:
    """Turns K * N inputs into a closed path of N samples through K latents each.

    Args:
      inputs: {name: [K * N, ...]}, the first N samples' inputs at the first latent,
        then those at the second, and so on. All but `z` are those of the first.
      n_latents: K.
      n: steps from one latent to the next; the last comes before the first again.

    Returns {name: [K * n * N, ...]}, frame after frame. Raises ValueError for inputs
    without latents.
    """
    _check(inputs)
    z = inputs["z"].reshape(n_latents, -1, *inputs["z"].shape[1:])
    frames = []
    for a, b in zip(z, np.roll(z, -1, axis=0), strict=True):
        frames.append(between(a, b, n + 1)[:, :-1].swapaxes(0, 1))
    n_frames = n_latents * n
    found = {
        name: np.tile(x[: len(z[0])], (n_frames, *[1] * (x.ndim - 1)))
        for name, x in inputs.items()
    }
    return found | {"z": np.concatenate(frames).reshape(-1, *z.shape[2:])}
