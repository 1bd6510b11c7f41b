"""Generators and critics, one architecture per file, and `make` to get one by name.

A generator is called as `module(z [B, L], label=None, train=bool)` and returns data
[B, *shape], images in [-1, 1]; a critic as `module(x [B, *shape], label=None,
train=bool)` and returns logits [B]; both in float32 whatever their `dtype`.
"""

import dataclasses
import difflib
import importlib
import pkgutil

from flax import linen as nn


def make(role: str, network: str, **options) -> nn.Module:
    """Returns `gans.networks.{network}`'s `Generator` or `Critic`.

    Args:
      role: "Generator" or "Critic".
      network: the name of a file of this folder.
      **options: fields of the module.

    Raises ValueError for an unknown network or option, with what is accepted.
    """
    names = sorted(m.name for m in pkgutil.iter_modules(__path__))
    _check(network, names, f"{role.lower()}.network")
    cls = getattr(importlib.import_module(f"{__name__}.{network}"), role)
    fields = sorted({f.name for f in dataclasses.fields(cls)} - {"parent", "name"})
    for option in options:
        _check(option, fields, f"option of {network}.{role}:")
    return cls(**options)


def _check(value, accepted, place):
    if value not in accepted:
        near = difflib.get_close_matches(value, accepted, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"{place} {value!r} is not one of {accepted}{hint}")
