"""Path length against closed forms, finite differences and the authors' numbers."""

import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from gans import networks, terms
from gans.core import Bound
from gans.losses import regularisers
from gans.terms.path_length import path_length

STYLE = "shared/reference/parity/style"
KEY = jax.random.key(4)
B, LAYERS, W, SHAPE = 3, 4, 5, (6, 8, 2)  # H and W differ, so that their roots do
RNG = np.random.default_rng(0)
A = RNG.normal(size=(LAYERS, W, *SHAPE))
WS = RNG.normal(size=(B, LAYERS, W))


def linear(ws, a=A):
    return jnp.einsum("blw,lwhvc->bhvc", ws, a)


def noise(shape=(B, *SHAPE)):
    """The y that the term draws from KEY, in float64."""
    return np.asarray(jax.random.normal(KEY, shape, jnp.float64))


def test_lengths_of_a_linear_generator_are_known():
    """J^T y of layer l is A_l y, whatever w is."""
    with jax.enable_x64(True):
        found = regularisers.path_lengths(linear, jnp.array(WS), KEY)
        slopes = np.einsum("bhvc,lwhvc->blw", noise(), A) / np.sqrt(6 * 8)
    squares = (slopes**2).sum(2)
    np.testing.assert_allclose(found, np.sqrt(squares.mean(1)), rtol=1e-12)
    # Neither with the sum over layers, nor with y in raw units, nor with its channels.
    for wrong in (LAYERS, 6 * 8, 1 / 2):
        with pytest.raises(AssertionError):
            np.testing.assert_allclose(
                found, np.sqrt(wrong * squares.mean(1)), rtol=0.1
            )


def test_the_weight_is_the_papers_in_raw_units():
    """2 length^2 = ln 2 / (r^2 (ln r - ln 2)) |J^T y|^2, of 2 log2 r - 2 layers."""
    r = 16
    raw = 7.0  # |J^T y|^2, y in raw units, summed over the layers
    length = np.sqrt(raw / r**2 / (2 * np.log2(r) - 2))
    gamma = np.log(2) / (r**2 * (np.log(r) - np.log(2)))
    np.testing.assert_allclose(path_length().weight * length**2, gamma * raw)


def test_lengths_are_those_of_finite_differences():
    def generator(ws):
        return jnp.tanh(linear(jnp.sin(ws), 0.1 * A))

    def along(ws):
        return np.sum(np.asarray(generator(ws)) * noise(), axis=(1, 2, 3)) / np.sqrt(48)

    with jax.enable_x64(True):
        found = regularisers.path_lengths(generator, jnp.array(WS), KEY)
        slopes, h = np.zeros(WS.shape), 1e-5
        for at in np.ndindex(LAYERS, W):
            step = np.zeros_like(WS)
            step[:, *at] = h
            slopes[:, *at] = (along(WS + step) - along(WS - step)) / (2 * h)
    wanted = np.sqrt((slopes**2).sum(2).mean(1))
    np.testing.assert_allclose(found, wanted, rtol=1e-8)


def test_its_gradient_is_that_of_finite_differences():
    """Through the second derivatives of the generator."""

    def penalty(scale):
        generator = lambda ws: jnp.tanh(linear(scale * ws, 0.1 * A))  # noqa: E731
        lengths = regularisers.path_lengths(generator, jnp.array(WS), KEY)
        return jnp.mean((lengths - 0.3) ** 2)

    with jax.enable_x64(True):
        found, h = jax.grad(penalty)(1.5), 1e-5
        wanted = (penalty(1.5 + h) - penalty(1.5 - h)) / (2 * h)
    np.testing.assert_allclose(found, wanted, rtol=1e-8)


def test_a_length_of_zero_has_the_gradient_zero():
    def mean(scale, root=None):
        generator = lambda ws: linear(scale * ws)  # noqa: E731
        return regularisers.path_lengths(generator, jnp.array(WS, float), KEY).mean()

    assert mean(0.0) == 0 and jax.grad(mean)(0.0) == 0
    assert np.isnan(jax.grad(lambda s: jnp.sqrt(s**2))(0.0))  # the plain root


class Styled(nn.Module):
    """z [B, W] -> ws, the same z at each layer -> images, linear in ws."""

    def styles(self, z, label=None, key=None, *, train):
        return jnp.repeat(z[:, None], LAYERS, axis=1)

    def synthesis(self, ws, *, train):
        return linear(ws)


def test_the_running_mean_takes_in_a_share_before_it_is_used():
    z = jnp.array(RNG.normal(size=(6, W)), jnp.float32)
    net = Bound(Styled(), {}, {}, train=True)
    context = terms.Context(name="g", net=net, step=0, z=z, key=KEY, memory=2.0)
    term = path_length()
    value, mean = jax.jit(lambda: term.value(context))()
    # Half of the batch; lengths of a linear generator do not depend on w.
    key_y = jax.random.split(KEY, 3)[2]
    lengths = regularisers.path_lengths(linear, jnp.zeros((3, LAYERS, W)), key_y)
    np.testing.assert_allclose(mean, 2 + 0.01 * (lengths.mean() - 2), rtol=1e-6)
    np.testing.assert_allclose(value, ((lengths - mean) ** 2).mean(), rtol=1e-5)
    old = ((lengths - 2.0) ** 2).mean()
    assert abs(value - old) > 1e-3 * old
    assert term.memory(None) == 0 and term.every == 4 and term.weight == 2


@pytest.mark.parametrize("name", ["sg2_G_32", "sg2_G_64_cond"])
def test_lengths_mean_and_penalty_are_the_authors(name):
    """Of a generator, linear in ws, whose slopes along the noise are the authors'."""
    path = pathlib.Path(__file__).parents[3] / f"{STYLE}/{name}.npz"
    if not path.exists():
        pytest.skip("the authors' networks are not in ../shared/reference/parity")
    with np.load(path) as file:
        slopes, lengths = file["out/pl_grads_ws"], file["out/pl_lengths"]
        before, after = file["in/pl_mean"], file["out/pl_mean_new"]
        penalty = file["out/pl_penalty"].mean()
    n, n_ws, w_dim = slopes.shape
    with jax.enable_x64(True):
        key_y = jax.random.split(KEY, 3)[2]
        y = jax.random.normal(key_y, (n, 1, 1, 1), jnp.float64)  # of one pixel

        class Given(nn.Module):
            def styles(self, z, label=None, key=None, *, train):
                return jnp.zeros((len(z), n_ws, w_dim))

            def synthesis(self, ws, *, train):
                return jnp.sum(ws * slopes, axis=(1, 2))[:, None, None, None] / y

        net = Bound(Given(), {}, {}, train=True)
        z = jnp.zeros((2 * n, 3))
        c = terms.Context(name="g", net=net, step=0, z=z, key=KEY, memory=before)
        ws = jnp.zeros(slopes.shape)
        found = regularisers.path_lengths(
            lambda ws: net(ws, method="synthesis"), ws, key_y
        )
        np.testing.assert_allclose(found, lengths, rtol=1e-7)
        np.testing.assert_allclose(path_length().value(c), (penalty, after), rtol=1e-6)
        wrong = path_length(decay=0.02).value(c)
    assert abs(wrong[1] - after) > 1e-3 * after
    assert abs(wrong[0] - penalty) > 1e-3 * penalty


def test_the_mean_passes_on_the_gradient_of_its_share():
    """d/ds mean((s l - a)^2) where a = a0 + 0.01 (s mean(l) - a0)."""
    z = jnp.ones((8, W))

    def penalty(scale):
        class Scaled(Styled):
            def synthesis(self, ws, *, train):
                return scale * linear(ws)

        net = Bound(Scaled(), {}, {}, train=True)
        c = terms.Context(name="g", net=net, step=0, z=z, key=KEY, memory=2.0)
        return path_length().value(c)[0]

    key_y = jax.random.split(KEY, 3)[2]
    lengths = regularisers.path_lengths(linear, jnp.zeros((4, LAYERS, W)), key_y)
    lengths, found = np.asarray(lengths), jax.grad(penalty)(1.0)
    mean = 2 + 0.01 * (lengths.mean() - 2)
    slope = lengths - 0.01 * lengths.mean()
    np.testing.assert_allclose(found, (2 * (lengths - mean) * slope).mean(), rtol=1e-5)
    stopped = (2 * (lengths - mean) * lengths).mean()
    assert abs(found - stopped) > 1e-3 * abs(found)


def test_it_is_for_generators_with_a_mapping_network():
    path_length().check(Styled(), "image")
    plain = networks.make("Generator", "dcgan", shape=(16, 16, 1))
    with pytest.raises(ValueError, match="path_length is about .* network='dcgan'"):
        path_length().check(plain, "image")
    with pytest.raises(ValueError, match="is for data of kind image, not 'point'"):
        path_length().check(Styled(), "point")
    for options in ({"shrink": 0}, {"decay": 1.5}, {"weight": -1.0}):
        (name,) = options
        with pytest.raises(ValueError, match=f"path_length: {name}="):
            path_length(**options)
