"""Spectral normalisation of the kernels of layers (arXiv 1802.05957)."""

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import Array


def power_iteration(w: Array, u: Array) -> tuple[Array, Array]:
    """One iteration of Algorithm 1 of arXiv 1802.05957.

    Args: w [M, O]; u [O], any non-zero vector.
    Returns: (sigma [] float32, an estimate from below of w's largest singular value
      through which gradients flow to w alone; the new u [O], of norm 1).
    """
    fixed, u = jax.lax.stop_gradient((w, u))
    v = _unit(fixed @ u)
    u = _unit(v @ fixed)
    return v @ w @ u, u


def _unit(x):
    return x / (jnp.linalg.norm(x) + 1e-12)


class SpectralNorm(nn.Module):
    """Wraps a layer (Dense, Conv, Embed ...): its kernel has spectral norm 1.

    x -> layer(x), with every parameter of two or more axes, seen as a matrix
    [everything else, O], divided by `power_iteration`'s sigma. The vector u is kept in
    the collection `spectral`; each pass in training takes one iteration from it, and
    the update that stores the stats of the pass makes it the next u (arXiv 1802.05957).
    """

    layer: nn.Module

    @nn.compact
    def __call__(self, x: Array, *, train: bool) -> Array:
        def normalise(variables):
            flat = jax.tree_util.tree_leaves_with_path(variables)
            kernels = [self._normalised(path, w, train) for path, w in flat]
            if self.is_initializing():  # what it returns then is what gets stored
                return variables
            return jax.tree.unflatten(jax.tree.structure(variables), kernels)

        return nn.map_variables(
            lambda layer, x: layer(x),
            "params",
            trans_in_fn=normalise,
            init=self.is_initializing(),
        )(self.layer, x)

    def _normalised(self, path, w, train):
        if w.ndim < 2:
            return w
        matrix = w.reshape(-1, w.shape[-1]).astype(jnp.float32)
        name = "/".join(p.key for p in path if p.key != "params") + "/u"

        def first():
            return _unit(jax.random.normal(self.make_rng("params"), matrix.shape[-1:]))

        u = self.variable("spectral", name, first)
        sigma, new = power_iteration(matrix, u.value)
        if train and not self.is_initializing():
            u.value = new
        return w / sigma.astype(w.dtype)
