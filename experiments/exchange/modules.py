"""Networks that were pickled as objects, with the source of their classes beside them.

The public implementations of StyleGAN2-ADA and later pickle each network as a call of
one function, with a dict: the source of a module, the name of a class in it, and the
attributes of the object. Python would execute the source. Here, the call makes an
`Object`, which keeps the name and the attributes, and the source is dropped.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from gans.metrics.features import pth


@dataclasses.dataclass(frozen=True)
class Network:
    """Arrays of a network, by the names of its state dict.

    arguments: what its class was called with, by name, where the file says; those in
      nested dicts are among them.
    kind: the name of its class, where the file says.
    """

    state: Mapping[str, np.ndarray]
    arguments: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    kind: str | None = None


class Object:
    """A pickled object: the name of its class, and its attributes.

    Attributes:
      kind: the name.
      attributes: by name.
    """

    def __init__(self, meta: Any):
        known = isinstance(meta, dict) and meta.get("type") == "class"
        state = meta.get("state") if known else None
        if not known or not isinstance(state, dict):
            raise ValueError("a pickled object without the name or state of its class")
        self.kind, self.attributes = str(meta.get("class_name")), state

    def __setstate__(self, state):
        raise ValueError(f"it changes its {self.kind} afterwards")

    def part(self, name: str) -> dict[str, Any]:
        """Returns an attribute that is a dict, {} if there is none."""
        found = self.attributes.get(name)
        return found if isinstance(found, dict) else {}


# What a pickle may name beside what a state dict does; see `pth.load`.
KNOWN = {
    "torch_utils.persistence._reconstruct_persistent_obj": lambda meta: Object(meta),
    "torch.storage._load_from_bytes": pth.storage,
    "dnnlib.util.EasyDict": pth.Dict,
    "builtins.set": lambda values=(): frozenset(values),
    "__builtin__.set": lambda values=(): frozenset(values),
}


def network(thing: Object) -> Network:
    """Returns the parameters and buffers of a module, and what its class was given.

    Raises ValueError for a module that is met twice, as one that contains itself is.
    """
    arguments = dict(_flat(thing.part("_init_kwargs"), []))
    return Network(dict(_arrays(thing, "", [])), arguments, thing.kind)


def _arrays(thing, prefix, met) -> Iterator[tuple[str, np.ndarray]]:
    """(name, array) of a module and those in it, as its state dict has them."""
    _meet(thing, met, prefix)
    hidden = thing.attributes.get("_non_persistent_buffers_set") or ()
    for part in ("_parameters", "_buffers"):
        for name, x in thing.part(part).items():
            if isinstance(x, np.ndarray) and name not in hidden:
                yield f"{prefix}{name}", x
    for name, child in thing.part("_modules").items():
        if isinstance(child, Object):
            yield from _arrays(child, f"{prefix}{name}.", met)


def _flat(given, met):
    """(name, value) of a dict and those in it."""
    _meet(given, met, "its arguments")
    for name, value in given.items():
        if isinstance(value, dict):
            yield from _flat(value, met)
        else:
            yield name, value


def _meet(thing, met, place):
    if len(met) > 10_000 or any(thing is other for other in met):
        raise ValueError(f"{place}: it is met twice, or there is too much of it")
    met.append(thing)
