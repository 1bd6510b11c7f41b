"""Guided backpropagation against its definition, worked out by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from experiments.probing.guided import guided

W = np.array([[1.0, -2.0], [3.0, 1.0], [-1.0, 4.0]], np.float32)
V = np.array([1.0, -1.0], np.float32)
X = np.array([1.0, 2.0, 0.5], np.float32)


@pytest.mark.parametrize("relu", [nn.relu, lambda h: nn.leaky_relu(h, 0.2)])
@pytest.mark.parametrize("wrapped", [lambda f: f, jax.jit])
def test_only_what_is_positive_passes(relu, wrapped):
    def f(x):
        return relu(x @ W) @ V

    # x W = [6.5, 2]: both are positive. The gradient of them is V; guided, its
    # negative part is left out, so that of x is the first column of W.
    assert (X @ W > 0).all()
    np.testing.assert_allclose(jax.grad(guided(wrapped(f)))(X), W[:, 0])
    np.testing.assert_allclose(guided(f)(X), f(X))
    # The negative control: the plain gradient is another.
    np.testing.assert_allclose(jax.grad(f)(X), W @ V)
    # -x W is negative: nothing passes, of a leaky one neither.
    np.testing.assert_allclose(jax.grad(guided(f))(-X), 0)


def test_other_activations_keep_their_gradients():
    def f(x):
        return jnp.tanh(x @ W) @ V

    np.testing.assert_allclose(jax.grad(guided(f))(X), jax.grad(f)(X), rtol=1e-6)


def test_two_layers_are_gated_in_each():
    def f(x):
        return nn.relu(nn.relu(x @ W) @ np.diag(V)).sum()

    # The second layer sees [6.5, -2]: one is left, and its weight is 1.
    np.testing.assert_allclose(jax.grad(guided(f))(X), W[:, 0])
