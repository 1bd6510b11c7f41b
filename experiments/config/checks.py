"""A config's values against the declared keys, before anything heavy is imported."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict

from configs import keys
from experiments.config.conversion import RENAMED
from experiments.expressions import expand
from gans import names

# Keys that leave the training as it is, bit for bit. `steps` is not among them, as
# schedules may depend on it (see experiments/training/longer.py), nor `steps_per_call`,
# as each number is another program.
FREE = {name for name, key in keys.RUN.items() if key.free}
PLAYERS = ("generator", "discriminator")


class ConfigError(ValueError):
    """The config cannot be run. The message is one line."""


def check(config: ConfigDict) -> None:
    """Raises ValueError unless all declared keys are there and have accepted values.

    The options of networks, optimisers and other parts are checked when they are built;
    `check_own` checks the keys that a config's file declares.
    """
    check_renamed(config, RENAMED)
    if "arms" in config and "base" in config:
        raise ValueError("this config is that of an ablation: use experiments.ablate")
    for name in keys.RUN:
        if name not in config:
            raise ValueError(f"the config has no key {name!r}, which every config has")
    values = expand(config.to_dict(), "config")
    for name, key in table(values).items():
        check_value(values[name], key, f"config.{name}")
    check_variant(config.variant)
    for role in players(values):
        for name, key in keys.PLAYER.items():
            if name in values[role]:
                check_value(values[role][name], key, f"config.{role}.{name}")
    per_call = config.steps_per_call
    for name, key in keys.RUN.items():
        if key.calls and config[name] % per_call:
            raise ValueError(
                f"config.{name}={config[name]} must be a multiple of "
                f"config.steps_per_call={per_call}"
            )


def check_own(config: ConfigDict, own: Mapping[str, keys.Key]) -> None:
    """Raises ValueError unless the keys that a config's file declares are accepted."""
    values = config.to_dict()
    for name, key in own.items():
        if name not in values:
            raise ValueError(f"the config has no key {name!r}, which its file declares")
        check_value(values[name], key, f"config.{name}")


def is_game(config: Mapping[str, Any]) -> bool:
    """Whether a config is one of the game of two players."""
    players = (config.get(role) for role in PLAYERS)
    return keys.GAME.keys() <= config.keys() and all(
        isinstance(player, Mapping) for player in players
    )


def players(config: Mapping[str, Any]) -> tuple[str, ...]:
    """Returns those of PLAYERS that a config has, each with its network."""
    return tuple(
        role
        for role in PLAYERS
        if isinstance(config.get(role), Mapping) and "network" in config[role]
    )


def table(config: Mapping[str, Any]) -> dict[str, keys.Key]:
    """Returns the declared keys of a config, those of its networks not included."""
    return keys.RUN | (keys.GAME if is_game(config) else {})


def check_value(
    value: Any, key: keys.Key, place: str, shown: str | None = None
) -> None:
    """Raises ValueError unless a key accepts a value, `shown` as the user gave it."""
    if key.choices and isinstance(value, str):
        names.check(value, key.choices, place)
    elif value is None and key.optional:
        return
    elif not names.fits(value, key.type) or not _inside(value, key):
        given = repr(value) if shown is None else shown
        raise ValueError(f"{place}={given} must be {accepted(key)}")


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
        found += f" from {key.least} to {_written(key.most)}"
    elif key.least is not None:
        found += f" of at least {key.least}"
    if key.above is not None:
        found += f" above {key.above}"
    if key.below is not None:
        found += f" and below {key.below}"
    return f"{found}, or None" if key.optional else found


def _written(bound: float) -> str:
    """A large bound is one of a type, or a power of two: 2^31 - 1, 2^20."""
    for number, end in ((bound, ""), (bound + 1, " - 1")):
        if number >= 2**20 and number == 2 ** round(math.log2(number)):
            return f"2^{round(math.log2(number))}{end}"
    return str(bound)


def check_variant(name: str) -> None:
    """Raises ValueError unless there is such a file, or such a module of the user's."""
    names.check_file(name, names.files("gans.variants"), "config.variant")


def check_renamed(config: ConfigDict, renamed: Mapping[str, str]) -> None:
    """Raises ValueError, with the new name, for a key that was renamed {old: new}."""
    for old, new in renamed.items():
        if old in config:
            raise ValueError(f"config.{old} is called config.{new} now")
