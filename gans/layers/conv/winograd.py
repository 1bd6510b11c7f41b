"""A convolution and its two gradients with fewer multiplications.

For m outputs and a kernel of r taps, m + r - 1 products of sums of inputs with sums of
taps replace m r products (Toom 1963, Cook 1966, Winograd 1980; for networks Lavin and
Gray, arXiv 1509.09308, where this is F(m, r)). In two axes F(4, 3) saves three of four
multiplications. Here the sums are products with small constant matrices, and the
products, over all tiles and channels, are one batch of n matrix products.

The result is mathematically exact; in float32 its rounding errors are about ten times
those of the direct sum (for F(4, 3) in two axes, 5e-6 against 5e-7 of the largest
output).
"""

import functools
import itertools
import math
from fractions import Fraction
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from gans.layers.conv.forms import kernel_to_depth, kernel_to_space
from gans.layers.conv.geometry import Geometry

# Where polynomials are evaluated, beside infinity: small numbers lose least precision.
_POINTS = tuple(map(Fraction, ("0", "1", "-1", "2", "-2", "1/2", "-1/2")))
# Reading, adding and writing a number costs about as much as this many operations.
_TOUCH = 150


def convolution(x: jax.Array, w: jax.Array, geometry: Geometry) -> jax.Array:
    """y [N, *Y, O] of x [N, *X, I] and w [*K, I, O]."""
    tiles = _tiles(geometry, x.shape[0], *w.shape[-2:])
    return tiles.join(_each(tiles.windows(x), tiles.taps(w), 2, 1))


def input_gradient(y: jax.Array, w: jax.Array, geometry: Geometry) -> jax.Array:
    """x [N, *X, I] of y [N, *Y, O] and w [*K, I, O]."""
    tiles = _tiles(geometry, y.shape[0], *w.shape[-2:])
    return tiles.overlap(_each(tiles.split(y), tiles.taps(w), 2, 2))


def kernel_gradient(x: jax.Array, y: jax.Array, geometry: Geometry) -> jax.Array:
    """w [*K, I, O] of x [N, *X, I] and y [N, *Y, O]."""
    tiles = _tiles(geometry, x.shape[0], x.shape[-1], y.shape[-1])
    return tiles.kernel(_each(tiles.windows(x), tiles.split(y), 1, 1))


def saving(geometry: Geometry, n: int, i: int, o: int) -> float:
    """How many times cheaper than a direct sum, for n images, i and o channels.

    Both are counted in operations; 0 where there is no such form.
    """
    tiles = _tiles(geometry, n, i, o)
    if tiles is None:
        return 0.0
    products = n * i * o * math.prod(geometry.y) * math.prod(geometry.w)
    return 2 * products / tiles.cost(n, i, o)


@functools.cache
def _tiles(geometry, n, i, o):
    """The cheapest tiling, or None."""
    sizes = [
        # Up to 5 taps: with more points, rounding errors grow too large.
        (1,) if r == 1 else tuple(m for m in (2, 3, 4) if m >= r - 1)
        for r in _Tiles(geometry, ()).r
    ]
    tilings = [_Tiles(geometry, m) for m in itertools.product(*sizes)]
    return min(tilings, key=lambda tiles: tiles.cost(n, i, o), default=None)


class _Tiles(NamedTuple):
    """Outputs cut into tiles of m, with an entry per axis as in `geometry`.

    Each of the T tiles needs a window of n inputs, m + r - 1 along each axis. Strides
    are phases: the S = prod(strides) pixels of x within one stride count as channels
    of one input, and a kernel of k taps has r = ceil(k / stride).
    """

    geometry: Geometry
    m: tuple[int, ...]

    @property
    def r(self):
        axes = zip(self.geometry.w, self.geometry.strides, strict=True)
        return tuple(-(-k // s) for k, s in axes)

    @property
    def window(self):
        return tuple(m + r - 1 for m, r in zip(self.m, self.r, strict=True))

    @property
    def t(self):
        """Tiles along each axis."""
        return tuple(-(-y // m) for y, m in zip(self.geometry.y, self.m, strict=True))

    def cost(self, n, i, o):
        """Operations for n images, i and o channels, numbers touched among them."""
        m, i = n * math.prod(self.t), i * math.prod(self.geometry.strides)
        each = 2 * m * i * o + _TOUCH * (m * i + i * o + m * o)
        return math.prod(self.window) * each

    @property
    def matrices(self):
        """A^T [prod m, n], G [n, prod r] and B^T [n, n], over all axes."""
        each = (toom_cook(m, r) for m, r in zip(self.m, self.r, strict=True))
        return tuple(functools.reduce(np.kron, x) for x in zip(*each, strict=True))

    def taps(self, w):
        """Sums of taps: w [*K, I, O] to [n, S I, O]."""
        w = kernel_to_depth(w, self.geometry)
        return _times(self.matrices[1], w.reshape(-1, *w.shape[-2:]))

    def kernel(self, sums):
        """The transpose of `taps`: [n, S I, O] to w [*K, I, O]."""
        w = _times(self.matrices[1].T, sums)
        return kernel_to_space(w.reshape(*self.r, *w.shape[1:]), self.geometry)

    def windows(self, x):
        """Sums over windows: x [N, *X, I] to [n, T N, S I]."""
        g = self.geometry
        j, t, phase = _indices(self.window, self.t, g.strides)
        m, s, low = (_per_axis(v, t) for v in (self.m, g.strides, g.low))
        pixels = _rank(s * (m * t + j) + phase - low, g.x)
        return _times(self.matrices[2], self._cut(x, pixels))

    def overlap(self, sums):
        """The transpose of `windows`: [n, T N, S I] to x [N, *X, I]."""
        g, sums = self.geometry, _times(self.matrices[2].T, sums)
        (x,) = _indices(g.x)
        m, s, low = (_per_axis(v, x) for v in (self.m, g.strides, g.low))
        q, phase = np.divmod(x + low, s)
        total = 0
        # A pixel is in its own tile's window, and may be in that of the tile before.
        for before in itertools.product((0, 1), repeat=len(self.m)):
            t = q // m - _per_axis(before, x)
            place = _rank((*(q - m * t), *t), (*self.window, *self.t))
            phases = _rank(phase, g.strides), math.prod(g.strides)
            total = total + self._paste(sums, place, *phases)
        return total

    def split(self, y):
        """Sums over tiles: y [N, *Y, O] to [n, T N, O]."""
        i, t = _indices(self.m, self.t)
        pixels = _rank(_per_axis(self.m, t) * t + i, self.geometry.y)
        return _times(self.matrices[0].T, self._cut(y, pixels))

    def join(self, sums):
        """The transpose of `split`: [n, T N, O] to y [N, *Y, O]."""
        (y,) = _indices(self.geometry.y)
        t, i = np.divmod(y, _per_axis(self.m, y))
        place = _rank((*i, *t), (*self.m, *self.t))
        sums = _times(self.matrices[0], sums)
        return self._paste(sums, place, np.zeros_like(place), 1)

    def _cut(self, x, pixels):
        """x [N, *X, C] at pixels [*K, *T, *S] of X, 0 at -1: [prod K, T N, S C]."""
        n, t = x.shape[0], math.prod(self.t)
        x = x.reshape(n, -1, x.shape[-1])
        k = math.prod(pixels.shape[: len(self.m)])
        pixels = pixels.reshape(k * t, -1, 1)
        numbers = lax.GatherDimensionNumbers((1, 3), (1,), (1,))
        cut = _gather(x, pixels, numbers, (n, 1, x.shape[2]))
        return cut.reshape(k, t * n, -1)

    def _paste(self, x, places, phases, s):
        """x [K, T N, S C] at places [*X] of [K, T] and phases [*X] of S: [N, *X, C]."""
        n = x.shape[1] // math.prod(self.t)
        x = x.reshape(-1, n, s, x.shape[2] // s)
        at = np.stack([places, phases], -1).reshape(-1, 2)
        numbers = lax.GatherDimensionNumbers((0, 2), (0, 2), (0, 2))
        pasted = _gather(x, at, numbers, (1, n, 1, x.shape[3]))
        return pasted.reshape(n, *places.shape, -1)


def _indices(*shapes):
    """Of each shape's axes, [d, *shape, ...]: their indices in all axes together."""
    at = np.indices(list(itertools.chain(*shapes)))
    return np.split(at, np.cumsum([len(shape) for shape in shapes])[:-1])


def _per_axis(values, at):
    """[d, 1, ...], to go with indices [d, ...]."""
    return np.reshape(values, (-1, *[1] * (at.ndim - 1)))


def _rank(at, shape):
    """Positions of the indices `at` in a flattened array of that shape; -1 outside."""
    inside = [(0 <= i) & (i < size) for i, size in zip(at, shape, strict=True)]
    rank = np.ravel_multi_index(tuple(at), shape, mode="clip")
    return np.where(np.logical_and.reduce(inside), rank, -1)


def _gather(x, at, numbers, sizes):
    """Rows of channels of x, zeros where `at` is -1.

    Rows are copied in parallel at memory speed: many times faster on a CPU than
    stacking slices, or padding and adding them. What is outside is known here: left to
    the gather, XLA takes seconds to fold the comparison of large images' indices.
    """
    outside = at.min(axis=-1) < 0
    rows = lax.gather(
        x,
        np.maximum(at, 0).astype(np.int32),
        numbers,
        sizes,
        mode="promise_in_bounds",
    )
    if not outside.any():
        return rows
    return jnp.where(np.expand_dims(outside, numbers.offset_dims), 0, rows)


@functools.cache
def toom_cook(m: int, r: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A^T [m, n], G [n, r] and B^T [n, n], n = m + r - 1, of F(m, r).

    A^T ((G w) * (B^T x)) = (sum_t w[t] x[i + t] for i < m), for w [r], x [n]: the
    transpose of the product of two polynomials by their values at n points, of which
    the last is infinity. The entries of B^T are integers.
    """
    n = m + r - 1
    infinity = [Fraction(0)] * (n - 1) + [Fraction(1)]
    powers = [[p**j for j in range(n)] for p in _POINTS[: n - 1]] + [infinity]
    inverse = _inverse(powers)
    g = [row[:r] for row in powers[:-1]] + [infinity[n - r :]]
    a = [row[:m] for row in powers[:-1]] + [infinity[n - m :]]
    b_t = [list(column) for column in zip(*inverse, strict=True)]
    for k, row in enumerate(b_t):
        scale = math.lcm(*(x.denominator for x in row))
        b_t[k], g[k] = [scale * x for x in row], [x / scale for x in g[k]]
    return np.array(a, float).T, np.array(g, float), np.array(b_t, float)


def _inverse(matrix):
    """Of rows of fractions, exactly (Gauss and Jordan)."""
    n = len(matrix)
    rows = [
        [*row, *(Fraction(i == j) for j in range(n))] for i, row in enumerate(matrix)
    ]
    for i in range(n):
        pivot = next(k for k in range(i, n) if rows[k][i])
        rows[i], rows[pivot] = rows[pivot], rows[i]
        rows[i] = [x / rows[i][i] for x in rows[i]]
        for k in range(n):
            if k != i:
                rows[k] = [
                    x - rows[k][i] * y for x, y in zip(rows[k], rows[i], strict=True)
                ]
    return [row[n:] for row in rows]


def _times(matrix, x):
    """matrix [K, L] times x [L, A, B], to [K, A, B]."""
    matrix = jnp.asarray(matrix, x.dtype)
    return (matrix @ x.reshape(len(x), -1)).reshape(-1, *x.shape[1:])


def _each(a, b, axis_a, axis_b):
    """Of each of n, the matrix product of a [n, ., .] and b [n, ., .]."""
    return lax.dot_general(a, b, (((axis_a,), (axis_b,)), ((0,), (0,))))
