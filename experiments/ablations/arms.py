"""The arms of an ablation, as configs, and the programs that train them.

Arms that differ only in floats (learning rates, weights of penalties, decays) are
trained as replicas of one program, with these floats as its inputs. Integers count
things and shape programs, so arms with other integers are compiled separately. So are
arms with different values of a float that must be known when the program is compiled;
tracing the step shows which floats these are.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import math
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ml_collections import ConfigDict

from experiments import config as configs
from experiments import own_code
from experiments.ablations.config import check
from experiments.own_code import CodeError
from experiments.training import effects, floats
from experiments.training.floats import Place, leaves, spell, traceable
from gans import core


@dataclasses.dataclass(frozen=True, eq=False)
class Arm:
    """One arm, and how it is run.

    Attributes:
      config: resolved; with the budget's steps, and steps_per_call that divide
        `interval`.
      overrides: what it changes in the base.
      interval: steps from one evaluation to the next.
      code: of the user's own modules that it names (see `experiments.own_code.code`).
      broken: the error of that code, which cannot be run; None: it can.
    """

    name: str
    config: ConfigDict
    overrides: dict[str, Any]
    interval: int
    code: dict[str, str] = dataclasses.field(default_factory=dict)
    broken: CodeError | None = None

    @property
    def digest(self) -> str:
        """A digest of all that the results depend on, except the seed and own code."""
        text = configs.to_json(self.config) + str(self.interval)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclasses.dataclass(frozen=True)
class Program:
    """Replicas that are trained together by one compiled program.

    Attributes:
      arms: they differ only in `numbers`.
      replicas: (index of the arm, seed) of each.
      numbers: {place in the config: the value of each arm}.
    """

    arms: tuple[Arm, ...]
    replicas: tuple[tuple[int, int], ...]
    numbers: dict[Place, tuple[float, ...]]

    @property
    def config(self) -> ConfigDict:
        """The config of the first arm; the others differ from it in `numbers`."""
        return self.arms[0].config

    @property
    def names(self) -> list[tuple[str, int]]:
        """(name of the arm, seed) of each replica."""
        return [(self.arms[i].name, seed) for i, seed in self.replicas]

    @property
    def digest(self) -> str:
        """A digest of the replicas."""
        replicas = [[self.arms[i].digest, seed] for i, seed in self.replicas]
        codes = [arm.code for arm in self.arms if arm.code]
        text = json.dumps([*replicas, codes] if codes else replicas)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def values(self) -> dict[str, list[float]]:
        """{place, as `spell` writes it: the value of each replica}."""
        return {
            spell(place): [values[i] for i, _ in self.replicas]
            for place, values in self.numbers.items()
        }

    def build(self, values: Mapping[str, Any]) -> core.GAN:
        """Returns the GAN with numbers {place, as `spell` writes it: [] float32}."""
        return floats.build(self.config, self.numbers)(values)


# --- from the config -----------------------------------------------------------------


def resolve(config: ConfigDict, load: Callable[[ConfigDict], Any]) -> list[Arm]:
    """Returns the arms, the baseline first.

    load: config -> the data for the config's seed. Raises ValueError, naming the arm,
    for a config that cannot be run. An arm whose own code raises an error is `broken`.
    """
    check(config)
    order = sorted(config.order, key=lambda name: name != config.baseline)
    found = [_arm(config, name, load) for name in order]
    _check_differ({arm: arm.digest for arm in found}, "is {} under another name")
    return found


def trace(arms: list[Arm]) -> tuple[list[Arm], dict[str, str]]:
    """Returns the arms, those broken whose code cannot be traced; and {arm: digest}.

    The digests are of what each computes (see `experiments.training.effects`), which
    takes about a second each. Raises ValueError for two arms that would train alike,
    whatever they set: such an arm sets what nothing reads, or what another key
    replaces.
    """
    traced, digests = [], {}
    for arm in arms:
        try:
            with own_code.explained(arm.config):
                if not arm.broken:
                    digests[arm] = effects.digest(arm.config)
        except CodeError as error:
            arm = dataclasses.replace(arm, broken=error)
        traced.append(arm)
    alike = {arm: (digest, arm.interval) for arm, digest in digests.items()}
    _check_differ(alike, "would be trained exactly as {}")
    return traced, {arm.name: digest for arm, digest in digests.items()}


def _check_differ(digests, what):
    seen = {}
    for arm, digest in digests.items():
        other = seen.setdefault(digest, arm)
        if other is not arm:
            own = ", ".join(f"{k}={v!r}" for k, v in arm.overrides.items())
            why = f"{own} changes nothing there" if own else "it sets nothing"
            raise ValueError(
                f"arm {arm.name} {what.format(f'arm {other.name}')}: {why}; change it, "
                "or leave it out with --arms"
            )


def _arm(config, name, load):
    overrides = config.arms[name].to_dict()
    say = functools.partial(print, f"arm {name}:", file=sys.stderr)
    broken = None
    try:
        own = configs.override(config.base, overrides, say=say)
        if "steps" not in overrides:
            own.steps = config.steps or own.steps
            if config.images:
                own.steps = config.images // own.batch_size
        own.seed = 0
        if own.steps % config.evaluations:
            raise ValueError(
                f"its {own.steps} steps are not a multiple of "
                f"config.evaluations={config.evaluations}"
            )
        interval = own.steps // config.evaluations
        own.steps_per_call = max(
            k for k in range(1, own.steps_per_call + 1) if interval % k == 0
        )
        # Single runs use these; here they only have to be valid.
        own.log_every = own.sample_every = own.checkpoint_every = interval
        own.diagnose_every = own.evaluate_every = 0
        configs.check(own)
        with own_code.explained(own):
            source = load(own)
            own = configs.resolve(own, source)
            n_stages = len(configs.stages(own))
            if n_stages == 1:
                configs.check_pairs(own, configs.build(own), source)
        if n_stages > 1:
            raise ValueError(
                f"{own.variant} trains in {n_stages} stages, but the replicas of an "
                "ablation are trained in one"
            )
    except ValueError as error:
        raise ValueError(f"arm {name}: {error}") from None
    except CodeError as error:
        broken = error
    return Arm(name, own, overrides, interval, own_code.code(own), broken)


# --- which arms share a program -------------------------------------------------------


def programs(
    arms: list[Arm], missing: Iterable[tuple[str, int]], most: int
) -> list[Program]:
    """Returns the programs that train the missing (arm, seed).

    most: the largest number of replicas in one program.
    """
    missing = set(missing)
    arms = [arm for arm in arms if any(arm.name == name for name, _ in missing)]
    found = []
    for together in groups(arms):
        numbers = differing(together)
        replicas = [
            (i, seed)
            for i, arm in enumerate(together)
            for seed in sorted(seed for name, seed in missing if name == arm.name)
        ]
        n = math.ceil(len(replicas) / math.ceil(len(replicas) / most))
        found += [
            Program(tuple(together), tuple(replicas[i : i + n]), numbers)
            for i in range(0, len(replicas), n)
        ]
    return found


def groups(arms: list[Arm]) -> list[list[Arm]]:
    """Returns the arms in groups; one program can train a group."""
    values = {arm.name: leaves(arm.config) for arm in arms}
    floats = {
        place
        for found in values.values()
        for place, x in found.items()
        if isinstance(x, float)
    }

    def shape(arm, constant):
        """Everything that must be the same in one program."""
        return (arm.interval,) + tuple(
            (place, None if place in floats - constant and _number(x) else x)
            for place, x in sorted(values[arm.name].items(), key=str)
        )

    constant: set[Place] = set()
    while True:
        by_shape: dict[Any, list[Arm]] = {}
        for arm in arms:
            by_shape.setdefault(shape(arm, constant), []).append(arm)
        new = {
            place
            for together in by_shape.values()
            for place in _not_traceable(together)
        }
        if not new:
            return list(by_shape.values())
        constant |= new


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
    """The places whose numbers must be known when the program is compiled."""
    numbers = differing(arms)
    return {*numbers} - {*traceable(arms[0].config, numbers)}
