"""Normalisation of activations (batch, pixel) and of weights (spectral), by name."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import Array

from gans.layers.equalised import Equalised
from gans.layers.virtual import VirtualBatchNorm
from gans.names import check


class BatchNorm(nn.Module):
    """Batch normalisation, with a gain and a bias per class where `n_classes` is set.

    x [B, ..., C] -> [B, ..., C]. In training the statistics are those of the batch (of
    the whole batch, however many devices share it), and `batch_stats` keeps their
    running average; otherwise that average is used. Per class (arXiv 1610.07629, as in
    arXiv 1802.05637) the gain is 1 + gamma[label], with gamma and beta from 0.

    Raises ValueError if `n_classes` is set and no label is given.
    """

    n_classes: int | None = None
    scale_init: nn.initializers.Initializer = nn.initializers.ones_init()
    momentum: float = 0.9
    epsilon: float = 1e-5
    dtype: Any = None

    @nn.compact
    def __call__(self, x: Array, label: Array | None = None, *, train: bool) -> Array:
        affine = self.n_classes is None
        x = nn.BatchNorm(
            use_running_average=not train,
            momentum=self.momentum,
            epsilon=self.epsilon,
            use_scale=affine,
            use_bias=affine,
            scale_init=self.scale_init,
            dtype=self.dtype,
            name="batch",
        )(x)
        if affine:
            return x
        if label is None:
            raise ValueError("BatchNorm with n_classes needs labels, got label=None")
        shape = (self.n_classes, x.shape[-1])
        gamma = self.param("gamma", nn.initializers.zeros_init(), shape)[label]
        beta = self.param("beta", nn.initializers.zeros_init(), shape)[label]
        axes = tuple(range(1, x.ndim - 1))
        gamma, beta = (jnp.expand_dims(t, axes).astype(x.dtype) for t in (gamma, beta))
        return x * (1 + gamma) + beta


class PixelNorm(nn.Module):
    """x [B, ..., C] -> [B, ..., C]: x / sqrt(mean over channels of x^2 + 1e-8).

    Section 4.2 of arXiv 1710.10196; no parameters.
    """

    @nn.compact
    def __call__(self, x: Array) -> Array:
        h = x.astype(jnp.promote_types(x.dtype, jnp.float32))
        squares = jnp.mean(h**2, axis=-1, keepdims=True)
        return (h * jax.lax.rsqrt(squares + 1e-8)).astype(x.dtype)


def norm_maker(
    module: nn.Module,
    accepted: tuple[str, ...],
    train: bool,
    n_classes: int | None = None,
    scale_init: nn.initializers.Initializer = nn.initializers.ones,
) -> Callable[..., Array]:
    """Returns normalise(x, name, label=None) -> y, both [B, ..., C], by module.norm.

    "batch" (with a gain per class where `n_classes`), "pixel", "virtual" (x as
    `with_reference` makes it), or None: y is x. Call it inside a compact module with
    the fields norm and dtype, and n_reference if "virtual" is accepted.

    Raises ValueError for a norm that is not accepted.
    """
    norm = module.norm
    if norm is not None:
        check(norm, accepted, "norm, if not None")
    options = {"scale_init": scale_init, "dtype": module.dtype}

    def normalise(x, name, label=None):
        if norm == "batch":
            return BatchNorm(n_classes, **options, name=name)(x, label, train=train)
        if norm == "virtual":
            return VirtualBatchNorm(module.n_reference, **options, name=name)(x)
        return x if norm is None else PixelNorm(name=name)(x)

    return normalise


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


def layer_maker(
    train: bool, *, spectral: bool = False, equalised: bool = False
) -> Callable[..., Callable]:
    """Returns make(cls, *args, name, gain, **kwargs) -> (x -> y): a layer cls(*args).

    Its kernel is spectrally normalised where `spectral`; where `equalised`, it has an
    equalised learning rate with that gain (see `Equalised`; sqrt(2) unless given), and
    N(0, 1) instead of its initialiser. Call `make` inside a compact module; x and y
    have the shapes that the layer gives them.

    Raises ValueError for both at once.
    """
    if spectral and equalised:
        raise ValueError(
            "spectral=True and equalised=True: spectral norm divides a kernel by its "
            "own scale, equalised or not; accepted is one of the two"
        )

    def make(cls, *args, name, gain=2**0.5, **kwargs):
        if spectral:
            layer = SpectralNorm(cls(*args, parent=None, **kwargs), name=name)
            return functools.partial(layer, train=train)
        if equalised:
            return Equalised(cls(*args, parent=None, **kwargs), gain, name=name)
        return cls(*args, name=name, **kwargs)

    return make


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
