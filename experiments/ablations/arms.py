"""The arms of an ablation, as configs, and the programs that train them.

Arms that differ in nothing but numbers that need not be known when a program is
compiled (learning rates, weights of penalties, decays) are lanes of one program. These
are floats, in the config or in a "NAME(option=value)": integers count things, and shape
programs. Where a network or an optimiser must know a float after all, which a trial
shows, arms with different values of it are compiled apart.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from experiments import config as configs
from gans import core, names

# What presets.ablation makes.
KEYS = "base arms order baseline seeds steps images evaluations lanes".split()
# What the report calls an arm, and its files.
_NAME = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-+")

_SPECS = {"loss", "augment", "top_k", "critic", "generator"}

Place = tuple[str | int, ...]  # of a value in a config


@dataclasses.dataclass(frozen=True)
class Arm:
    """One arm, and how it is run.

    Attributes:
      config: resolved; with the budget's steps, and steps_per_call that divide
        `interval`.
      overrides: what it changes in the base.
      interval: steps from one evaluation to the next.
    """

    name: str
    config: ConfigDict
    overrides: dict[str, Any]
    interval: int

    @property
    def digest(self) -> str:
        """Of all that its result depends on, but the seed."""
        text = configs.to_json(self.config) + str(self.interval)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclasses.dataclass(frozen=True)
class Program:
    """Lanes that are trained at once.

    Attributes:
      arms: they differ in `numbers` alone.
      lanes: (arm, seed) of each.
      numbers: {place in the config: the value of each arm}.
    """

    arms: tuple[Arm, ...]
    lanes: tuple[tuple[int, int], ...]
    numbers: dict[Place, tuple[float, ...]]

    @property
    def config(self) -> ConfigDict:
        """That of the first arm: the others' too, but for `numbers`."""
        return self.arms[0].config

    @property
    def names(self) -> list[tuple[str, int]]:
        """(name of the arm, seed) of each lane."""
        return [(self.arms[i].name, seed) for i, seed in self.lanes]

    @property
    def digest(self) -> str:
        """Of its lanes."""
        text = json.dumps([[self.arms[i].digest, seed] for i, seed in self.lanes])
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def values(self) -> dict[str, list[float]]:
        """{place, as `spell` has it: the value of each lane}."""
        return {
            spell(place): [values[i] for i, _ in self.lanes]
            for place, values in self.numbers.items()
        }

    def build(self, values: Mapping[str, Any]) -> core.GAN:
        """The game with these numbers, {place, as `spell` has it: [] float32}."""
        config = self.config
        for place in self.numbers:
            config = put(config, place, values[spell(place)])
        return configs.build(config)


# --- from the config -----------------------------------------------------------------


def check(config: ConfigDict) -> None:
    """Raises ValueError unless this is the config of an ablation that can be run."""
    for key in KEYS:
        if key not in config:
            raise ValueError(
                f"the config has no key {key!r}, which every ablation has: see "
                "`ablation` in configs/presets.py"
            )
    configs.check(config.base)
    arms = config.arms
    names.check(config.baseline, arms, "config.baseline")
    for name in arms:
        if not set(name) <= _NAME or name.startswith("."):
            raise ValueError(f"config.arms: {name!r} must be of letters, digits, _.-+")
    if sorted(config.order) != sorted(arms):
        raise ValueError(f"config.order={config.order} must name each arm once")
    for key in ("seeds", "evaluations", "lanes"):
        if config[key] < 1:
            raise ValueError(f"config.{key}={config[key]} must be at least 1")
    if config.steps and config.images:
        raise ValueError(
            f"config.steps={config.steps} and config.images={config.images}: one budget"
        )
    if not config.base.metrics:
        raise ValueError("config.base.metrics: an ablation needs at least one")


def resolve(config: ConfigDict, load: Callable[[ConfigDict], Any]) -> list[Arm]:
    """Returns the arms, the baseline first.

    load: config -> the data of its seed. Raises ValueError, naming the arm, for what
    cannot be run.
    """
    check(config)
    order = sorted(config.order, key=lambda name: name != config.baseline)
    return [_arm(config, name, load) for name in order]


def _arm(config, name, load):
    overrides = config.arms[name].to_dict()
    try:
        own = configs.override(config.base, overrides)
        if "steps" not in overrides:
            own.steps = config.steps or own.steps
            if config.images:
                own.steps = config.images // own.batch_size
        own.seed = 0
        if own.steps % config.evaluations:
            raise ValueError(
                f"{own.steps} steps of {own.batch_size} are not a multiple of "
                f"config.evaluations={config.evaluations}"
            )
        interval = own.steps // config.evaluations
        own.steps_per_call = max(
            k for k in range(1, own.steps_per_call + 1) if interval % k == 0
        )
        # Of runs by themselves.
        own.log_every = own.sample_every = own.checkpoint_every = interval
        own.diagnose_every = own.evaluate_every = 0
        configs.check(own)
        own = configs.resolve(own, load(own))
        configs.build(own)
    except ValueError as error:
        raise ValueError(f"arm {name}: {error}") from None
    return Arm(name, own, overrides, interval)


# --- numbers in configs --------------------------------------------------------------


def leaves(config: ConfigDict) -> dict[Place, Any]:
    """Returns every value by its place; those of "NAME(option=value)" apart."""
    found = {}

    def visit(value, place):
        if isinstance(value, str) and "(" in value and place[0] in _SPECS:
            name, options = names.parse(value, spell(place))
            value = {"": name, **options}
        if isinstance(value, Mapping | ConfigDict):
            items = [*value.items()]
        elif isinstance(value, tuple | list):
            items = [*enumerate(value)]
        else:
            found[place] = value
            return
        found[(*place, "keys")] = tuple(key for key, _ in items)
        for key, x in items:
            visit(x, (*place, key))

    for key, value in config.items():
        visit(value, (key,))
    return found


def put(config: ConfigDict, place: Place, number: Any) -> ConfigDict:
    """Returns a copy of the config with another number there, perhaps a traced one."""

    def replaced(value, keys):
        if not keys:
            return number
        key, *rest = keys
        if isinstance(value, ConfigDict):
            value = value.copy_and_resolve_references()
            with value.unlocked(), value.ignore_type():
                value[key] = replaced(value[key], rest)
            return value
        if isinstance(key, int):
            return (*value[:key], replaced(value[key], rest), *value[key + 1 :])
        name, options = names.parse(value, spell(place))
        return name, options | {key: replaced(options[key], rest)}

    return replaced(config, place)


def spell(place: Place) -> str:
    """Returns "critic.penalties[0].weight"."""
    return "".join(
        f"[{key}]" if isinstance(key, int) else f".{key}" for key in place
    ).removeprefix(".")


# --- which arms go together ----------------------------------------------------------


def programs(
    arms: list[Arm], missing: Iterable[tuple[str, int]], n_lanes: int
) -> list[Program]:
    """Returns the programs that train the missing (arm, seed), each of some lanes.

    n_lanes: at most so many in one.
    """
    missing = set(missing)
    arms = [arm for arm in arms if any(arm.name == name for name, _ in missing)]
    found = []
    for together in groups(arms):
        numbers = differing(together)
        lanes = [
            (i, seed)
            for i, arm in enumerate(together)
            for seed in sorted(seed for name, seed in missing if name == arm.name)
        ]
        n = math.ceil(len(lanes) / math.ceil(len(lanes) / n_lanes))
        found += [
            Program(tuple(together), tuple(lanes[i : i + n]), numbers)
            for i in range(0, len(lanes), n)
        ]
    return found


def groups(arms: list[Arm]) -> list[list[Arm]]:
    """Returns the arms that one program can train, together."""
    values = {arm.name: leaves(arm.config) for arm in arms}
    floats = {
        place
        for found in values.values()
        for place, x in found.items()
        if isinstance(x, float)
    }

    def shape(arm, apart):
        """All that must be the same in one program."""
        return (arm.interval,) + tuple(
            (place, None if place in floats - apart and _number(x) else x)
            for place, x in sorted(values[arm.name].items(), key=str)
        )

    apart: set[Place] = set()
    while True:
        sorted_out: dict[Any, list[Arm]] = {}
        for arm in arms:
            sorted_out.setdefault(shape(arm, apart), []).append(arm)
        new = {
            place
            for together in sorted_out.values()
            for place in _not_traceable(together)
        }
        if not new:
            return list(sorted_out.values())
        apart |= new


def differing(arms: list[Arm]) -> dict[Place, tuple[float, ...]]:
    """Returns the numbers in which arms of one program differ."""
    values = [leaves(arm.config) for arm in arms]
    return {
        place: tuple(found[place] for found in values)
        for place, first in values[0].items()
        if any(found[place] != first for found in values)
    }


def _number(x):
    return isinstance(x, int | float) and not isinstance(x, bool)


def _not_traceable(arms):
    """The places whose numbers these arms cannot leave open."""
    numbers = differing(arms)
    program = Program(tuple(arms), (), numbers)
    if not numbers or _traces(program):
        return set()
    alone = {
        place: dataclasses.replace(program, numbers={place: x})
        for place, x in numbers.items()
    }
    # If each will do alone but not with the others, none is left open.
    return {p for p, one in alone.items() if not _traces(one)} or set(numbers)


def _traces(program):
    config = program.config
    name = "image" if len(config.shape) == 3 else "point"
    shape = (config.batch_size, *config.shape)
    batch = {name: jax.ShapeDtypeStruct(shape, jnp.float32)}
    if config.n_classes:
        batch["label"] = jax.ShapeDtypeStruct((config.batch_size,), jnp.int32)

    def step(values, batch, key):
        gan = program.build(values)
        return core.make_step(gan)(core.init(gan, key), batch, key)

    values = {spell(p): jax.ShapeDtypeStruct((), jnp.float32) for p in program.numbers}
    try:
        jax.eval_shape(step, values, batch, jax.random.key(0))
    except (TypeError, ValueError):  # jax's errors of tracers are TypeErrors
        return False
    return True
