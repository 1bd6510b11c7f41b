"""Batch norm, alone and per class: numpy and torch."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from gans.layers.norms.batch import BatchNorm

KEY = jax.random.key(3)
# Little effort goes into compiling what runs once.
quick = functools.partial(
    jax.jit, compiler_options={"xla_backend_optimization_level": 0}
)


def images(*shape, seed=0):
    return 2 * np.random.default_rng(seed).normal(size=shape).astype(np.float32) + 1


def trained(layer, variables, *inputs):
    """A pass in training: the output, and what it changes."""
    apply = functools.partial(layer.apply, train=True, mutable=["batch_stats"])
    return quick(apply)(variables, *inputs)


def normalised(x, epsilon=1e-5):
    """(x - mean) / sqrt(variance + epsilon) per channel, in float64."""
    x = x.astype(np.float64)
    axes = tuple(range(x.ndim - 1))
    return (x - x.mean(axes)) / np.sqrt(x.var(axes) + epsilon)


LABEL = np.array([2, 0, 1, 2], np.int32)


class ForgottenOne(nn.Module):
    """The mistake: a conditional gain of gamma, not 1 + gamma."""

    n_classes: int

    @nn.compact
    def __call__(self, x, label, *, train):
        y = nn.BatchNorm(not train, use_scale=False, use_bias=False)(x)
        gamma = self.param("gamma", nn.initializers.zeros_init(), (3, x.shape[-1]))
        return y * gamma[label][:, None, None]


def check_plain_at_first(layer):
    x = images(4, 2, 3, 5)
    variables = layer.init(KEY, x, LABEL, train=True)
    y, _ = trained(layer, variables, x, LABEL)
    np.testing.assert_allclose(y, normalised(x), atol=1e-5)


def test_conditional_batch_norm_starts_as_plain_normalisation():
    check_plain_at_first(BatchNorm())
    check_plain_at_first(BatchNorm(n_classes=3))
    with pytest.raises(AssertionError):
        check_plain_at_first(ForgottenOne(3))


@pytest.mark.parametrize("shape", [(4, 2, 3, 5), (4, 5), (4, 7, 5)])
def test_conditional_gain_and_bias_are_those_of_the_class(shape):
    x, rng = images(*shape), np.random.default_rng(1)
    gamma, beta = rng.normal(size=(2, 3, 5))
    layer = BatchNorm(n_classes=3)
    variables = layer.init(KEY, x, LABEL, train=True)
    assert jax.tree.map(jnp.shape, variables["params"]) == {
        "gamma": (3, 5),
        "beta": (3, 5),
    }
    variables = {**variables, "params": {"gamma": gamma, "beta": beta}}
    y, _ = trained(layer, variables, x, LABEL)
    axes = tuple(range(1, x.ndim - 1))
    g, b = (np.expand_dims(t[LABEL], axes) for t in (gamma, beta))
    np.testing.assert_allclose(y, normalised(x) * (1 + g) + b, atol=2e-5)
    assert np.abs(y - (normalised(x) * g + b)).max() > 0.5


def test_running_statistics_in_training_and_after():
    x = images(4, 2, 3, 5)
    mean, var = x.mean((0, 1, 2)), x.var((0, 1, 2))
    layer = BatchNorm(scale_init=nn.initializers.constant(3.0))
    variables = layer.init(KEY, x, train=True)
    y, new = trained(layer, variables, x)
    np.testing.assert_allclose(y, 3 * normalised(x), atol=3e-5)
    # From 0 and 1: a tenth of the way to the batch's.
    found = new["batch_stats"]["batch"]
    np.testing.assert_allclose(found["mean"], 0.1 * mean, rtol=1e-4)
    np.testing.assert_allclose(found["var"], 0.9 + 0.1 * var, rtol=1e-4)
    # Outside training those are used, and one example's output is its own affair.
    stored = {**variables, **new}
    one = layer.apply(stored, x[:1], train=False)
    expected = 3 * (x[:1] - 0.1 * mean) / np.sqrt(0.9 + 0.1 * var + 1e-5)
    np.testing.assert_allclose(one, expected, rtol=1e-4, atol=1e-5)
    assert np.abs(one - y[:1]).max() > 0.5


def test_batch_norm_against_torch():
    torch = pytest.importorskip("torch")
    x, c = images(4, 2, 3, 5), images(4, 2, 3, 5, seed=1)
    layer = BatchNorm()
    variables = layer.init(KEY, x, train=True)

    def weighted(x):
        y, _ = layer.apply(variables, x, train=True, mutable=["batch_stats"])
        return (c * y).sum()

    t = torch.tensor(x, dtype=torch.float64, requires_grad=True)
    y = torch.nn.functional.batch_norm(t.movedim(-1, 1), None, None, training=True)
    (y.movedim(1, -1) * torch.tensor(c)).sum().backward()
    grads = quick(jax.grad(weighted))(x)
    np.testing.assert_allclose(grads, t.grad.numpy(), atol=2e-5)
    # Statistics taken for constants give another gradient.
    constant = c / np.sqrt(x.var((0, 1, 2)) + 1e-5)
    assert np.abs(constant - t.grad.numpy()).max() > 0.1


def test_batch_norm_in_half_precision_keeps_float32_statistics():
    x = jnp.asarray(images(4, 2, 3, 5), jnp.bfloat16)
    layer = BatchNorm(n_classes=3, dtype=jnp.bfloat16)
    variables = layer.init(KEY, x, LABEL, train=True)
    y, new = trained(layer, variables, x, LABEL)
    assert y.dtype == jnp.bfloat16
    assert {a.dtype.name for a in jax.tree.leaves((variables, new))} == {"float32"}


def test_conditional_batch_norm_needs_labels():
    with pytest.raises(ValueError, match="n_classes needs labels, got label=None"):
        BatchNorm(n_classes=3).init(KEY, images(4, 5), train=True)
