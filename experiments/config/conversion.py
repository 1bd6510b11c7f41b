"""What keys were called before, and configs of earlier versions made into today's."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

import configs
from configs import keys
from experiments.expressions import expand
from gans.data import spec as specs

# {old: new}, of the config, its networks, ablations.
RENAMED = {"critic": "discriminator"}
RENAMED_OF_NETWORKS = {"layers": "convolutions"}
RENAMED_OF_ABLATIONS = {"lanes": "replicas_per_program"}
NEW_NAMES = RENAMED | RENAMED_OF_NETWORKS | RENAMED_OF_ABLATIONS
# "ada" was the controller with the transforms of diff_augment. Without `transforms`,
# which `marked` writes, it is read as that.
_ADA, _FORMER_ADA = {"name": "ada", "transforms": "bgc"}, "adaptive_diff_augment"
# Keys that tell the config of a run from a part of one, and of a game from others.
_OF_RUN, _OF_GAME = {"variant", "data", "steps"}, {"latent", "loss", "n_critic"}


def renamed(key: str) -> str:
    """Returns today's name of a dotted key: "critic.layers" had another."""
    first, *rest = key.split(".")
    rest[:1] = [RENAMED_OF_NETWORKS.get(name, name) for name in rest[:1]]
    return ".".join([RENAMED.get(first, first), *rest])


def convert(old: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the content of a config of this version, from one of any version."""
    new = expand({RENAMED.get(key, key): x for key, x in old.items()}, "config")
    for role in ("generator", "discriminator"):
        if isinstance(new.get(role), Mapping):
            part = {RENAMED_OF_NETWORKS.get(k, k): x for k, x in new[role].items()}
            n = part.pop("n_reference", None)  # it was an option of the network
            if part.get("norm") == "virtual" and n is not None:
                part["norm"] = {"name": "virtual", "n_reference": n}
            new[role] = part
    if isinstance(new.get("augment"), tuple):
        new["augment"] = tuple(map(_of_former_ada, new["augment"]))
    if "shape" in new and "spec" not in new:
        new["spec"] = specs.older(new["shape"], new.get("n_classes"))
    if "folder:" in str(new.get("data", "")):
        new = _without_single_class(new)
    for known, table in ((_OF_RUN, keys.RUN), (_OF_GAME, keys.GAME)):
        if known <= new.keys():  # what was not a key then keeps its default
            new = {name: key.default for name, key in table.items()} | new
    own = _own_keys(new["variant"]) if _OF_RUN <= new.keys() else {}
    return {name: key.default for name, key in own.items()} | new


def _own_keys(variant: str) -> Mapping[str, keys.Key]:
    """The keys that the config of one of our variants has beside the shared ones."""
    name = f"{configs.__name__}.{variant}"
    known = {f"{configs.__name__}.{x.name}" for x in iter_modules(configs.__path__)}
    return getattr(import_module(name), "KEYS", {}) if name in known else {}


def marked(config: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a config in which what has got another meaning is told from the former.

    It is for all that is written; `convert` is for all that is read.
    """
    if not isinstance(config.get("augment"), tuple | list):
        return dict(config)
    found = expand(config["augment"], "config.augment")
    new = [_ADA | _options(x) if _is_ada(x, but="policy") else x for x in found]
    return {**config, "augment": tuple(new)}


def _of_former_ada(value):
    if not _is_ada(value, but="transforms"):
        return value
    options = {**_options(value), "name": _FORMER_ADA}
    return options if len(options) > 1 else _FORMER_ADA


def _is_ada(value, but):
    options = _options(value)
    return options.get("name") == "ada" and but not in options


def _options(value):
    return value if isinstance(value, Mapping) else {"name": value}


def _without_single_class(config: dict[str, Any]) -> dict[str, Any]:
    """The folder in which all pictures lie was a class; today it is none."""
    spec = config.get("spec", {})
    single = [name for name, field in spec.items() if field.get("n_classes") == 1]
    if not single:
        return config
    spec = {name: field for name, field in spec.items() if name not in single}
    return config | {"spec": spec, "n_classes": None}
