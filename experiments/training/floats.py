"""Floats of a config as inputs of compiled programs, which many configs then share.

Learning rates, weights of penalties and decays can be inputs. Integers count things and
shape programs. So do some floats: whether there is dropout at all must be known when a
program is compiled. Tracing the step shows which floats these are.

A float that is an input is a float32 on the device, where a constant is folded into
others first: results are those of a plain run up to rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from configs import keys
from experiments import config as configs
from gans import core
from gans.data import spec as specs

Place = tuple[str | int, ...]  # of a value in a config


def leaves(config: ConfigDict) -> dict[Place, Any]:
    """Returns every value of a resolved config by its place.

    Dicts and tuples are entered; which keys they have is noted at (..., "keys").
    """
    found = {}

    def visit(value, place):
        if isinstance(value, Mapping | ConfigDict):
            items = [*value.items()]
        elif isinstance(value, tuple | list):
            items = [*enumerate(value)]
        else:
            found[place] = value
            return
        found[(*place, "keys")] = tuple(sorted(key for key, _ in items))
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
        new = replaced(value[key], rest)
        if isinstance(value, ConfigDict):
            value = value.copy_and_resolve_references()
            with value.unlocked(), value.ignore_type():
                value[key] = new
            return value
        if isinstance(value, Mapping):
            return {**value, key: new}
        return (*value[:key], new, *value[key + 1 :])

    return replaced(config, place)


def spell(place: Place) -> str:
    """Returns "discriminator.penalties[0].weight"."""
    return "".join(
        f"[{key}]" if isinstance(key, int) else f".{key}" for key in place
    ).removeprefix(".")


def build(
    config: ConfigDict, places: Iterable[Place], stage: int = 0
) -> Callable[[Mapping[str, Any]], core.GAN]:
    """Returns {place, spelt: [] float32} -> the GAN with these numbers."""
    places = [*places]

    def built(values):
        own = config
        for place in places:
            own = put(own, place, values[spell(place)])
        return configs.build(own, stage)

    return built


def traceable(
    config: ConfigDict, places: Iterable[Place], stage: int = 0
) -> tuple[Place, ...]:
    """Returns those of the places whose numbers can be inputs of the step, together.

    If each can be one alone but not with the others, none is. Those that say which data
    are read are no part of the step.
    """
    places = tuple(place for place in places if place[0] not in keys.DATA)
    if not places or _traces(config, places, stage):
        return places
    alone = tuple(place for place in places if _traces(config, (place,), stage))
    if alone == places or not _traces(config, alone, stage):
        return ()
    return alone


def blank(config: ConfigDict, stage: int = 0) -> dict[str, Any]:
    """Returns a decoded batch of a stage that is all zero: {name: [B, ...]}."""
    found = configs.stages(config)[stage]
    return specs.blank(found.spec, found.batch_size)


def _traces(config, places, stage):
    gan_of = build(config, places, stage)
    batch = blank(config, stage)

    def step(values, batch, key):
        gan = gan_of(values)
        return core.make_step(gan)(core.init(gan, key), batch, key)

    values = {spell(place): jax.ShapeDtypeStruct((), jnp.float32) for place in places}
    try:
        jax.eval_shape(step, values, batch, jax.random.key(0))
    except (TypeError, ValueError):  # jax's errors of tracers are TypeErrors
        return False
    return True
