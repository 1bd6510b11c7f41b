"""Every form against the plain operations, which are JAX's own, in float64."""

import functools

import jax
import numpy as np
import pytest

from gans.layers.conv import forms
from gans.layers.conv.geometry import Geometry

UNIT = Geometry((6, 5), (3, 2), (5, 6), (1, 1), (1, 1))
TILED = Geometry((7, 8), (4, 2), (4, 4), (2, 2), (2, 0))
RAGGED = Geometry((9, 7), (3, 5), (5, 2), (2, 3), (1, -1))
POINT = Geometry((5, 6), (1, 1), (3, 2), (2, 3), (0, 0))
WINDOW = Geometry((4, 3), (4, 3), (1, 1), (2, 1), (0, 0))
GROUPS = Geometry((6, 5), (3, 2), (3, 3), (2, 2), (1, 1), 2)
DEPTHWISE = Geometry((6, 5), (3, 2), (3, 3), (2, 2), (1, 1), 6)
VOLUME = Geometry((4, 5, 4), (4, 3, 2), (2, 3, 4), (2, 2, 1), (1, 1, 0))
LINE = Geometry((11,), (5,), (4,), (3,), (1,))


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


def normal(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape)


PLAIN = {
    "xw": forms.plain,
    "yw": forms.plain_input_gradient,
    "xy": forms.plain_kernel_gradient,
}


def difference(operands, form, geometry, channels=(4, 6)):
    i, o = channels
    arrays = {
        "x": normal(0, 2, *geometry.x, i),
        "w": normal(1, *geometry.w, i // geometry.groups, o),
        "y": normal(2, 2, *geometry.y, o),
    }
    a, b = (arrays[name] for name in operands)

    @functools.partial(
        jax.jit, compiler_options={"xla_backend_optimization_level": 0}
    )  # fmt: skip
    def both(a, b):
        return form(a, b, geometry), PLAIN[operands](a, b, geometry)

    ours, plain = jax.device_get(both(a, b))
    assert ours.shape == plain.shape
    return abs(ours - plain).max() / abs(plain).max()


@pytest.mark.parametrize(
    "operands, form, geometry",
    [
        ("xw", forms.product_then_shifts, UNIT),
        ("xw", forms.one_window(forms.depth(forms.plain)), WINDOW),
        ("xw", forms.depth(forms.plain), TILED),
        ("xw", forms.depth(forms.plain), RAGGED),
        ("xw", forms.depth(forms.plain), LINE),
        ("xw", forms.flat(forms.plain), VOLUME),
        ("xw", forms.flat(forms.plain), UNIT),
        ("xw", forms.group_by_group(forms.plain), GROUPS),
        ("yw", forms.flipped, UNIT),
        ("yw", forms.flipped, RAGGED),
        ("yw", forms.flipped, GROUPS),
        ("yw", forms.product_then_overlaps, UNIT),
        ("yw", forms.products_then_overlaps, UNIT),
        ("yw", forms.reverse(forms.plain), RAGGED),
        ("yw", forms.reverse(forms.plain), GROUPS),
        ("yw", forms.one_window(forms.depth_x(forms.flipped)), WINDOW),
        ("yw", forms.depth_x(forms.products_then_overlaps), TILED),
        ("yw", forms.depth_x(forms.product_then_overlaps), RAGGED),
        ("yw", forms.depth_x(forms.products_then_overlaps), VOLUME),
        ("yw", forms.group_by_group(forms.flipped), GROUPS),
        ("xy", forms.canonical, UNIT),
        ("xy", forms.canonical, RAGGED),
        ("xy", forms.canonical, LINE),
        ("xy", forms.canonical, GROUPS),
        ("xw", forms.padded(forms.plain), RAGGED),
        ("xy", forms.padded(forms.canonical), TILED),
        ("xy", forms.padded(forms.canonical), RAGGED),
        ("xy", forms.dot_of_patches, RAGGED),
        ("xy", forms.dot_of_patches, POINT),
        ("xy", forms.dot_with_patches, UNIT),
        ("xy", forms.dot_with_planes, UNIT),
        ("xy", forms.one_window(forms.depth_w(forms.dot_from_y)), WINDOW),
        ("xy", forms.depth_w(forms.dot_of_patches), TILED),
        ("xy", forms.depth_w(forms.dot_of_patches), RAGGED),
        ("xy", forms.phases_w(forms.canonical), TILED),
        ("xy", forms.phases_w(forms.canonical), RAGGED),
        ("xy", forms.phases_w(forms.canonical), POINT),
        ("xy", forms.flat_w(forms.canonical), VOLUME),
        ("xy", forms.group_by_group(forms.canonical), GROUPS),
    ],
)
def test_form_equals_the_plain_operation(operands, form, geometry):
    assert difference(operands, form, geometry) < 1e-12


@pytest.mark.parametrize(
    "operands, form, geometry, channels",
    [
        ("xw", forms.shift_sum, DEPTHWISE, (6, 6)),
        ("xw", forms.shift_sum, RAGGED, (1, 5)),
        ("yw", forms.reverse(forms.shift_sum), DEPTHWISE, (6, 6)),
        ("xy", forms.shift_dots, DEPTHWISE, (6, 6)),
    ],
)
def test_form_of_single_channels(operands, form, geometry, channels):
    assert difference(operands, form, geometry, channels) < 1e-12


def test_difference_sees_the_wrong_form():
    # Depth puts the strides into channels; a form that flips nothing is no transpose.
    assert difference("yw", forms.depth_x(forms.flipped), TILED) < 1e-12

    def unflipped(y, w, geometry):
        return forms.reverse(forms.plain)(y, forms.flip(w), geometry)

    assert difference("yw", forms.depth_x(unflipped), TILED) > 0.1


def test_high_padding_is_what_the_last_window_lacks():
    # 4 windows of 4 by strides 2 span 10 pixels; 7 are there, 2 put before: 1 behind.
    # 2 of 5 by 3 span 8; of the 7 one is cut before (low -1): 2 behind.
    assert TILED.high == (1, 0)
    assert RAGGED.high == (1, 2)


def test_swap_and_flip_are_their_own_inverses():
    w = normal(0, 3, 2, 2, 6)
    assert forms.swap(w, 2).shape == (3, 2, 3, 4)
    np.testing.assert_array_equal(forms.swap(forms.swap(w, 2), 2), w)
    np.testing.assert_array_equal(forms.flip(forms.flip(w)), w)
    np.testing.assert_array_equal(forms.flip(w)[0, 1], w[2, 0])
