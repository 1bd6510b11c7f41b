"""Equalised learning rate: kernels of deviation 1, and outputs of deviation `gain`."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from gans.layers.conv import Conv, ConvTranspose
from gans.layers.equalised import Equalised
from gans.layers.resample import UpsampleConv

KEY = jax.random.key(0)
quick = functools.partial(
    jax.jit, compiler_options={"xla_backend_optimization_level": 0}
)


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


# Layer, input, fan-in: how many numbers an output (of the middle) is a sum of. Of the
# 4x4 taps of a transposed convolution of stride 2, 2x2 meet an output.
LAYERS = {
    "dense": (nn.Dense(64), normal(64, 80), 80),
    "conv": (Conv(64, (3, 3), padding="VALID"), normal(4, 6, 6, 40), 9 * 40),
    "transpose": (
        ConvTranspose(64, (4, 4), strides=(2, 2), padding="VALID"),
        normal(4, 6, 6, 40),
        4 * 40,
    ),
    "one stride": (
        ConvTranspose(64, (4, 4), strides=2, padding="VALID"),
        normal(4, 6, 6, 40),
        4 * 40,
    ),
    "embed": (nn.Embed(70, 64), np.arange(70), 64),
}


@pytest.mark.parametrize("name", LAYERS)
def test_scale_of_kernels(name):
    layer, x, fan_in = LAYERS[name]
    variables = quick(Equalised(layer, gain=3.0).init)(KEY, x)["params"]
    params = variables["layer"]
    (w,) = (p for p in params.values() if p.ndim > 1)
    # 4480 numbers and more, N(0, 1): 5 standard errors.
    n = w.size
    assert abs(w.mean()) < 5 / np.sqrt(n) and abs(w.std() - 1) < 5 / np.sqrt(2 * n)
    assert not any(np.any(p) for p in params.values() if p.ndim == 1)
    # The layer itself with the scaled kernel; a bias is taken as it is.
    given = {k: p if p.ndim > 1 else p + 1 for k, p in params.items()}
    y = quick(Equalised(layer, gain=3.0).apply)({"params": {"layer": given}}, x)
    scale = 3 / np.sqrt(fan_in)
    plain = {k: p * scale if p.ndim > 1 else p for k, p in given.items()}
    expected = quick(layer.apply)({"params": plain}, x)
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-5)
    wrong = quick(layer.apply)({"params": given}, x)
    assert np.abs(y - wrong).max() > 1


def test_one_layer_after_another_keeps_the_scale():
    # A gain of sqrt(2) doubles the mean square and ReLU halves it: all maps have 2
    # before it, and the last, of gain 1, has 1 (not counting the border).
    layers = [
        Equalised(nn.Dense(4 * 4 * 96)),
        Equalised(ConvTranspose(96, (4, 4), strides=(2, 2))),
        Equalised(UpsampleConv(96, (3, 3))),
        Equalised(Conv(96, (3, 3)), gain=1),
    ]
    h, squares = normal(8, 64), []
    for i, layer in enumerate(layers):
        key = jax.random.key(i)
        h = quick(lambda x, f=layer, k=key: f.apply(f.init(k, x), x))(h)
        h = h.reshape(8, 4, 4, 96) if i == 0 else h
        middle = h[:, 2:-2, 2:-2] if i > 0 else h
        squares.append(float(jnp.mean(middle**2)))
        h = jax.nn.relu(h)
    # All 16 taps of the second layer counted, it would have 0.5.
    np.testing.assert_allclose(squares, [2, 2, 2, 1], rtol=0.15)


def test_gradients_are_scaled_alike():
    # d y / d w = scale * d y / d (scale w): what makes Adam's steps equal shares of w.
    layer, x, fan_in = LAYERS["dense"]
    c = normal(64, 64, seed=1)
    variables = Equalised(layer).init(KEY, x)
    grads = jax.grad(lambda v: (c * Equalised(layer).apply(v, x)).sum())(variables)
    kernel = grads["params"]["layer"]["kernel"]
    expected = np.sqrt(2 / fan_in) * (x.T @ c)
    np.testing.assert_allclose(kernel, expected, rtol=1e-3, atol=1e-3)


def test_half_precision_and_other_layers():
    layer = Equalised(
        nn.Dense(5, dtype=jnp.bfloat16, kernel_init=nn.initializers.zeros)
    )
    variables = layer.init(KEY, normal(3, 4))
    assert layer.apply(variables, normal(3, 4)).dtype == jnp.bfloat16
    assert {p.dtype.name for p in jax.tree.leaves(variables)} == {"float32"}
    assert np.all(variables["params"]["layer"]["kernel"] != 0)  # drawn all the same
