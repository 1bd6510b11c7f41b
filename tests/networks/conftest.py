"""Networks with weights that take no compilation to draw."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gans.core import Bound


@pytest.fixture(scope="session")
def bound():
    """bound(module, *inputs, train=False) -> Bound."""
    return close


@pytest.fixture(scope="session")
def run():
    """run(net, *inputs, key=None) -> what the Bound yields, compiled with no effort."""

    def call(net, *inputs, key=None):
        quick = {"xla_backend_optimization_level": 0}
        passes = jax.jit(lambda *inputs: net(*inputs, key=key), compiler_options=quick)
        return passes(*inputs)

    return call


def close(module, *inputs, train=False):
    """The network closed over weights of deviation 0.3, always the same ones.

    Running variances are 1, spectral norm's vectors have norm 1, and virtual batch norm
    has no reference yet.
    """
    rng = np.random.default_rng(0)

    def draw(path, p):
        name = path[-1].key.split("/")[-1]
        w = 0.3 * rng.normal(size=p.shape)
        if name == "u":
            w /= np.linalg.norm(w)
        w = np.zeros(p.shape) if path[0].key == "reference" else w
        return jnp.asarray(np.ones(p.shape) if name == "var" else w, p.dtype)

    keys = {"params": jax.random.key(0), "dropout": jax.random.key(1)}
    init = functools.partial(module.init, train=True)
    shapes = dict(jax.eval_shape(init, keys, *inputs))
    shapes.pop("features", None)
    variables = jax.tree_util.tree_map_with_path(draw, shapes)
    return Bound(module, variables.pop("params"), variables, train)
