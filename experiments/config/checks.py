"""A config's values against the declared keys, before anything heavy is imported."""

from __future__ import annotations

import pkgutil
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

from ml_collections import ConfigDict

from configs import keys
from experiments.config.conversion import RENAMED
from experiments.expressions import expand
from gans import names, variants

# Keys that leave the training as it is, bit for bit. `steps` is not among them, as
# schedules may depend on it, nor `steps_per_call`, as each number is another program.
FREE = {name for name, key in keys.RUN.items() if key.free}
PLAYERS = ("generator", "discriminator")


class ConfigError(ValueError):
    """The config cannot be run. The message is one line."""


def check(config: ConfigDict, own: Mapping[str, keys.Key] | None = None) -> None:
    """Raises ValueError unless all declared keys are there and have accepted values.

    own: keys that the config's file declares. The options of networks, optimisers and
    other parts are checked when they are built, and the other keys by the variant.
    """
    check_renamed(config, RENAMED)
    for name in keys.RUN:
        if name not in config:
            raise ValueError(f"the config has no key {name!r}, which every config has")
    values = config.to_dict()
    for name, key in (table(values) | dict(own or {})).items():
        check_value(values[name], key, f"config.{name}")
    check_variant(config.variant)
    for role in PLAYERS if is_game(values) else ():
        for name, key in keys.PLAYER.items():
            if name in values[role]:
                check_value(values[role][name], key, f"config.{role}.{name}")
    expand(values, "config")
    per_call = config.steps_per_call
    for name, key in keys.RUN.items():
        if key.calls and config[name] % per_call:
            raise ValueError(
                f"config.{name}={config[name]} must be a multiple of "
                f"config.steps_per_call={per_call}"
            )


def is_game(config: Mapping[str, Any]) -> bool:
    """Whether a config is one of the game of two players."""
    players = (config.get(role) for role in PLAYERS)
    return keys.GAME.keys() <= config.keys() and all(
        isinstance(player, Mapping) for player in players
    )


def table(config: Mapping[str, Any]) -> dict[str, keys.Key]:
    """Returns the declared keys of a config, those of its networks not included."""
    return keys.RUN | (keys.GAME if is_game(config) else {})


def check_value(value: Any, key: keys.Key, place: str) -> None:
    """Raises ValueError unless a key accepts a value."""
    if key.choices and isinstance(value, str):
        names.check(value, key.choices, place)
    elif value is None and key.optional:
        return
    elif not names.fits(value, key.type) or not _inside(value, key):
        raise ValueError(f"{place}={value!r} must be {accepted(key)}")


def _inside(value, key):
    if key.type not in (int, float):
        return True
    return (
        (key.least is None or value >= key.least)
        and (key.most is None or value <= key.most)
        and (key.above is None or value > key.above)
        and (key.below is None or value < key.below)
    )


def accepted(key: keys.Key) -> str:
    """Returns what a key accepts, in words: "a whole number of at least 1, or None"."""
    if key.choices:
        return " or ".join(key.choices)
    found = names.described(key.type)
    if key.least is not None and key.most is not None:
        found += f" from {key.least} to {key.most}"
    elif key.least is not None:
        found += f" of at least {key.least}"
    if key.above is not None:
        found += f" above {key.above}"
    if key.below is not None:
        found += f" and below {key.below}"
    return f"{found}, or None" if key.optional else found


def check_variant(name: str) -> None:
    """Raises ValueError unless there is such a file, or such a module of the user's."""
    if "." not in name:
        known = [module.name for module in pkgutil.iter_modules(variants.__path__)]
        names.check(name, known, "config.variant")
        return
    try:
        found = name in sys.modules or find_spec(name)
    except (ImportError, ValueError):  # of the package it is in; of a name like "a..b"
        found = None
    if not found:
        raise ValueError(
            f"config.variant={name!r}: there is no such module on Python's path"
        )


def check_renamed(config: ConfigDict, renamed: Mapping[str, str]) -> None:
    """Raises ValueError, with the new name, for a key that was renamed {old: new}."""
    for old, new in renamed.items():
        if old in config:
            raise ValueError(f"config.{old} is called config.{new} now")
