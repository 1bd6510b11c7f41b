"""Generators and discriminators, one architecture per file; `make` finds one by name.

A generator is called as `module(z [B, L], label=None, train=bool)` and returns data
[B, *shape], images in [-1, 1]. A discriminator is called as `module(x [B, *shape],
label=None, train=bool)` and returns logits [B]. Both results are float32, whatever the
dtype of the layers. A discriminator's `mixes_batch` says whether a logit depends on the
other examples of its batch, as it does with batch norm and with `minibatch` features.

Every network has a field `layers`, a `gans.layers.Layers` with the options that all its
layers share, and a class attribute `slots`, the names of those options that it has a
use for. Norms follow hidden layers and precede their activation. Spectral norm and
equalised learning rates apply to the kernels of layers, not to the embeddings of
condition="concat" or the tensor of minibatch discrimination.
"""

import dataclasses
import numbers
from typing import Any

from flax import linen as nn

from gans import names
from gans.layers import Layers

ROLES = ("Generator", "Discriminator")


def find(role: str, network: str) -> type[nn.Module]:
    """Returns the class; raises ValueError for an unknown role or network."""
    names.check(role, ROLES, "role")
    return getattr(names.module(network, __name__, "network"), role)


def make(role: str, network: str, **options) -> nn.Module:
    """Returns `gans.networks.{network}`'s `Generator` or `Discriminator`.

    Args:
      role: "Generator" or "Discriminator".
      network: the name of a file of this folder.
      **options: fields of the module and of its `layers`, side by side.

    Raises ValueError for an unknown role, network or option, with what is accepted, and
    for `widths` or `convolutions` that are no sizes.
    """
    cls = find(role, network)
    shared = {field.name: field.default for field in dataclasses.fields(Layers)}
    # An option of layers that keeps its default needs no slot.
    options = {
        name: value
        for name, value in options.items()
        if name in cls.slots or name not in shared or value != shared[name]
    }
    names.typed(options_of(cls), options, f"{network}.{role}")
    for name in {"widths", "convolutions"} & options.keys():
        if not _sizes(options[name]):
            raise ValueError(
                f"{name}={options[name]!r} must be sizes, from 1 to 1000000 and at "
                "least one"
            )
    given = {name: options.pop(name) for name in cls.slots if name in options}
    return cls(**options, layers=cls.layers.replace(**given))


def options_of(cls: type[nn.Module]) -> dict[str, Any]:
    """Returns {name: annotation} of what a network's class accepts: see `make`."""
    own = names.options_of(cls)
    shared = names.options_of(Layers)
    return {
        **{x: own[x] for x in own if x not in ("parent", "name", "layers")},
        **{x: shared[x] for x in cls.slots},
    }


def _sizes(value: Any) -> bool:
    """Whether a tuple of integers, or of such tuples, has sizes, and only sizes."""
    return len(value) > 0 and all(
        1 <= x <= 1_000_000 if isinstance(x, numbers.Integral) else _sizes(x)
        for x in value
    )
