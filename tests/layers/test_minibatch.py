"""Minibatch features: numpy, an order that does not matter, equal examples."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from gans.layers.minibatch import (
    MinibatchDiscrimination,
    MinibatchStdDev,
    with_minibatch,
)

KEY = jax.random.key(0)
SMALL = MinibatchDiscrimination(n_kernels=4, n_dims=3)


def images(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def deviation(x):
    """Of each feature at each position over the batch, averaged; float64."""
    return np.sqrt(x.astype(np.float64).var(axis=0) + 1e-8).mean()


def test_stddev_by_hand():
    # Deviations of (0, 2) and (1, 7) are 1 and 3: their mean is 2.
    y = MinibatchStdDev().apply({}, jnp.array([[0.0, 1.0], [2.0, 7.0]]))
    np.testing.assert_allclose(y, [[0, 1, 2], [2, 7, 2]], rtol=1e-6)


@pytest.mark.parametrize("shape", [(6, 5), (6, 4, 3, 5)])
@pytest.mark.parametrize("group", [None, 3, 8])
def test_stddev_against_numpy(shape, group):
    x = images(*shape)
    y = MinibatchStdDev(group).apply({}, x)
    assert y.shape == (*shape[:-1], shape[-1] + 1)
    np.testing.assert_array_equal(y[..., :-1], x)
    # In groups of 3, every other example: 0, 2, 4 and 1, 3, 5. Eight are more than six.
    n_groups = 2 if group == 3 else 1
    for i in range(6):
        expected = deviation(x[i % n_groups :: n_groups])
        np.testing.assert_allclose(y[i, ..., -1], expected, rtol=1e-5)
        # The mean of variances' root is another number.
        root = np.sqrt(x[i % n_groups :: n_groups].var(axis=0).mean())
        assert abs(root - expected) > 1e-3 * expected
    with pytest.raises(ValueError, match="group=4 does not divide 6"):
        MinibatchStdDev(4).apply({}, x)


def closeness(x, t):
    """o(x_i)_b of section 3.2, over the other examples; float64."""
    rows = np.einsum("bn,nkd->bkd", x.astype(np.float64), np.asarray(t))
    sums = np.zeros((len(x), t.shape[1]))
    for i in range(len(x)):
        for j in range(len(x)):
            if i != j:
                sums[i] += np.exp(-np.abs(rows[i] - rows[j]).sum(axis=-1))
    return sums


def test_discrimination_against_numpy():
    x = 0.5 * images(6, 5)
    y, variables = SMALL.init_with_output(KEY, x)
    t = variables["params"]["tensor"]
    assert t.shape == (5, 4, 3) and y.shape == (6, 9)
    np.testing.assert_array_equal(y[:, :5], x)
    np.testing.assert_allclose(y[:, 5:], closeness(x, t), rtol=1e-4)
    # Itself taken in, as in the paper's sum, adds exp(0) = 1; squares are not L1.
    assert np.abs(y[:, 5:] - closeness(x, t) - 1).min() > 0.9
    # Columns of the first T have norm 1: 5 x 300 x 3 numbers of variance 1 / 5.
    wide = MinibatchDiscrimination(300, 3).init(KEY, x)["params"]["tensor"]
    np.testing.assert_allclose(wide.var() * 5, 1, atol=5 * np.sqrt(2 / wide.size))


def test_discrimination_of_equal_and_of_distant_examples():
    x = np.repeat(images(1, 5), 4, axis=0)
    y, variables = SMALL.init_with_output(KEY, x)
    np.testing.assert_allclose(y[:, 5:], 3)  # the other three, exp(-0) each
    far = SMALL.apply(variables, 1000 * images(4, 5))
    np.testing.assert_allclose(far[:, 5:], 0, atol=1e-6)


LAYERS = [MinibatchStdDev(), SMALL]


@pytest.mark.parametrize("layer", LAYERS)
def test_order_does_not_matter(layer):
    x, order = images(6, 5), np.array([3, 0, 5, 1, 4, 2])
    y, variables = layer.init_with_output(KEY, x)
    z = layer.apply(variables, x[order])
    np.testing.assert_allclose(z, y[order], rtol=1e-5, atol=1e-6)
    # Other company, other features: the batch is what they are about.
    other = layer.apply(variables, np.concatenate([x[:1], 3 * x[1:]]))
    assert (np.abs(other[0] - y[0])[5:] > 1e-4).all()


def test_groups_depend_on_the_order():
    x, order = images(6, 5), np.array([3, 0, 5, 1, 4, 2])
    y, z = (MinibatchStdDev(3).apply({}, a) for a in (x, x[order]))
    assert np.abs(z - y[order])[:, -1].max() > 1e-3


@pytest.mark.parametrize("layer", LAYERS)
def test_derivatives_where_examples_are_equal(layer):
    x = np.repeat(images(1, 5), 4, axis=0)
    variables = layer.init(KEY, x)
    c = images(*layer.apply(variables, x).shape, seed=1)

    def slope(x):  # as in a gradient penalty
        grads = jax.grad(lambda x: (c * layer.apply(variables, x)).sum())(x)
        return (grads**2).sum(), grads

    (second, first) = jax.jit(jax.grad(slope, has_aux=True))(x)
    assert np.isfinite(first).all() and np.isfinite(second).all()
    # A deviation is least and a closeness greatest there: only x itself counts. (The
    # derivative of jnp.abs at 0 is 1: it would distinguish equal examples.)
    np.testing.assert_allclose(first, c[:, :5], rtol=1e-4, atol=1e-4)
    # Without the 1e-8 the root has no derivative.
    bare = jax.grad(lambda x: jnp.sqrt(x.var(axis=0)).mean())(x)
    assert not np.isfinite(bare).all()


@pytest.mark.parametrize("name", ["stddev", "discrimination"])
def test_half_precision(name):
    import flax.linen as nn

    class Net(nn.Module):
        @nn.compact
        def __call__(self, x):
            return with_minibatch(x, name)

    x = jnp.asarray(1 + images(6, 5) / 64, jnp.bfloat16)
    y, variables = Net().init_with_output(KEY, x)
    assert y.dtype == jnp.bfloat16
    assert {p.dtype.name for p in jax.tree.leaves(variables)} <= {"float32"}


@pytest.mark.parametrize("seed", range(8))
def test_half_precision_deviation_is_rounded_once(seed):
    x = jnp.asarray(1 + images(6, 5, seed=seed) / 64, jnp.bfloat16)
    y = MinibatchStdDev().apply({}, x)
    expected = jnp.asarray(deviation(np.asarray(x, np.float32)), jnp.bfloat16)
    np.testing.assert_array_equal(y[:, -1], jnp.repeat(expected, 6))


def test_names():
    x = images(2, 3)
    assert with_minibatch(x, None) is x
    with pytest.raises(
        ValueError, match="minibatch, if not None: 'std' is not one of disc.*, stddev"
    ):
        with_minibatch(x, "std")


def test_options_of_a_layer_by_name():
    class Net(nn.Module):
        spec: str | dict

        @nn.compact
        def __call__(self, x):
            return with_minibatch(x, self.spec)

    x = images(6, 5)
    spec = {"name": "discrimination", "n_kernels": 4, "n_dims": 3}
    y, variables = Net(spec).init_with_output(KEY, x)
    assert y.shape == (6, 9)
    assert variables["params"]["discrimination"]["tensor"].shape == (5, 4, 3)
    grouped = Net({"name": "stddev", "group": 2}).apply({}, x)
    expected = MinibatchStdDev(group=2).apply({}, x)
    np.testing.assert_array_equal(grouped, expected)
    assert np.abs(grouped - MinibatchStdDev().apply({}, x)).max() > 1e-3
    with pytest.raises(
        ValueError, match="stddev has no option 'groups'; accepted is group;"
    ):
        Net({"name": "stddev", "groups": 2}).apply({}, x)
