"""Fewest-multiplications forms against the plain operations, which are JAX's own."""

import functools

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gans.layers.conv import forms, winograd
from gans.layers.conv.geometry import Geometry

UNIT = Geometry((6, 5), (3, 2), (5, 6), (1, 1), (1, 1))
TILED = Geometry((7, 8), (4, 2), (4, 4), (2, 2), (2, 0))
RAGGED = Geometry((9, 7), (3, 5), (5, 2), (2, 3), (1, -1))
FLAT = Geometry((9, 3), (5, 1), (9, 2), (1, 2), (2, 0))
VOLUME = Geometry((4, 5, 4), (4, 3, 2), (2, 3, 4), (2, 2, 1), (1, 1, 0))
ONE = Geometry((1,), (3,), (1,), (2,), (0,))  # the second phase is beyond x
LINE = Geometry((11,), (5,), (7,), (1,), (0,))

MAPS = {
    "xw": (winograd.convolution, forms.plain),
    "yw": (winograd.input_gradient, forms.plain_input_gradient),
    "xy": (winograd.kernel_gradient, forms.plain_kernel_gradient),
}


def error(operands, geometry, *, i=4, o=6, n=2, dtype=np.float64):
    """The largest error, relative to the largest number, against float64."""
    shapes = {
        "x": (n, *geometry.x, i),
        "w": (*geometry.w, i, o),
        "y": (n, *geometry.y, o),
    }
    with jax.enable_x64(True):
        draw = np.random.default_rng(0).normal
        a, b = (draw(size=shapes[name]) for name in operands)
        ours, plain = (
            jax.jit(
                functools.partial(form, geometry=geometry),
                compiler_options={"xla_backend_optimization_level": 0},
            )
            for form in MAPS[operands]
        )
        found = np.asarray(ours(a.astype(dtype), b.astype(dtype)))
        exact = np.asarray(plain(a, b))
    assert found.shape == exact.shape and found.dtype == dtype
    return abs(found - exact).max() / max(abs(exact).max(), 1e-30)


@pytest.mark.parametrize("operands", MAPS)
@pytest.mark.parametrize("geometry", [UNIT, TILED, RAGGED, FLAT, VOLUME, ONE, LINE])
def test_it_is_exact_algebra(operands, geometry):
    assert error(operands, geometry) < 1e-13


@st.composite
def walks(draw):
    def each(low, high):
        return tuple(draw(st.integers(low, high)) for _ in range(n_axes))

    n_axes = draw(st.integers(1, 2))
    strides, y, low, cut = each(1, 3), each(1, 9), each(-1, 3), each(-2, 3)
    kernel = tuple(draw(st.integers(1, 5 * s)) for s in strides)
    span = [(n - 1) * s + k for n, s, k in zip(y, strides, kernel, strict=True)]
    x = tuple(max(1, n - a - b) for n, a, b in zip(span, low, cut, strict=True))
    return Geometry(x, kernel, y, strides, low)


@settings(max_examples=8, deadline=None, derandomize=True)
@given(walks(), st.sampled_from(sorted(MAPS)))
def test_of_any_walk(geometry, operands):
    assert error(operands, geometry, n=1, i=2, o=3) < 1e-13


@pytest.mark.parametrize("operands", MAPS)
def test_rounding_in_float32_is_what_the_docstring_says(operands):
    geometry = Geometry((8, 8), (3, 3), (8, 8), (1, 1), (1, 1))
    found = error(operands, geometry, i=256, o=256, dtype=np.float32)
    assert 1e-7 < found < 1e-5


@pytest.mark.parametrize("m", [1, 2, 3, 4])
@pytest.mark.parametrize("r", [1, 2, 3, 4, 5])
def test_toom_cook_is_the_sum_of_products(m, r):
    x = np.random.default_rng(1).normal(size=m + r - 1)
    w = np.random.default_rng(2).normal(size=r)
    a_t, g, b_t = winograd.toom_cook(m, r)
    assert a_t.shape == (m, len(x)) and g.shape == (len(x), r)
    found = a_t @ ((g @ w) * (b_t @ x))
    np.testing.assert_allclose(found, np.convolve(x, w[::-1], "valid"), rtol=1e-12)
    assert np.array_equal(b_t, np.round(b_t))
    # Another point's value does not fit.
    g = g.copy()
    g[0] *= 1.01
    spoiled = a_t @ ((g @ w) * (b_t @ x))
    assert abs(spoiled - found).max() > 1e-6


def test_f_4_3_is_the_one_of_the_paper():
    # Lavin and Gray, section 4.1, up to the order of the points 1, -1 and signs that
    # two of the three matrices share: the sixth row of B^T and the first.
    a_t, g, b_t = winograd.toom_cook(4, 3)
    np.testing.assert_array_equal(np.abs(b_t[0]), [4, 0, 5, 0, 1, 0])
    np.testing.assert_array_equal(np.abs(b_t[-1]), [0, 4, 0, 5, 0, 1])
    np.testing.assert_allclose(np.abs(g[0]), [1 / 4, 0, 0])
    np.testing.assert_allclose(np.abs(g[1]), [1 / 6, 1 / 6, 1 / 6])
    np.testing.assert_allclose(np.abs(g[3]), [1 / 24, 1 / 12, 1 / 6])
    np.testing.assert_array_equal(a_t[1], [0, 1, -1, 2, -2, 0])


def test_saving():
    # 8x8 outputs of 3x3 windows: 4 tiles of 4x4, each with 6x6 products for 16 x 9
    # of the direct sum; a number touched counts 150 operations.
    geometry = Geometry((8, 8), (3, 3), (8, 8), (1, 1), (1, 1))
    direct = 2 * 64 * 64 * 9 * 256 * 256
    tiles = 64 * 4
    products = 36 * 2 * tiles * 256 * 256
    touched = 36 * (2 * tiles * 256 + 256 * 256)
    expected = direct / (products + 150 * touched)
    assert winograd.saving(geometry, 64, 256, 256) == pytest.approx(expected)
    # Few channels do not pay, nor does a kernel of more than 5 taps.
    assert winograd.saving(geometry, 64, 8, 8) < 1
    seven = Geometry((8, 8), (7, 7), (8, 8), (1, 1), (3, 3))
    assert winograd.saving(seven, 64, 256, 256) == 0


def test_the_three_maps_share_their_sums():
    """The table counts on it: windows, tiles and taps are summed once for all."""
    geometry = Geometry((8, 8), (4, 4), (4, 4), (2, 2), (1, 1))
    x, w, y = (np.ones(s, "f") for s in ((2, 8, 8, 3), (4, 4, 3, 5), (2, 4, 4, 5)))

    def convolution(x, w, y):
        return winograd.convolution(x, w, geometry)

    def input_gradient(x, w, y):
        return winograd.input_gradient(y, w, geometry)

    def kernel_gradient(x, w, y):
        return winograd.kernel_gradient(x, y, geometry)

    maps = (convolution, input_gradient, kernel_gradient)

    def together(x, w, y):
        return [f(x, w, y) for f in maps]

    def products(f):
        return jax.jit(f).lower(x, w, y).compile().as_text().count(" dot(")

    assert [products(f) for f in maps] == [4, 4, 4]  # of three sums each
    assert products(together) == 12 - 3
