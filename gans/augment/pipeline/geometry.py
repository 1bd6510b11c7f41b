"""Pixel blitting and geometric transformations: one affine map, resampled once.

Arrays of inverse matrices [B, 3, 3] map the place (x, y, 1) of an output pixel to that
of the input, in pixels from the image's centre.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from gans.augment.pipeline.transform import Transform, normal, uniform

# The wavelet "symlets 6" (arXiv 2006.06676, appendix B.2). Its low-pass filter is
# orthogonal to its own shifts by 2, so that doubling the pixels with it and halving
# them with the mirrored one is the identity.
SYM6 = (
    *(0.015404109327, 0.003490712084, -0.117990111148, -0.048311742586),
    *(0.491055941927, 0.787641141030, 0.337929421728, -0.072637522786),
    *(-0.021060292512, 0.044724901771, 0.001767711864, -0.007800708325),
)
LOW_PASS = np.array(SYM6) / np.sum(SYM6)
MARGIN = len(SYM6) // 4  # pixels around the output that its filter needs


def inverse(
    values: dict[str, Array], fired: dict[str, Array], height: int, width: int
) -> Array:
    """The inverse [B, 3, 3] of the transformations that have `fired` [B], in order.

    values: [B, ...] as drawn, of the names in `TRANSFORMS` that are to be used.
    """
    found = eye = jnp.eye(3)
    for name, transform in TRANSFORMS.items():
        if name in values:
            one = transform.made(values[name], width, height)
            one = jnp.where(fired[name][:, None, None], one, eye)
            found = jnp.matmul(found, one, precision="highest")
    return found


def resample(x: Array, inverse: Array) -> Array:
    """x [B, H, W, C] moved by the inverses [B, 3, 3] -> the same shape.

    Appendix B.2 of arXiv 2006.06676: twice as many pixels by the wavelet's filter,
    bilinear interpolation there, and half as many by the same filter, mirrored. What is
    outside is the image's reflection.

    Deviation: the reflection has no end. The authors' margin is at most the image's
    size, with zeros beyond, which few images reach.
    """
    height, width = x.shape[1:3]

    def times(equation, matrix, x):
        return jnp.einsum(equation, matrix.astype(x.dtype), x, precision="highest")

    # Reflected, an image is periodic: one period is enough to sample from.
    y = times("jh,bhwc->bjwc", _upsampling(height), x)
    y = times("kw,bjwc->bjkc", _upsampling(width), y)
    places = _places(inverse.astype(x.dtype), height, width)
    y = _bilinear(y, *places, y.shape[1:3])
    y = times("wk,bjkc->bjwc", _downsampling(width), y)
    return times("hj,bjwc->bhwc", _downsampling(height), y)


def _places(inverse, height, width):
    """Rows and columns [B, 2(H + 6), 2(W + 6)] to sample, in doubled pixels."""
    columns, rows = (
        jnp.arange(2 * (n + 2 * MARGIN), dtype=inverse.dtype) - (n + 2 * MARGIN) + 1
        for n in (width, height)
    )
    # Doubled pixels from the centre; shifts are in pixels. Pixel i becomes 2i, which is
    # half a doubled pixel before the place of its centre.
    columns, rows = columns[None, None, :], rows[None, :, None]
    m = inverse[:, :, :, None, None]
    x = m[:, 0, 0] * columns + m[:, 0, 1] * rows + 2 * m[:, 0, 2] + width - 1
    y = m[:, 1, 0] * columns + m[:, 1, 1] * rows + 2 * m[:, 1, 2] + height - 1
    return y, x


# On a CPU, four gathers are the fastest form of the one, and one scatter of 2x2 pixels
# is the fastest of the other, twice as fast as the transposes of four gathers.


@functools.partial(jax.custom_vjp, nondiff_argnums=(3,))
def _bilinear(image, y, x, size):
    """Values [B, J, K, C] of the periodic image [B, *size, C] at y, x [B, J, K]."""
    height, width = size
    top, left, down, right = _corners(y, x, size)
    bottom, far = (top + 1) % height, (left + 1) % width
    flat = image.reshape(len(image), height * width, -1)

    def at(row, column):
        index = (row * width + column).reshape(len(image), -1, 1)
        found = jnp.take_along_axis(flat, index, axis=1, mode="promise_in_bounds")
        return found.reshape(*y.shape, -1)

    upper = at(top, left) * (1 - right) + at(top, far) * right
    lower = at(bottom, left) * (1 - right) + at(bottom, far) * right
    return upper * (1 - down) + lower * down


@functools.partial(jax.custom_vjp, nondiff_argnums=(3,))
def _spread(values, y, x, size):
    """The transpose of `_bilinear`: values [B, J, K, C] -> image [B, *size, C]."""
    height, width = size
    n, channels = len(values), values.shape[-1]
    top, left, down, right = _corners(y, x, size)
    parts = values * (1 - down), values * down
    parts = [part * by for part in parts for by in (1 - right, right)]
    windows = jnp.stack(parts, axis=-2).reshape(n, -1, 2, 2, channels)
    start = jnp.stack([top, left], axis=-1).reshape(n, -1, 2)
    zeros = jnp.zeros((n, height + 1, width + 1, channels), values.dtype)
    to = lax.ScatterDimensionNumbers((1, 2, 3), (), (0, 1))
    add = functools.partial(
        lax.scatter_add, dimension_numbers=to, mode="promise_in_bounds"
    )
    image = jax.vmap(add)(zeros, start, windows)
    # What has gone beyond the last row and column belongs to the first.
    image = image[:, :height].at[:, 0].add(image[:, height])
    return image[:, :, :width].at[:, :, 0].add(image[:, :, width])


def _transposes(one, other):
    """Makes each of two linear maps the other's derivative; places have none."""
    for f, transpose in ((one, other), (other, one)):
        f.defvjp(
            lambda a, y, x, size, f=f: (f(a, y, x, size), (y, x)),
            lambda size, places, to, transpose=transpose: (
                transpose(to, *places, size),
                None,
                None,
            ),
        )


_transposes(_bilinear, _spread)


def _corners(y, x, size):
    """The first of four pixels [B, J, K], and shares [B, J, K, 1] of the last."""
    top, left = jnp.floor(y), jnp.floor(x)
    rows, columns = (
        a.astype(jnp.int32) % n for a, n in zip((top, left), size, strict=True)
    )
    return rows, columns, (y - top)[..., None], (x - left)[..., None]


def _upsampling(n):
    """The matrix [4(n - 1), n] of one period of n reflected pixels, doubled."""
    period = 2 * (n - 1)
    found = np.zeros((2 * period, n))
    for tap, weight in enumerate(LOW_PASS):
        # Output j is the sum over taps of pixel (j + 5 - tap) / 2, where that is whole.
        j = np.arange(2 * period)
        j = j[(j + 5 - tap) % 2 == 0]
        pixel = (j + 5 - tap) // 2 % period
        np.add.at(found, (j, np.minimum(pixel, period - pixel)), 2 * weight)
    return found


def _downsampling(n):
    """The matrix [n, 2(n + 6)] of each second pixel, without the margin."""
    found = np.zeros((n, 2 * (n + 2 * MARGIN)))
    for tap, weight in enumerate(LOW_PASS):
        found[np.arange(n), 2 * np.arange(n) + tap + 1] = weight
    return found


# --- the transformations, each from (value [B, ...], width, height) to an inverse -----


def _matrix(first, second):
    """[B, 3, 3] of two rows of numbers or arrays [B]; the third is 0, 0, 1."""
    entries = jnp.broadcast_arrays(*first, *second, 0.0, 0.0, 1.0)
    return jnp.stack(entries, axis=-1).reshape(-1, 3, 3)


def _scaled(x, y):
    return _matrix((1 / x, 0.0, 0.0), (0.0, 1 / y, 0.0))


def _shifted(x, y):
    return _matrix((1.0, 0.0, -x), (0.0, 1.0, -y))


def _turned(angle):
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    return _matrix((cos, -sin, 0.0), (sin, cos, 0.0))


def _xint(u, width, height):
    shift = 0.125 * (2 * u - 1)
    return _shifted(jnp.round(shift[:, 0] * width), jnp.round(shift[:, 1] * height))


def _aniso(u, width, height):
    by = 2 ** (0.2 * u)
    return _scaled(by, 1 / by)


def _scale(u, width, height):
    by = 2 ** (0.2 * u)
    return _scaled(by, by)


def _rotate(u, width, height):
    return _turned(np.pi * (2 * u - 1))


def _half(p):
    """Of two independent coins, the chance with which one or both fire with p []."""
    return 1 - jnp.sqrt(1 - jnp.minimum(p, 1))


# In this order.
TRANSFORMS = {
    "xflip": Transform(uniform, lambda u, *_: _scaled(1 - 2 * jnp.floor(2 * u), 1.0)),
    "rotate90": Transform(uniform, lambda u, *_: _turned(np.pi / 2 * jnp.floor(4 * u))),
    "xint": Transform(uniform, _xint, (2,)),
    "scale": Transform(normal, _scale),
    "rotate_before": Transform(uniform, _rotate, chance=_half),
    "aniso": Transform(normal, _aniso),
    "rotate_after": Transform(uniform, _rotate, chance=_half),
    "xfrac": Transform(
        normal, lambda u, w, h: _shifted(0.125 * u[:, 0] * w, 0.125 * u[:, 1] * h), (2,)
    ),
}
