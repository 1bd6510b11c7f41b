"""Generators and discriminators, one architecture per file; `make` finds one by name.

A generator is called as `module(z [B, L], label=None, train=bool)` and returns data
[B, *shape], images in [-1, 1]. A discriminator is called as `module(x [B, *shape],
label=None, train=bool)` and returns logits [B]. Both results are float32, whatever the
dtype of the layers. A discriminator's `mixes_batch` says whether a logit depends on the
other examples of its batch, as it does with batch norm and with `minibatch` features.
If it does, `alternates(n)` says whether two batches of n keep their logits where their
examples alternate in one batch; without that method they do not.

A network here has a field `layers`, a `gans.layers.Layers` with the options that all
its layers share, and a class attribute `slots`, the names of those options that it has
a use for. One of your own package is found by its path (see `gans.names`): that of a
module with both classes, or of a class; it needs no `layers`, and gets `shape` and
`n_classes` if it has such fields.

Norms follow hidden layers and precede their activation. Spectral norm and equalised
learning rates apply to the kernels of layers, not to the embeddings of
condition="concat" or the tensor of minibatch discrimination.
"""

import dataclasses
import numbers
import re
from typing import Any

from flax import linen as nn

from gans import names
from gans.layers import Layers

ROLES = ("Generator", "Discriminator")
_OF_SIZES = re.compile(r"^(\w+_)?widths?$|^convolutions$")  # options


def find(role: str, network: str) -> type[nn.Module]:
    """Returns the class; raises ValueError for an unknown role or network."""
    names.check(role, ROLES, "role")
    found = names.part(network, __name__, role, "network")
    names.wanted(found, type, "network", network, "a class of Flax modules")
    if not issubclass(found, nn.Module):
        raise ValueError(f"network: {network!r} is no class of Flax modules")
    return found


def make(role: str, network: str, **options) -> nn.Module:
    """Returns `gans.networks.{network}`'s `Generator` or `Discriminator`.

    Args:
      role: "Generator" or "Discriminator".
      network: the name of a file of this folder, or a path.
      **options: fields of the module and of its `layers`, side by side.

    Raises ValueError for an unknown role, network or option, with what is accepted, and
    for `width`, `widths`, `NAME_widths` or `convolutions` that are no sizes.
    """
    cls = find(role, network)
    accepted = options_of(cls)
    shared = {field.name: field.default for field in dataclasses.fields(Layers)}
    # An option of layers that keeps its default needs no slot.
    options = {
        name: value
        for name, value in options.items()
        if name in accepted or name not in shared or value != shared[name]
    }
    place = network if network.endswith(cls.__name__) else f"{network}.{role}"
    names.typed(accepted, options, place)
    for name in filter(_OF_SIZES.search, options):
        value = options[name]
        if not _sizes(value if isinstance(value, tuple) else (value,)):
            raise ValueError(
                f"{name}={options[name]!r} must be sizes, from 1 to 1000000 and at "
                "least one"
            )
    if not _slots(cls):
        return cls(**options)
    given = {name: options.pop(name) for name in _slots(cls) if name in options}
    return cls(**options, layers=cls.layers.replace(**given))


def options_of(cls: type[nn.Module]) -> dict[str, Any]:
    """Returns {name: annotation} of what a network's class accepts: see `make`."""
    own = names.options_of(cls)
    shared = names.options_of(Layers)
    return {
        **{x: own[x] for x in own if x not in ("parent", "name", "layers")},
        **{x: shared[x] for x in _slots(cls)},
    }


def layers_of(module: nn.Module) -> Layers:
    """Returns how a network makes its layers; of one without `layers`, plainly."""
    return getattr(module, "layers", Layers())


def _slots(cls):
    """The options of layers that it has a use for; () of a network without layers."""
    return getattr(cls, "slots", ()) if hasattr(cls, "layers") else ()


def _sizes(value: Any) -> bool:
    """Whether a tuple of integers, or of such tuples, has sizes, and only sizes."""
    return len(value) > 0 and all(
        1 <= x <= 1_000_000 if isinstance(x, numbers.Integral) else _sizes(x)
        for x in value
    )
