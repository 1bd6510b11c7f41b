"""Initialisers of kernels, by name."""

from flax import linen as nn

from gans.names import pick

INITIALISERS = {
    "normal": nn.initializers.normal(0.02),  # DCGAN, arXiv 1511.06434, section 4
    "he": nn.initializers.he_normal(),
    "glorot": nn.initializers.glorot_uniform(),
    "lecun": nn.linear.default_kernel_init,
}


def initialiser(name: str) -> nn.initializers.Initializer:
    """Returns the initialiser of that name: (key, shape, dtype) -> kernel of `shape`.

    Raises ValueError for an unknown name.
    """
    return pick(name, INITIALISERS, "kernel_init")
