"""Self-attention against the paper's equations, written out in numpy."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from gans.layers import Layers
from gans.layers.attention import SelfAttention

X = np.random.default_rng(0).normal(size=(2, 3, 4, 16)).astype(np.float32)
LAYER = SelfAttention(dense=nn.Dense)

# Little effort goes into compiling what runs once.
quick = functools.partial(
    jax.jit, compiler_options={"xla_backend_optimization_level": 0}
)
apply = quick(LAYER.apply)


def variables(gamma):
    """Weights large enough that attention is far from uniform."""
    rng = np.random.default_rng(1)
    shapes = jax.eval_shape(LAYER.init, jax.random.key(0), X)["params"]
    params = jax.tree.map(lambda p: jnp.asarray(0.5 * rng.normal(size=p.shape)), shapes)
    return {"params": params | {"gamma": jnp.float32(gamma)}}


def equations(p, x, attended=-1):
    """Equations 1 to 3 of arXiv 1805.08318 with positions as columns, in float64."""

    def linear(name, x):  # C x N
        w, b = (np.asarray(p[name][k], np.float64) for k in ("kernel", "bias"))
        return w.T @ x + b[:, None]

    out = []
    for example in x.astype(np.float64):
        columns = example.reshape(-1, x.shape[-1]).T
        s = linear("f", columns).T @ linear("g", columns)  # s[i, j] = f(x_i) . g(x_j)
        e = np.exp(s.T)  # [j, i]
        beta = e / e.sum(axis=attended, keepdims=True)  # over the i attended to
        o = linear("v", linear("h", columns) @ beta.T)
        out.append((float(p["gamma"]) * o + columns).T.reshape(example.shape))
    return np.stack(out)


def test_identity_at_first():
    first = quick(LAYER.init)(jax.random.key(0), X)
    np.testing.assert_array_equal(apply(first, X), X)
    # Gamma leaves 0 at once, and takes the maps with it after.
    slopes = quick(jax.grad(lambda p: (LAYER.apply(p, X) ** 2).sum()))
    grads = slopes(first)["params"]
    assert abs(grads.pop("gamma")) > 0.1
    assert not any(g.any() for g in jax.tree.leaves(grads))


def test_against_the_equations():
    y = apply(variables(0.7), X)
    p = variables(0.7)["params"]
    np.testing.assert_allclose(y, equations(p, X), rtol=1e-4, atol=1e-4)
    # Normalised over the other axis it is another map, and so it is with gamma = 0.
    assert np.abs(y - equations(p, X, attended=0)).max() > 0.1
    assert np.abs(y - X).max() > 0.1


def test_maps_have_an_eighth_of_the_channels():
    p = variables(0.7)["params"]
    kernels = {name: p[name]["kernel"].shape for name in "fghv"}
    assert kernels == {"f": (16, 2), "g": (16, 2), "h": (16, 2), "v": (2, 16)}


def test_equivariant_under_permutations_of_the_positions():
    order = np.random.default_rng(2).permutation(12)

    def moved(x):
        return np.asarray(x).reshape(2, 12, 16)[:, order].reshape(X.shape)

    y, z = apply(variables(0.7), X), apply(variables(0.7), moved(X))
    np.testing.assert_allclose(z, moved(y), rtol=1e-4, atol=1e-5)
    assert np.abs(z - y).max() > 0.1


def test_examples_do_not_attend_to_each_other():
    other = np.concatenate([X[:1], 5 + X[1:]])
    y, z = apply(variables(0.7), X), apply(variables(0.7), other)
    np.testing.assert_array_equal(y[0], z[0])


def test_spectrally_normalised_maps():
    class Layer(nn.Module):
        slots = ("spectral",)

        @nn.compact
        def __call__(self, x, *, train):
            layers = Layers(spectral=True)
            make = layers.factory(self, train, kernel_init="lecun")
            dense = functools.partial(make, nn.Dense)
            return SelfAttention(dense, name="attention")(x)

    init = functools.partial(Layer().init, train=True)
    state = jax.eval_shape(init, jax.random.key(0), X)
    assert set(state["spectral"]["attention"]) == set("fghv")
    assert state["params"]["attention"]["v"]["layer"]["kernel"].shape == (2, 16)


def test_half_precision_in_and_out():
    y = apply(variables(0.7), jnp.asarray(X, jnp.bfloat16))
    assert y.dtype == jnp.float32  # of dense layers that know no dtype
    half = SelfAttention(functools.partial(nn.Dense, dtype=jnp.bfloat16))
    y = quick(half.apply)(variables(0.7), jnp.asarray(X, jnp.bfloat16))
    assert y.dtype == jnp.bfloat16
    exact = equations(variables(0.7)["params"], X)
    assert np.abs(np.asarray(y, np.float32) - exact).mean() < 0.05


def test_needs_8_channels():
    with pytest.raises(ValueError, match="at least 8 channels, got 4"):
        LAYER.init(jax.random.key(0), X[..., :4])
