"""Which network a state dict is of: each network's own `from_torch` is asked."""

from __future__ import annotations

import dataclasses
import sys
import textwrap
from collections.abc import Mapping
from types import ModuleType
from typing import Any

import jax
import numpy as np
from flax import linen as nn

from experiments.exchange.modules import Network
from gans import names, networks
from gans.build import OF_DATA

PACKAGE = networks.__name__


@dataclasses.dataclass(frozen=True)
class Found:
    """A network of a state dict.

    Attributes:
      network: a file of gans/networks.
      role: "generator" or "discriminator".
      options: of its class, but for what it learns of the data.
      of_data: "shape" (H, W, C) of what a generator makes, H and W None where any will
        do; "latent", the dimensions that it takes, or "given", the channels of images,
        and "scale", how many times larger these become; "n_classes", if it takes
        labels.
      variables: {"params": tree, collection: tree ...}, float32.
    """

    network: str
    role: str
    options: Mapping[str, Any]
    of_data: Mapping[str, Any]
    variables: Mapping[str, Any]

    @property
    def cls(self) -> type[nn.Module]:
        """The class of the network."""
        return networks.find(self.role.capitalize(), self.network)

    @property
    def architecture(self) -> tuple[Any, ...]:
        """What two networks of the same architecture have in common."""
        return self.network, self.role, dict(self.options), dict(self.of_data)

    def spelled(self) -> str:
        """Returns the network and its options, for the terminal."""
        options = ", ".join(f"{name}={value!r}" for name, value in self.options.items())
        return f"{self.network} ({options})"


def recognised(network: Network) -> Found:
    """Returns the network that a state dict is of.

    Raises ValueError, with what each network says, if it is none of them.
    """
    refused = []
    for name in names.files(PACKAGE):
        module = names.module(name, PACKAGE, "network")
        if not hasattr(module, "from_torch"):
            continue
        try:
            options, variables = module.from_torch(network.state)
        except ValueError as error:
            refused.append(textwrap.shorten(str(error), 120, placeholder=" ..."))
        else:
            return _found(name, module, options, variables, network.arguments)
    raise ValueError("; ".join(refused))


def _found(name, module, options, variables, arguments) -> Found:
    of_data = {}
    if hasattr(module, "Generator"):
        if not hasattr(module, "of_data"):
            raise ValueError(f"{name} cannot be imported: its file has no of_data")
        of_data = module.of_data(options, variables)
    told = {x: y for x, y in options.items() if x not in OF_DATA}
    accepted = getattr(module, "ARGUMENTS", {})
    told |= {accepted[x]: arguments[x] for x in accepted if x in arguments}
    role = "generator" if of_data.get("shape") else "discriminator"
    variables = jax.tree.map(lambda x: np.asarray(x, np.float32), variables)
    return Found(name, role, told, of_data, variables)


def exporter(module: nn.Module) -> ModuleType | None:
    """Returns the file of a network that can be written as a state dict of others."""
    file = sys.modules[type(module).__module__]
    return file if hasattr(file, "to_torch") else None


def options_of(module: nn.Module) -> dict[str, Any]:
    """Returns the options that a network was made with, but for those of its layers."""
    inherited = ("parent", "name", "layers")
    fields = [x.name for x in dataclasses.fields(module) if x.name not in inherited]
    return {name: getattr(module, name) for name in fields}
