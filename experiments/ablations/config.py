"""The config of an ablation, checked before anything heavy is imported."""

from __future__ import annotations

from collections.abc import Iterable

from ml_collections import ConfigDict

from configs import keys
from experiments import config as configs
from gans import names

# What presets.ablation makes.
KEYS = ("base", "arms", "order", *keys.ABLATION)
# Keys of a run that the ablation sets itself, and those that it does not use: they have
# no effect in the base, and an arm that changed one would be the baseline under another
# name.
UNUSED = {
    "seed": "every arm is trained with the seeds 0 to config.seeds - 1",
    "evaluate_every": "config.evaluations says how often each arm is evaluated",
    "on_nan": "a replica whose numbers stop being finite is recorded as diverged",
} | dict.fromkeys(
    "log_every diagnose_every sample_every checkpoint_every keep_checkpoints".split(),
    "ablations write no logs, samples or checkpoints of single runs",
)
# Keys of the base that no arm can change.
_OF_THE_BASE = {
    "steps_per_call": "it says how steps are compiled, not what they compute",
    "data_dir": "it says where data are, not which",
} | dict.fromkeys(
    "metrics n_evaluate extractor".split(),
    "all arms must be measured alike",
)
# Characters of an arm's name, which is part of file names.
_NAME = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-+")


def check(config: ConfigDict) -> None:
    """Raises ValueError unless `config` is that of an ablation that can be run."""
    configs.check_renamed(config, configs.RENAMED_OF_ABLATIONS)
    for key in KEYS:
        if key not in config:
            raise ValueError(
                f"the config has no key {key!r}, which every ablation has; "
                "`ablation` in configs/presets.py makes such configs"
            )
    for name, key in keys.ABLATION.items():
        configs.check_value(config[name], key, f"config.{name}")
    configs.check(_without_events(config.base))
    arms = config.arms
    names.check(config.baseline, arms, "config.baseline")
    for name in arms:
        if not set(name) <= _NAME or name.startswith("."):
            raise ValueError(
                f"config.arms: {name!r} must consist of letters, digits and _.-+"
            )
        _check_keys(name, arms[name])
    for name in config.order:
        names.check(name, arms, "config.order")
    if len(set(config.order)) < len(config.order):
        raise ValueError(f"config.order={config.order} names an arm twice")
    if config.baseline not in config.order:
        raise ValueError(
            f"config.order={config.order} lacks the baseline, {config.baseline}"
        )
    if config.steps and config.images:
        raise ValueError(
            f"config.steps={config.steps} and config.images={config.images} are both "
            "set; set one of them"
        )
    if not config.base.metrics:
        raise ValueError(
            "config.base.metrics is empty; an ablation needs at least one metric"
        )


def _without_events(base):
    """The base with events of single runs that fit its calls; none of them is used."""
    base = base.copy_and_resolve_references()
    for key in UNUSED:
        if key.endswith("_every") and key in base:
            base[key] = base.steps_per_call
    return base


def _check_keys(name, overrides):
    for key in overrides:
        if key in UNUSED:
            raise ValueError(
                f"config.arms: {name} sets {key!r}, which has no effect in an "
                f"ablation: {UNUSED[key]}"
            )
        free = key in keys.RUN and keys.RUN[key].free
        if free or key in _OF_THE_BASE:
            why = _OF_THE_BASE.get(key, "it leaves the training as it is")
            raise ValueError(
                f"config.arms: {name} sets {key!r}, which only config.base can set: "
                f"{why}"
            )


def check_flags(config: ConfigDict, flags: Iterable[str]) -> None:
    """Raises ValueError for a flag --config.base.KEY=... that would have no effect.

    The base may hold such keys, as it is the config of a run; to set one is a mistake.
    """
    unused = dict(UNUSED)
    for budget in ("steps", "images"):
        if config[budget]:
            unused["steps"] = f"config.{budget}={config[budget]} is the budget"
    for flag in flags:
        name = flag.partition("=")[0]
        key = name.removeprefix("--config.base.")
        if key != name and key in unused:
            raise ValueError(f"{name} has no effect in an ablation: {unused[key]}")


def choose(config: ConfigDict, wanted: list[str]) -> None:
    """Leaves only these arms and the baseline in config.order.

    Raises ValueError for an unknown arm.
    """
    for name in wanted:
        names.check(name, config.arms, "--arms")
    chosen = {config.baseline, *wanted}
    config.order = tuple(name for name in config.order if name in chosen)
