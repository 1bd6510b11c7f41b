"""Configs that differ: values replaced, and what is different between two."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from typing import Any

from ml_collections import ConfigDict

from experiments.config import conversion, replaced
from experiments.expressions import expand
from gans import names


def override(
    config: ConfigDict,
    changes: Mapping[str, Any],
    place: str = "override",
    say: Callable[[str], None] = lambda line: None,
) -> ConfigDict:
    """Returns a copy of `config` with values changed: {"generator.optimizer.b1": 0.5}.

    A value, expanded, takes the place of what was there, a dict too. An element of a
    tuple, and an option of a part, have places of their own:
    "discriminator.penalties[0].weight". Options of parts (networks, optimisers) may be
    new; other keys must be there. Raises ValueError, with the nearest key, if they are
    not.

    say: gets a line where another network or optimiser has lost options of the one
    before (see `replaced`).
    """
    before, config = config, config.copy_and_resolve_references()
    for key, value in changes.items():
        at, where = f"{place}: {key}", config
        first, *rest = _parts(key)
        while rest and (first not in where or isinstance(where[first], ConfigDict)):
            check_known(first, where, at)
            where, (first, *rest) = where[first], rest
        if rest or where is config:
            check_known(first, where, at)
        new = expand(value, at)
        if rest:
            new = _within(expand(where[first], at), rest, new, at)
        with where.unlocked(), where.ignore_type():
            where[first] = new
    for line in replaced.without_old_options(config, before, changes):
        say(line)
    return config


def _parts(key: str) -> list[str | int]:
    """The names and numbers of "discriminator.penalties[0].weight"."""
    found = re.findall(r"[^.\[\]]+|\[\d+\]", key)
    return [int(x[1:-1]) if x[0] == "[" else x for x in found]


def _within(old: Any, keys: list[str | int], new: Any, place: str) -> Any:
    """`old`, an expanded value, with `new` at the place that the keys name in it."""
    if not keys:
        return new
    first, *rest = keys
    if isinstance(first, int):
        if not isinstance(old, tuple | list) or first >= len(old):
            raise ValueError(f"{place}: there is no [{first}] in {old!r}")
        return (*old[:first], _within(old[first], rest, new, place), *old[first + 1 :])
    old = {"name": old} if isinstance(old, str) else old
    if not isinstance(old, Mapping) or (rest and first not in old):
        raise ValueError(f"{place}: {old!r} has no {first!r}")
    return {**old, first: _within(old.get(first), rest, new, place)}


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
