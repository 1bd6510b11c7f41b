"""Multilayer perceptrons: sizes, ranges, equations, dropout, labels."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gans.core import Bound
from gans.layers import Layers
from gans.networks import mlp

LABEL = jnp.array([1, 0, 2, 1], jnp.int32)
X = np.random.default_rng(0).normal(size=(4, 2)).astype(np.float32)


def count(params):
    return sum(p.size for p in jax.tree.leaves(params))


def test_points(bound, run):
    g = bound(mlp.Generator((2,)), jnp.ones((1, 10)))
    # 10 x 128 + 128, 128 x 128 + 128, 128 x 2 + 2.
    assert count(g.params) == 1408 + 16512 + 258
    y = run(g, 100 * jnp.ones((3, 10)))
    assert y.shape == (3, 2) and y.dtype == jnp.float32
    assert jnp.abs(y).max() > 1  # points have no bounds
    d = bound(mlp.Discriminator(), X)
    assert count(d.params) == (2 * 128 + 128) + 16512 + 129
    assert run(d, X).shape == (4,) and run(d, X).dtype == jnp.float32


def test_images_are_in_range(bound, run):
    g = bound(mlp.Generator((4, 5, 3), widths=(8,), bounded=True), jnp.ones((1, 6)))
    z = 100 * np.random.default_rng(1).normal(size=(7, 6)).astype(np.float32)
    y = run(g, z)
    free = dataclasses.replace(g, module=g.module.copy(bounded=False))
    np.testing.assert_allclose(jnp.tanh(run(free, z)), y, atol=1e-6)
    assert y.shape == (7, 4, 5, 3)
    assert 0.9 < jnp.abs(y).max() <= 1
    d = bound(mlp.Discriminator(widths=(8,)), y)
    assert run(d, y).shape == (7,)
    assert count(d.params) == 60 * 8 + 8 + 9


def layers(params, names, slope, x):
    """The network in numpy: hidden layers, then what comes out."""
    hidden = []
    for name in names:
        p = params[name]
        x = x @ np.asarray(p["kernel"], np.float64) + np.asarray(p["bias"])
        if name != "out":
            x = np.where(x > 0, x, slope * x)
            hidden.append(x)
    return hidden, x


def test_equations_and_features(bound, run):
    d = bound(mlp.Discriminator(widths=(8, 6), slope=0.1), X)
    hidden, logits = layers(d.params, ("dense0", "dense1", "out"), 0.1, X)
    np.testing.assert_allclose(run(d, X), logits[:, 0], rtol=1e-4, atol=1e-6)
    features = d.features(X)
    assert set(features) == {"hidden0", "hidden1"}
    for i in range(2):
        np.testing.assert_allclose(features[f"hidden{i}"], hidden[i], atol=1e-6)
    # Another slope is another function.
    other = layers(d.params, ("dense0", "dense1", "out"), 0.0, X)[1]
    assert np.abs(run(d, X) - other[:, 0]).max() > 1e-3
    g = bound(mlp.Generator((2,), widths=(8, 6)), X)
    points = layers(g.params, ("dense0", "dense1", "out"), 0.0, X)[1]
    np.testing.assert_allclose(run(g, X), points, rtol=1e-4, atol=1e-6)


def virtual(h, n):
    """Virtual batch norm of [reference, x], by mean and mean of squares."""
    mean, squares = h[:n].mean(0), (h[:n] ** 2).mean(0)
    share = np.where(np.arange(len(h)) < n, 0, 1 / (n + 1))[:, None]
    m, s = mean + share * (h - mean), squares + share * (h**2 - squares)
    return (h - m) / np.sqrt(s - m**2 + 1e-5)


def test_virtual_norm_and_minibatch_features_in_their_places(bound, run):
    network = mlp.Discriminator(
        (8, 6),
        layers=Layers(norm={"name": "virtual", "n_reference": 3}, minibatch="stddev"),
    )
    d = bound(network, X, train=True)
    p = jax.tree.map(np.float64, d.params)
    assert set(p) == {"dense0", "dense1", "norm1", "out"}

    def dense(x, name):
        return x @ p[name]["kernel"] + p[name]["bias"]

    def reference(first_too=False, with_own=False):
        h = dense(np.concatenate([X[:3], X]), "dense0")
        h = np.maximum(virtual(h, 3) if first_too else h, 0)
        h = virtual(dense(h, "dense1"), 3) * p["norm1"]["scale"] + p["norm1"]["bias"]
        h = np.maximum(h, 0)
        deviation = np.sqrt(h[0 if with_own else 3 :].var(0) + 1e-8).mean()
        h = np.append(h[3:], np.full((4, 1), deviation), axis=1)
        return h[:, :-1], dense(h, "out")[:, 0]

    hidden, logits = reference()
    np.testing.assert_allclose(run(d, X), logits, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(d.features(X)["hidden1"], hidden, rtol=1e-4, atol=1e-5)
    # The first layer normalised, or the reference part of the batch: other networks.
    for wrong in ({"first_too": True}, {"with_own": True}):
        assert np.abs(logits - reference(**wrong)[1]).max() > 1e-3


def test_pixel_norm_and_equalised_kernels_in_their_places(bound, run):
    layers = Layers(norm="pixel", equalised=True)
    g = bound(mlp.Generator((2,), (8, 6), layers=layers), X)
    h = X
    for i in range(2):
        p = g.params[f"dense{i}"]["layer"]
        h = h @ np.asarray(p["kernel"]) * np.sqrt(2 / h.shape[1]) + p["bias"]
        h = np.maximum(h / np.sqrt((h**2).mean(1, keepdims=True) + 1e-8), 0)
    p = g.params["out"]["layer"]
    y = h @ np.asarray(p["kernel"]) / np.sqrt(6) + p["bias"]
    np.testing.assert_allclose(run(g, X), y, rtol=1e-4, atol=1e-5)


def test_dropout_in_training_only(bound, run):
    network = mlp.Discriminator(widths=(64,), layers=Layers(dropout=0.5))
    d = bound(network, X, train=True)
    first, again, other = (run(d, X, key=jax.random.key(k)) for k in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert (first != other).all()
    still = Bound(network, d.params, {}, False)
    np.testing.assert_array_equal(run(still, X), run(still, X, key=jax.random.key(0)))
    # What is kept is doubled: the mean over masks is the output without one.
    many = run(d, np.repeat(X[:1], 4000, axis=0), key=jax.random.key(2))
    assert abs(many.mean() - run(still, X)[0]) < 5 * many.std() / np.sqrt(4000)


def test_labels_join_the_input(bound, run):
    options = {"widths": (8,), "condition": "concat", "n_classes": 3}
    g = bound(mlp.Generator((2,), **options), X, LABEL)
    d = bound(mlp.Discriminator(**options), X, LABEL)
    for net in (g, d):
        assert net.params["label"]["embedding"].shape == (3, 50)
        assert net.params["dense0"]["kernel"].shape == (52, 8)
        assert (run(net, X, LABEL) != run(net, X, (LABEL + 1) % 3)).any()
        with pytest.raises(ValueError, match="needs data with labels"):
            run(net, X)


@pytest.mark.parametrize("network", [mlp.Generator((2,)), mlp.Discriminator()])
def test_labels_are_ignored_without_a_condition(bound, run, network):
    net = bound(network, X)
    np.testing.assert_array_equal(run(net, X), run(net, X, LABEL))
    wrong = network.copy(condition="projection", n_classes=3)
    with pytest.raises(ValueError, match="'projection': this network knows .*concat"):
        bound(wrong, X, LABEL)


def test_half_precision_networks_give_float32(bound, run):
    for network in (mlp.Generator((2,)), mlp.Discriminator()):
        full = bound(network, X)
        half = Bound(
            network.copy(layers=Layers(dtype=jnp.bfloat16)), full.params, {}, False
        )
        assert run(half, X).dtype == jnp.float32
        assert {p.dtype.name for p in jax.tree.leaves(full.params)} == {"float32"}
        np.testing.assert_allclose(run(half, X), run(full, X), atol=0.05)
        assert (run(half, X) != run(full, X)).any()  # it was in half precision
