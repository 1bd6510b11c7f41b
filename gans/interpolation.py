"""Points between latents: straight lines and great circles."""

from __future__ import annotations

import numpy as np
from jax import Array


def lerp(a: Array | np.ndarray, b: Array | np.ndarray, t: np.ndarray) -> np.ndarray:
    """The point a + t (b - a) of a straight line, in float64: [N, L] of t [N, 1]."""
    a, b = (np.asarray(x, np.float64) for x in (a, b))
    return a + t * (b - a)


def slerp(a: Array | np.ndarray, b: Array | np.ndarray, t: np.ndarray) -> np.ndarray:
    """The point at t of the great circle from a to b, in float64: [N, L] of t [N, 1].

    The direction turns by t times the angle between a and b, and the length changes
    linearly from that of a to that of b. So all points between two Gaussian latents
    have lengths that are typical of latents; on a straight line they have not (White,
    arXiv 1609.04468, section 2.1).

    That paper weights the ends themselves by sines. For ends of unequal lengths the
    angle then does not grow evenly, and between nearly opposite ends the length
    overshoots both. StyleGAN's code normalises both ends and returns unit vectors, as
    its mapping ignores the length. All three agree for ends of length 1.

    Not defined for ends that are opposite to each other, or 0.
    """
    a, b = (np.asarray(x, np.float64) for x in (a, b))
    length_a, length_b = (np.linalg.norm(x, axis=1, keepdims=True) for x in (a, b))
    a, b = a / length_a, b / length_b
    cosine = np.sum(a * b, axis=1, keepdims=True)
    across = b - cosine * a
    sine = np.linalg.norm(across, axis=1, keepdims=True)
    angle = t * np.arctan2(sine, cosine)
    across = np.divide(across, sine, out=np.zeros_like(a), where=sine > 0)
    direction = a * np.cos(angle) + across * np.sin(angle)
    return direction * (length_a + t * (length_b - length_a))
