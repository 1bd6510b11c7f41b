"""Initialisers by name: their moments."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gans.layers.initial import INITIALISERS, around_one, initialiser

SHAPE = (3, 3, 32, 64)  # 18,432 numbers: fan in 288, fan out 576


@functools.cache
def draw(name):
    """A kernel, compiled with little effort."""
    init = functools.partial(initialiser(name), shape=SHAPE, dtype=jnp.float32)
    quick = {"xla_backend_optimization_level": 0}
    return np.asarray(jax.jit(init, compiler_options=quick)(jax.random.key(0)))


@pytest.mark.parametrize(
    "name, deviation",
    [
        ("normal", 0.02),
        ("he", np.sqrt(2 / 288)),
        ("glorot", np.sqrt(2 / (288 + 576))),
        ("lecun", np.sqrt(1 / 288)),
    ],
)
def test_moments(name, deviation):
    w = draw(name)
    assert w.shape == SHAPE and w.dtype == np.float32
    # Standard errors: deviation / sqrt(n) of the mean, 1 / sqrt(2 n) = 0.5 % of it.
    assert abs(w.mean()) < 5 * deviation / np.sqrt(w.size)
    np.testing.assert_allclose(w.std(), deviation, rtol=0.026)


def test_shapes_of_the_distributions():
    # Beyond 3 deviations: 0.27 % of a normal one; a uniform one ends at sqrt(3).
    normal, glorot = draw("normal"), draw("glorot")
    assert 0.001 < (np.abs(normal) > 0.06).mean() < 0.005
    limit = np.sqrt(6 / (288 + 576))
    assert 0.99 * limit < np.abs(glorot).max() <= limit


def test_unknown_name():
    assert set(INITIALISERS) == {"normal", "he", "glorot", "lecun", "uniform"}
    with pytest.raises(ValueError, match="kernel_init: 'normall'.*glorot.*'normal'"):
        initialiser("normall")


def test_gains_are_around_one():
    gains = np.asarray(around_one(jax.random.key(0), (10_000,)))
    # Standard errors: 0.02 / 100 of the mean, 0.7 % of the deviation.
    np.testing.assert_allclose(gains.mean(), 1, atol=1e-3)
    np.testing.assert_allclose(gains.std(), 0.02, rtol=0.035)
