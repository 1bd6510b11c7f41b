"""Initialisers of kernels, by the names that configs use."""

import difflib

from flax import linen as nn

INITIALISERS = {
    "normal": nn.initializers.normal(0.02),  # DCGAN, arXiv 1511.06434, section 4
    "he": nn.initializers.he_normal(),
    "glorot": nn.initializers.glorot_uniform(),
}


def initialiser(name: str) -> nn.initializers.Initializer:
    """Returns the initialiser of that name: (key, shape, dtype) -> kernel of `shape`.

    Raises ValueError for an unknown name.
    """
    if name not in INITIALISERS:
        near = difflib.get_close_matches(name, INITIALISERS, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"kernel_init={name!r} is not one of {sorted(INITIALISERS)}{hint}")
    return INITIALISERS[name]
