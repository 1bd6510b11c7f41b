"""Normalisation of activations, one kind per file, found by name.

Each file of this folder defines `NORM`, a `Norm`. To add a kind, add a file: networks
stay as they are.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from flax import linen as nn
from jax import Array

from gans import names


@dataclasses.dataclass(frozen=True)
class Place:
    """A position in a network where activations are normalised.

    Attributes:
      name: of the norm's parameters.
      train: whether this is a training pass.
      dtype: of the result.
      n_classes: number of classes if gain and bias depend on the label, else None.
      gain_init: initialiser of the gain.
    """

    name: str
    train: bool
    dtype: Any
    n_classes: int | None
    gain_init: nn.initializers.Initializer


@dataclasses.dataclass(frozen=True)
class Norm:
    """A kind of normalisation.

    Attributes:
      apply: (x [B, ..., C], label [B] or None, place, **options) -> y, of the shape of
        x. It runs inside a compact module and may create submodules there.
      options: the names of its options, with their defaults.
      excluded: classes of networks that do not offer it, such as "Discriminator".
      mixes_batch: whether an example's result depends on the others of its batch.
      per_class: whether gain and bias can depend on the label.
      begin: (module, x [B, ...], train, **options) -> ([R + B, ...], R), applied to the
        input of the network: R rows are prepended, which the network drops at its end.
        None: R = 0.
    """

    apply: Callable[..., Array]
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict, hash=False)
    excluded: tuple[str, ...] = ()
    mixes_batch: bool = False
    per_class: bool = False
    begin: Callable[..., tuple[Array, int]] | None = None


IDENTITY = Norm(lambda x, label, place: x)


def find(
    norm: str | Mapping[str, Any] | None, network: str | None = None
) -> tuple[Norm, dict[str, Any]]:
    """Returns a norm and all its options.

    Args:
      norm: "NAME", {"name": NAME, **options}, or None for the identity. The name is
        that of a file here, or the path of your own (see `gans.names`).
      network: the class of the network it is for.

    Raises ValueError for an unknown name or option, and for a norm that the network
    does not offer.
    """
    if norm is None:
        return IDENTITY, {}
    name, given = names.named(norm, "norm")
    known = {key: _norm(key) for key in names.files(__name__)}
    offered = [key for key, norm in known.items() if network not in norm.excluded]
    names.check_file(name, offered, "norm, if not None")
    found = _norm(name)
    if network in found.excluded:
        raise ValueError(f"norm {name!r}: a {network} does not offer it")
    types = {option: type(default) for option, default in found.options.items()}
    names.typed(types, given, f"norm {name}")
    return found, {**found.options, **given}


def _norm(name):
    found = names.part(name, __name__, "NORM", "norm")
    return names.wanted(found, Norm, "norm", name, "a Norm")
