"""Sums of shifted maps: filters between sampling rates, without zeros and strides.

A map that is sampled `n` times as densely along an axis is kept as its n phases, each
[B, H, W, C], so that a filter to or from it multiplies no inserted zeros, and reads and
writes whole rows. On a CPU that takes a fifth of the time of depthwise convolutions
(12 taps up and down by two, 16 maps of 38x38 pixels and 32 channels, one core: 4.5 ms
in place of 21).
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

Terms = tuple[tuple[tuple[int, int, int, float], ...], ...]
Taps = list[list[tuple[int, int, int]]]


@functools.partial(jax.custom_vjp, nondiff_argnums=(1, 2))
def shifted_sums(
    xs: tuple[Array, ...], terms: Terms, size: tuple[int, int]
) -> tuple[Array, ...]:
    """Maps xs, each [B, H, W, C], to a map [B, *size, C] for each of `terms`.

    y[i, j] is the sum over (k, dy, dx, weight) of weight xs[k][i + dy, j + dx], and of
    zeros beyond the edges. Its derivative is again such sums, to any order in reverse
    mode.
    """
    wide = jnp.promote_types(xs[0].dtype, jnp.float32)
    needed: dict[int, list[tuple[int, int]]] = {}
    for of_one in terms:
        for k, dy, dx, _ in of_one:
            needed.setdefault(k, []).append((dy, dx))
    padded, low = {}, {}
    for k, offsets in needed.items():
        first, last = np.min(offsets, 0), np.max(offsets, 0)
        pads = [
            (int(-a), int(n + b - m), 0)
            for a, b, n, m in zip(first, last, size, xs[k].shape[1:3], strict=True)
        ]
        x = xs[k].astype(wide)
        zero = jnp.zeros((), wide)
        x = lax.pad(x, zero, [(0, 0, 0), *pads, (0, 0, 0)])
        padded[k] = lax.optimization_barrier(x)  # or XLA computes x again for each tap
        low[k] = first

    def window(k, dy, dx):
        y, x = int(dy - low[k][0]), int(dx - low[k][1])
        return padded[k][:, y : y + size[0], x : x + size[1]]

    def sums():
        each = (sum(w * window(k, dy, dx) for k, dy, dx, w in one) for one in terms)
        return tuple(y.astype(xs[0].dtype) for y in each)

    def never():
        shape = (xs[0].shape[0], *size, xs[0].shape[3])
        return tuple(jnp.full(shape, jnp.nan, xs[0].dtype) for _ in terms)

    # XLA does not know that this branch is taken, and so writes its result to memory.
    # Without it whoever reads the result, such as the windows of a convolution, adds
    # all up again for each read: a whole generator took seven times as long.
    return lax.cond(lax.optimization_barrier(jnp.array(True)), sums, never)


def _forward(xs, terms, size):
    return shifted_sums(xs, terms, size), (len(xs), xs[0].shape[1:3])


def _backward(terms, size, kept, ys):
    n, before = kept
    transposed = [[] for _ in range(n)]
    for i, of_one in enumerate(terms):
        for k, dy, dx, weight in of_one:
            transposed[k].append((i, -dy, -dx, weight))
    return (shifted_sums(ys, tuple(map(tuple, transposed)), before),)


shifted_sums.defvjp(_forward, _backward)


def rising(taps: int, up: int, low: int, phases: int) -> Taps:
    """(tap, source, offset) of each output phase, of a filter after zeros are inserted.

    From `phases` to phases * up; `low` zeros are before the first sample.
    """
    made = []
    for p in range(phases * up):
        places = [(t, p + t - low) for t in range(taps)]
        each = [(t, i // up) for t, i in places if i % up == 0]
        made.append([(t, i % phases, i // phases) for t, i in each])
    return made


def falling(taps: int, down: int, phases: int) -> Taps:
    """As `rising`, of a filter where it fits, of which every `down`-th sample is kept.

    From `phases` to phases / down.
    """
    starts = range(0, phases, down)
    return [
        [(t, (o + t) % phases, (o + t) // phases) for t in range(taps)] for o in starts
    ]


def terms(f: np.ndarray, rows: Taps, columns: Taps, n: int) -> Terms:
    """The terms of correlating with f [K, L] maps of n phases in each row."""
    return tuple(
        tuple(
            (k * n + m, dy, dx, float(f[s, t]))
            for s, k, dy in row
            for t, m, dx in column
        )
        for row in rows
        for column in columns
    )


def still(phases: int) -> Taps:
    """As `rising`, of no filter."""
    return [[(0, p, 0)] for p in range(phases)]


def split(x: Array, phases: int) -> tuple[Array, ...]:
    """x [B, H, W, C] -> its phases squared maps, rows first, padded to one size."""
    pads = [(0, -n % phases) for n in x.shape[1:3]]
    x = jnp.pad(x, [(0, 0), *pads, (0, 0)]) if phases > 1 else x
    pairs = [(p, q) for p in range(phases) for q in range(phases)]
    return tuple(x[:, p::phases, q::phases] for p, q in pairs)


def joined(xs: tuple[Array, ...], size: tuple[int, int]) -> Array:
    """The inverse of `split`, cropped: maps [B, H, W, C] -> [B, *size, C]."""
    phases = round(len(xs) ** 0.5)
    if phases > 1:
        b, h, w, c = xs[0].shape
        x = jnp.stack(xs, 3).reshape(b, h, w, phases, phases, c)
        x = jnp.swapaxes(x, 2, 3).reshape(b, h * phases, w * phases, c)
    else:
        (x,) = xs
    return x[:, : size[0], : size[1]]
