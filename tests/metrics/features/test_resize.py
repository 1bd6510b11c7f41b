"""Resizes against the implementations that they are named for."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gans.metrics.features import resize as resizing
from gans.metrics.features.resize import resize

# From and to, (height, width): up, down, both, not square, odd, much larger, tiny.
SIZES = [
    ((32, 32), (299, 299)),
    ((28, 28), (299, 299)),
    ((64, 48), (299, 299)),
    ((333, 97), (299, 299)),
    ((300, 299), (299, 299)),
    ((1024, 700), (299, 299)),
    ((256, 256), (128, 128)),
    ((37, 53), (11, 71)),
    ((7, 5), (3, 2)),
    ((5, 5), (1, 1)),
    ((1, 1), (4, 5)),
]
TOLERANCE = {"tf": 1e-4, "pytorch": 1e-4, "antialias": 1e-4, "clean": 1e-3}


def noise(size, channels=3, n=2, seed=0):
    """0 and 255 among it: the steps between pixels are as large as they can be."""
    x = np.random.default_rng(seed).integers(-100, 356, (n, *size, channels))
    return x.clip(0, 255).astype(np.float32)


@pytest.fixture
def original(reference):
    """original(method)(images [B, H, W, C], size) -> [B, *size, C], in its dtype."""

    def interpolate(images, size, **kwargs):
        functional = reference("torch").nn.functional
        return functional.interpolate(images, size, mode="bilinear", **kwargs)

    def tf(images, size):
        module = reference("torch_fidelity.interpolate_compat_tensorflow")
        function = module.interpolate_bilinear_2d_like_tensorflow1x
        return function(images, size, align_corners=False)

    def pil(images, size):
        image = reference("PIL.Image")

        def channel(x):
            x = image.fromarray(x, mode="F")
            return np.asarray(x.resize(size[::-1], image.BICUBIC))

        each = [[channel(x[..., c]) for c in range(x.shape[-1])] for x in images]
        return np.moveaxis(np.array(each), 1, -1).clip(0, 255)

    def in_torch(function, **kwargs):
        def call(images, size):
            x = reference("torch").from_numpy(np.moveaxis(images, -1, 1).copy())
            return np.moveaxis(function(x, size, **kwargs).numpy(), 1, -1)

        return call

    return {
        "tf": in_torch(tf),
        "pytorch": in_torch(interpolate),
        "antialias": in_torch(interpolate, antialias=True),
        "clean": pil,
    }


def worst(found, expected):
    assert found.shape == expected.shape
    return abs(np.asarray(found) - expected).max()


@pytest.mark.filterwarnings("ignore:'mode' parameter is deprecated")
@pytest.mark.parametrize("size, to", SIZES)
@pytest.mark.parametrize("method", resizing.METHODS)
def test_as_the_original(original, method, size, to):
    x = noise(size)
    found = resize(jnp.asarray(x), *to, method)
    assert found.dtype == jnp.float32
    assert worst(found, original[method](x, to)) < TOLERANCE[method]


@pytest.mark.parametrize("size, to", SIZES)
@pytest.mark.parametrize("method", ["tf", "pytorch", "antialias"])
def test_as_the_original_in_float64(original, method, size, to):
    x = noise(size).astype(np.float64)
    with jax.enable_x64(True):
        found = resize(jnp.asarray(x), *to, method)
        assert found.dtype == jnp.float64
        assert worst(found, original[method](x, to)) < 1e-10


@pytest.mark.filterwarnings("ignore:'mode' parameter is deprecated")
@pytest.mark.parametrize("method", resizing.METHODS)
@pytest.mark.parametrize("size, to", [((64, 48), (299, 299)), ((333, 97), (99, 45))])
def test_no_method_passes_for_another(original, method, size, to):
    x = noise(size)
    expected = original[method](x, to)
    for other in set(resizing.METHODS) - {method}:
        # An antialiased enlargement is the plain one: there is nothing to leave out.
        if to == (299, 299) and {method, other} == {"pytorch", "antialias"}:
            continue
        assert worst(resize(jnp.asarray(x), *to, other), expected) > 1


def test_worked_by_hand():
    # Two pixels 0, 240 along a row to four, each half as wide. TensorFlow 1: places 0,
    # 0.5, 1, 1.5, with the last pixel going on. Centres: places -0.25, 0.25, 0.75 and
    # 1.25, kept between the first and the last pixel.
    x = jnp.array([0.0, 240.0]).reshape(1, 1, 2, 1)
    assert resize(x, 1, 4, "tf").ravel().tolist() == [0, 120, 240, 240]
    assert resize(x, 1, 4, "pytorch").ravel().tolist() == [0, 60, 180, 240]
    # Four pixels to two: the triangle is 2 pixels wide to each side, its weights at
    # distances 0.5 0.5 1.5 (the fourth is off the image) are 3 3 1, of 7.
    x = jnp.array([0.0, 0.0, 70.0, 140.0]).reshape(1, 1, 4, 1)
    found = resize(x, 1, 2, "antialias").ravel()
    np.testing.assert_allclose(found, [10, (3 * 70 + 3 * 140) / 7], rtol=1e-6)
    # Keys' cubic halfway between 4 pixels: -1/16 9/16 9/16 -1/16.
    assert resizing._cubic(np.array([0.5, 1.5])).tolist() == [9 / 16, -1 / 16]
    assert resizing._cubic(np.array([0.0, 1.0, 2.0])).tolist() == [1, 0, 0]


def test_cubic_overshoot_is_clipped():
    x = jnp.zeros((1, 8, 8, 1)).at[:, 4:].set(255.0)
    y = resize(x, 16, 16, "clean")
    assert (y.min(), y.max()) == (0, 255)


@pytest.mark.parametrize("method", resizing.METHODS)
def test_constant_images_stay_and_axes_are_apart(method):
    x = jnp.full((2, 9, 7, 1), 137.0)
    np.testing.assert_allclose(resize(x, 4, 23, method), 137, rtol=1e-6)
    x = jnp.asarray(noise((9, 7)))
    y = resize(x, 4, 23, method)
    turned = resize(x.swapaxes(1, 2), 23, 4, method).swapaxes(1, 2)
    np.testing.assert_allclose(y, turned, atol=1e-4)
    both = jax.jit(resize, static_argnums=(1, 2, 3))(x, 4, 23, method)
    np.testing.assert_allclose(y, both, atol=1e-4)
    np.testing.assert_array_equal(resize(x, 9, 7, method), x)


def test_unknown_method():
    with pytest.raises(ValueError, match="'nearest', accepted are .*'clean'"):
        resize(jnp.zeros((1, 2, 2, 3)), 4, 4, "nearest")
