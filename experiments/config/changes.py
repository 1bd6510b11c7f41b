"""Configs that differ: values replaced, and what is different between two."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from ml_collections import ConfigDict

from experiments.config import conversion
from experiments.expressions import expand
from gans import names


def override(
    config: ConfigDict, changes: Mapping[str, Any], place: str = "override"
) -> ConfigDict:
    """Returns a copy of `config` with values changed: {"generator.optimizer.b1": 0.5}.

    A value, expanded, takes the place of what was there, a dict too. Options of parts
    (networks, optimisers) may be new; other keys must be there. Raises ValueError, with
    the nearest key, if they are not.
    """
    config = config.copy_and_resolve_references()
    for key, value in changes.items():
        *path, last = key.split(".")
        where = config
        for name in path:
            known = where if isinstance(where, ConfigDict) else ()
            check_known(name, known, f"{place}: {key}")
            where = where[name]
        if not path or not isinstance(where, ConfigDict):
            known = where if isinstance(where, ConfigDict) else ()
            check_known(last, known, f"{place}: {key}")
        with where.unlocked(), where.ignore_type():
            where[last] = expand(value, f"{place}: {key}")
    return config


def check_known(key: str, keys: Collection[str], place: str) -> None:
    """Raises ValueError, with the new name or the nearest one, for an unknown key."""
    new = conversion.NEW_NAMES.get(key)
    if key not in keys and new in keys:
        raise ValueError(f"{place}: {key!r} is called {new!r} now")
    names.check(key, keys, place)


def differences(
    old: Mapping[str, Any], new: Mapping[str, Any], free: Collection[str] = ()
) -> list[str]:
    """Returns "key: old -> new" of each key that differs, dotted where it is nested.

    free: first parts of keys that may differ.
    """
    old, new = flat(old), flat(new)
    absent = "(absent)"
    return [
        f"{key}: {old.get(key, absent)} -> {new.get(key, absent)}"
        for key in sorted({*old, *new})
        if key.partition(".")[0] not in free
        and old.get(key, absent) != new.get(key, absent)
    ]


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Returns nested dicts as one, {"generator.optimizer.b1": 0.5}."""
    found = {}
    for key, value in values.items():
        nested = isinstance(value, Mapping)
        found |= flat(value, f"{prefix}{key}.") if nested else {prefix + key: value}
    return found
