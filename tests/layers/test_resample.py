"""Resampling by numbers worked out; folded layers against those they replace."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from jax import lax

from gans.layers.conv import Conv
from gans.layers.conv.inspect import slow_convolutions
from gans.layers.resample import (
    ConvDownsample,
    UpsampleConv,
    conv_downsample,
    downsample,
    upsample,
    upsample_conv,
)

# Ten times less to compile, and the operations are the same.
quick_jit = functools.partial(
    jax.jit, compiler_options={"xla_backend_optimization_level": 0}
)


def normal(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape)


def plain_conv(x, w):
    return lax.conv_general_dilated(
        x, w, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


def test_upsample_repeats():
    x = jnp.arange(4.0).reshape(1, 2, 2, 1)
    expected = [[0, 0, 1, 1], [0, 0, 1, 1], [2, 2, 3, 3], [2, 2, 3, 3]]
    np.testing.assert_array_equal(upsample(x)[0, ..., 0], expected)


def test_downsample_is_the_mean():
    # (0 + 1 + 4 + 5) / 4 = 2.5, and the next block is 2 further.
    x = jnp.arange(8.0).reshape(1, 2, 4, 1)
    np.testing.assert_array_equal(downsample(x)[0, ..., 0], [[2.5, 4.5]])


@pytest.mark.parametrize("kernel", [(1, 1), (3, 3), (4, 2)])
@pytest.mark.parametrize(
    "folded, composed",
    [
        (upsample_conv, lambda x, w: plain_conv(upsample(x), w)),
        (conv_downsample, lambda x, w: downsample(plain_conv(x, w))),
    ],
)
def test_folding_is_exact(folded, composed, kernel):
    def derivatives(f, x, w):
        def gradients(x, w):
            return jax.grad(lambda x, w: jnp.sum(f(x, w) ** 3), (0, 1))(x, w)

        return f(x, w), jax.jvp(gradients, (x, w), (jnp.cos(x), jnp.sin(w)))

    with jax.enable_x64(True):
        x, w = normal(0, 2, 4, 6, 5), normal(1, *kernel, 5, 6)
        ours, theirs = quick_jit(
            lambda x, w: (derivatives(folded, x, w), derivatives(composed, x, w))
        )(x, w)
        for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
            np.testing.assert_allclose(a, b, atol=1e-10 * abs(b).max())
        # Negative control: another resampling is not the same number.
        other = composed(x, w[::-1] + 1)
        assert abs(other - ours[0]).max() > 0.1


@pytest.mark.parametrize("kernel", [(1, 1), (3, 3)])
@pytest.mark.parametrize(
    "layer, composed",
    [
        (UpsampleConv, lambda conv, x: conv(upsample(x))),
        (ConvDownsample, lambda conv, x: downsample(conv(x))),
    ],
)
def test_layers_have_the_parameters_of_conv(layer, composed, kernel):
    x = normal(0, 2, 8, 6, 5).astype(np.float32)
    kwargs = {"bias_init": nn.initializers.normal(), "use_bias": True}
    conv, layer = Conv(6, kernel, **kwargs), layer(6, kernel, **kwargs)

    @quick_jit
    def run(x):
        variables = conv.init(jax.random.key(0), x)
        expected = composed(lambda x: conv.apply(variables, x), x)
        own = layer.init(jax.random.key(0), x), variables
        return own, layer.apply(variables, x), expected

    own, y, z = run(x)
    jax.tree.map(np.testing.assert_array_equal, *own)
    np.testing.assert_allclose(y, z, atol=1e-5)


def test_bfloat16():
    x = normal(0, 2, 4, 4, 5).astype(np.float32)
    for cls in (UpsampleConv, ConvDownsample):

        @quick_jit
        def run(x, cls=cls):
            exact, variables = cls(6, (3, 3)).init_with_output(jax.random.key(0), x)
            return cls(6, (3, 3), dtype=jnp.bfloat16).apply(variables, x), exact

        y, exact = run(x)
        assert y.dtype == jnp.bfloat16
        # Kernel and input are rounded too, to 8 bits each.
        np.testing.assert_allclose(y.astype(jnp.float32), exact, atol=0.05)


@pytest.mark.parametrize("folded", [upsample_conv, conv_downsample])
def test_no_derivative_is_slow(folded):
    def loss(x, w):
        return jnp.sum(jax.grad(lambda x: jnp.sum(folded(x, w) ** 2))(x) ** 2)

    x, w = normal(0, 2, 4, 4, 5), normal(1, 3, 3, 5, 6)
    program = jax.jit(jax.grad(loss, (0, 1))).trace(x, w)
    text = program.lower(lowering_platforms=("cpu",)).as_text()
    assert slow_convolutions(text) == []


@pytest.mark.parametrize("kernel", [(1, 1), (3, 3)])
def test_odd_sizes_are_rejected(kernel):
    with pytest.raises(ValueError, match="must be even, got 5x4"):
        downsample(jnp.zeros((1, 5, 4, 1)))
    with pytest.raises(ValueError, match="must be even, got 5x4"):
        conv_downsample(jnp.zeros((1, 5, 4, 1)), jnp.zeros((*kernel, 1, 1)))
