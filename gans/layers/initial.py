"""Initialisers of kernels, by name."""

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import Array

from gans.names import pick


def _uniform(key, shape, dtype=jnp.float32):
    return jax.random.uniform(key, shape, dtype, -0.01, 0.01)


INITIALISERS = {
    "normal": nn.initializers.normal(0.02),  # DCGAN, arXiv 1511.06434, section 4
    "he": nn.initializers.he_normal(),
    "glorot": nn.initializers.glorot_uniform(),
    "lecun": nn.linear.default_kernel_init,
    "uniform": _uniform,  # the code of TGAN, arXiv 1611.06624, and WGAN's limits
}


def initialiser(name: str) -> nn.initializers.Initializer:
    """Returns the initialiser of that name: (key, shape, dtype) -> kernel of `shape`.

    Raises ValueError for an unknown name.
    """
    return pick(name, INITIALISERS, "kernel_init")


def around_one(key: Array, shape: tuple[int, ...], dtype=jnp.float32) -> Array:
    """Gains of norms [*shape] from N(1, 0.02), as in the code of DCGAN and pix2pix."""
    return 1 + 0.02 * jax.random.normal(key, shape, dtype)


# ESRGAN (arXiv 1809.00219, section 3.1): "smaller initialization" of residual layers.
a_tenth_of_he = nn.initializers.variance_scaling(0.02, "fan_in", "truncated_normal")
