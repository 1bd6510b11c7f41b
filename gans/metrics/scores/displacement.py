"""How far what is seen in a clip moves from frame to frame, and how smoothly.

Of each 8x8 block of a frame, at every fourth pixel, the displacement to the next frame
is the whole one with the smallest squared difference, within 4 pixels, and the nearest
of those that are equal; then one step of B. D. Lucas and T. Kanade, An iterative image
registration technique (1981), gives its fraction. So several objects have their own
displacements. A clip has the mean of their lengths, weighted by the blocks' squared
gradients: what is flat weighs nothing.

Frames are measured at half, a third, ... of their size, by averages of pixels, where
their shorter side is still 32 or more; displacements are in pixels of the frames.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

BLOCK, STEP, REACH = 8, 4, 4  # pixels
SIDE = 32  # pixels that the shorter side keeps
LUMA = (0.299, 0.587, 0.114)
_RIDGE = 1e-3  # of squared gradients: along an edge a block does not move
_NEARER = 1e-6  # of squared differences, that a pixel of displacement costs


def reach(shape: tuple[int, ...]) -> int:
    """Returns the largest displacement that is found in clips [T, H, W, C], in pixels.

    It is that along each axis, without the fraction.
    """
    return REACH * _factor(shape)


def measure(clips: Array) -> tuple[Array, Array]:
    """Returns the displacement and the unexplained share of each clip, float32 [B].

    The displacement is in pixels a frame. The share is the squared difference to the
    next frame that the best displacements leave, relative to that of no displacement
    and no structure: the variance in the blocks. It is near 0 where all that is seen
    only moves, and large where a clip flickers. A clip without structure has 0 of both.

    clips: uint8 [B, T, H, W, C], T > 1, H and W at least 8; traced.
    """
    b, t, h, w, c = clips.shape
    x = clips.astype(jnp.float32) / 255
    x = x @ jnp.array(LUMA, jnp.float32) if c == 3 else x[..., 0]
    factor = _factor(clips.shape[1:])
    h, w = h // factor, w // factor
    x = x[:, :, : h * factor, : w * factor]
    x = x.reshape(b, t, h, factor, w, factor).mean((3, 5))
    here, after = (y.reshape(-1, h, w) for y in (x[:, :-1], x[:, 1:]))
    padded = jnp.pad(after, ((0, 0), *[(REACH + 1,) * 2] * 2), "edge")
    shifts = [
        (i, j) for i in range(-REACH, REACH + 1) for j in range(-REACH, REACH + 1)
    ]
    shifts = jnp.array(sorted(shifts, key=lambda d: d[0] ** 2 + d[1] ** 2))
    down, right = _gradients(jnp.pad(here, ((0, 0), (1, 1), (1, 1)), "edge"))

    def of_shift(shift):
        corner = shift + REACH + 1
        moved = lax.dynamic_slice(padded, (0, *corner), here.shape)
        difference = moved - here
        return jnp.stack(
            [_blocks(difference * y) for y in (difference, down, right)], -1
        )

    def better(best, shift):
        found = of_shift(shift)
        cost = found[..., 0] + _NEARER * jnp.sqrt((shift**2).sum())
        is_better = cost < best[0]
        chosen = jnp.where(is_better[..., None], shift, best[2])
        found = jnp.where(is_better[..., None], found, best[1])
        return (jnp.minimum(cost, best[0]), found, chosen), None

    weights = _blocks(down**2 + right**2)
    first = jnp.full(weights.shape, jnp.inf)
    found = jnp.zeros((*weights.shape, 3)), jnp.zeros((*weights.shape, 2), jnp.int32)
    (_, sums, whole), _ = lax.scan(better, (first, *found), shifts)
    fraction = _step(_blocks(down**2), _blocks(down * right), _blocks(right**2), sums)
    length = factor * jnp.hypot(*jnp.moveaxis(whole + fraction, -1, 0))
    variance = _blocks(here**2) - _blocks(here) ** 2 / BLOCK**2

    def clip(y):
        return y.reshape(b, -1).sum(1)

    def share(part, whole):
        return jnp.where(whole > 1e-4, part / jnp.maximum(whole, 1e-4), 0)

    return (
        share(clip(weights * length), clip(weights)),
        share(clip(sums[..., 0]), clip(variance)),
    )


def _factor(shape):
    return max(1, min(shape[1:3]) // SIDE)


def _gradients(padded):
    """Central differences down and to the right of [N, h + 2, w + 2]."""
    down = (padded[:, 2:, 1:-1] - padded[:, :-2, 1:-1]) / 2
    return down, (padded[:, 1:-1, 2:] - padded[:, 1:-1, :-2]) / 2


def _blocks(x):
    """Sums over blocks: [N, h, w] -> [N, rows, columns]."""
    n, h, w = x.shape
    rows, columns = h // STEP, w // STEP
    cells = x[:, : rows * STEP, : columns * STEP].reshape(n, rows, STEP, columns, STEP)
    cells = cells.sum((2, 4))  # a block is 2x2 of them
    pairs = cells[:, :-1] + cells[:, 1:]
    return pairs[:, :, :-1] + pairs[:, :, 1:]


def _step(aa, ab, bb, sums):
    """The fraction that least squares give, at most one pixel along each axis."""
    ridge = _RIDGE * (aa + bb) + 1e-8
    a, b = aa + ridge, bb + ridge
    down, right = -sums[..., 1], -sums[..., 2]
    scale = 1 / (a * b - ab**2)
    fraction = [(b * down - ab * right) * scale, (a * right - ab * down) * scale]
    return jnp.clip(jnp.stack(fraction, -1), -1, 1)


def distance(a: np.ndarray, b: np.ndarray) -> float:
    """Returns Wasserstein's distance of two samples of numbers, [N] and [M].

    It is the mean distance that they have to be moved to be equally distributed.
    """
    from scipy.stats import wasserstein_distance  # takes a second

    return float(wasserstein_distance(a, b))


compiled = jax.jit(measure)
