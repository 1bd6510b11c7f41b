"""Which form each class of shapes takes, and that the numbers never show it."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import lax

from gans.layers.conv import forms, table
from gans.layers.conv.geometry import Geometry
from gans.layers.conv.table import CONVOLUTION, INPUT_GRADIENT, KERNEL_GRADIENT, Case


def walk(space, kernel, strides, padding="SAME", groups=1):
    pads = padding
    if isinstance(padding, str):
        pads = lax.padtype_to_pads(space, kernel, strides, padding)
    y = tuple(
        (size + sum(pad) - k) // s + 1
        for size, pad, k, s in zip(space, pads, kernel, strides, strict=True)
    )
    return Geometry(space, kernel, y, strides, tuple(p[0] for p in pads), groups)


# name: geometry, N, I, O, and the rows of the three tables that it takes.
CASES = {
    "3x3": (walk((6, 5), (3, 3), (1, 1)), 5, 5, 6, 10, 10, 14),
    "3x3, few images": (walk((6, 5), (3, 3), (1, 1)), 2, 5, 6, 10, 10, 11),
    "3x3, most of it kernel": (walk((1, 2), (3, 3), (1, 1)), 1, 5, 6, 9, 9, 11),
    "3x3 by 2": (walk((6, 5), (3, 3), (2, 2)), 5, 5, 6, 10, 12, 14),
    "3x3 by 2, few images": (walk((6, 5), (3, 3), (2, 2)), 2, 5, 6, 10, 12, 13),
    "3x3 by 2, one large": (walk((70, 64), (3, 3), (2, 2)), 1, 5, 6, 10, 12, 12),
    "4x4 by 2": (walk((8, 10), (4, 4), (2, 2)), 5, 5, 6, 10, 12, 14),
    "4x4 by 2, small": (walk((6, 8), (4, 4), (2, 2)), 5, 5, 6, 10, 7, 14),
    "4x4 by 2, of colour": (walk((6, 8), (4, 4), (2, 2)), 5, 3, 6, 5, 4, 8),
    "as large, of grey": (walk((5, 5), (5, 5), (1, 1), "VALID"), 2, 1, 1, 2, 2, 2),
    "4x4 by 2, of grey": (walk((6, 8), (4, 4), (2, 2)), 5, 1, 6, 4, 4, 8),
    "3x3, of colour": (walk((6, 5), (3, 3), (1, 1)), 5, 3, 6, 10, 10, 14),
    "3x3, to colour": (walk((6, 5), (3, 3), (1, 1)), 5, 6, 3, 7, 10, 7),
    "7x7, to colour": (walk((9, 8), (7, 7), (1, 1)), 2, 6, 3, 7, 10, 6),
    "7x7, of colour": (walk((9, 8), (7, 7), (1, 1)), 2, 3, 6, 6, 10, 11),
    "2x2, to one": (walk((3, 3), (2, 2), (1, 1)), 1, 20, 1, 7, 10, 7),
    "4x4 by 2, few": (walk((12, 12), (4, 4), (2, 2)), 1, 20, 6, 10, 7, 13),
    "1x1": (walk((6, 5), (1, 1), (1, 1)), 2, 5, 6, 10, 10, 3),
    "1x1 by 2": (walk((6, 5), (1, 1), (2, 2)), 2, 5, 6, 10, 12, 3),
    "of the image's size": (walk((4, 3), (4, 3), (1, 1), "VALID"), 2, 5, 1, 2, 2, 2),
    "groups": (walk((6, 5), (3, 3), (1, 1), groups=2), 2, 4, 6, 1, 1, 1),
    "depthwise": (walk((6, 5), (4, 4), (2, 2), groups=5), 2, 5, 5, 0, 0, 0),
    "3x3x3": (walk((3, 4, 5), (3, 3, 3), (1, 1, 1)), 2, 5, 6, 3, 10, 5),
    "4x4x4 by 2": (walk((4, 4, 6), (4, 4, 4), (2, 2, 2)), 2, 5, 6, 3, 5, 5),
    "4x4x4 by 2, of one": (walk((4, 4, 6), (4, 4, 4), (2, 2, 2)), 2, 1, 6, 3, 3, 4),
    "3x3x3 by 2": (walk((3, 4, 5), (3, 3, 3), (2, 2, 2)), 2, 5, 6, 3, 5, 5),
    "5": (walk((9,), (5,), (1,)), 5, 5, 6, 10, 10, 14),
    "3x3, of many": (walk((8, 8), (3, 3), (1, 1)), 32, 192, 192, 8, 6, 9),
    "4x4 by 2, of many": (walk((16, 16), (4, 4), (2, 2)), 16, 128, 128, 8, 6, 9),
    "5x5 on 4x3": (walk((4, 3), (5, 5), (1, 1)), 5, 5, 6, 9, 10, 14),
    "5x5 by 2, on 7x3": (walk((7, 3), (5, 5), (2, 2)), 5, 5, 6, 9, 8, 14),
    "4x4, any overlap": (
        walk((4, 6), (4, 4), (1, 1), [(3, 3)] * 2),
        5,
        5,
        6,
        10,
        10,
        10,
    ),
    "4x4 by 2, few channels": (walk((10, 12), (4, 4), (2, 2)), 64, 16, 24, 10, 11, 14),
}


@pytest.mark.parametrize("name", CASES)
def test_row(name):
    *case, c, x, w = CASES[name]
    case = Case(*case)
    for rule, row in ((CONVOLUTION, c), (INPUT_GRADIENT, x), (KERNEL_GRADIENT, w)):
        assert table.choose(rule, case) is rule[row]


def test_16_bits_are_summed_directly():
    geometry, *sizes = CASES["3x3, of many"][:4]
    assert table.choose(CONVOLUTION, Case(geometry, *sizes)) is CONVOLUTION[8]
    half = Case(geometry, *sizes, wide=False)
    assert table.choose(CONVOLUTION, half) is CONVOLUTION[10]


def test_every_row_is_taken():
    for column, rule in enumerate((CONVOLUTION, INPUT_GRADIENT, KERNEL_GRADIENT), 4):
        assert {case[column] for case in CASES.values()} == set(range(len(rule)))


def largest_error(geometry, n, i, o):
    """Of the three maps, in float64, against the plain operations."""
    draw = np.random.default_rng(0).normal
    x = draw(size=(n, *geometry.x, i))
    w = draw(size=(*geometry.w, i // geometry.groups, o))
    y = draw(size=(n, *geometry.y, o))

    @functools.partial(
        jax.jit, compiler_options={"xla_backend_optimization_level": 0}
    )  # fmt: skip
    def both(x, w, y):
        ours = (
            table.convolution(x, w, geometry),
            table.input_gradient(y, w, geometry),
            table.kernel_gradient(x, y, geometry),
        )
        plain = (
            forms.plain(x, w, geometry),
            forms.plain_input_gradient(y, w, geometry),
            forms.plain_kernel_gradient(x, y, geometry),
        )
        return ours, plain

    with jax.enable_x64(True):
        ours, plain = jax.device_get(both(x, w, y))
        assert jax.tree.map(jnp.shape, ours) == jax.tree.map(jnp.shape, plain)
        return max(
            float(abs(a - b).max() / (abs(b).max() + 1e-30))
            for a, b in zip(ours, plain, strict=True)
        )


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_numbers(name):
    assert largest_error(*CASES[name][:4]) < 1e-12


@st.composite
def layers(draw):
    n_axes = draw(st.integers(1, 3))

    def each(low, high):
        return tuple(draw(st.integers(low, high)) for _ in range(n_axes))

    strides, kernel, y = each(1, 3), each(1, 4), each(1, 3)
    low, cut = each(-1, 3), each(-2, 3)
    span = [(n - 1) * s + k for n, s, k in zip(y, strides, kernel, strict=True)]
    x = tuple(max(1, n - a - b) for n, a, b in zip(span, low, cut, strict=True))
    groups = draw(st.sampled_from([1, 1, 2, 3]))
    i, o = (groups * draw(st.integers(1, 5)) for _ in range(2))
    return Geometry(x, kernel, y, strides, low, groups), draw(st.integers(1, 2)), i, o


@settings(max_examples=5, deadline=None, derandomize=True)
@given(layers())
def test_numbers_of_any_layer(layer):
    assert largest_error(*layer) < 1e-12
