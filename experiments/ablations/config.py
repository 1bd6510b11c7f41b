"""The config of an ablation, checked before anything heavy is imported."""

from __future__ import annotations

from ml_collections import ConfigDict

from configs import keys
from experiments import config as configs
from gans import names

# What presets.ablation makes.
KEYS = ("base", "arms", "order", *keys.ABLATION)
# Keys of a run that the ablation sets itself, and those that it does not use. An arm
# that changed one of them would be the baseline under another name.
NOT_OF_ARMS = {
    "seed": "every arm is trained with the seeds 0 to config.seeds - 1",
    "evaluate_every": "config.evaluations says how often each arm is evaluated",
    "on_nan": "a replica whose numbers stop being finite is recorded as diverged",
} | dict.fromkeys(
    "log_every diagnose_every sample_every checkpoint_every keep_checkpoints".split(),
    "ablations write no logs, samples or checkpoints of single runs",
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
    configs.check(config.base)
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


def _check_keys(name, overrides):
    for key in overrides:
        if key in NOT_OF_ARMS:
            raise ValueError(
                f"config.arms: {name} sets {key!r}, which has no effect in an "
                f"ablation: {NOT_OF_ARMS[key]}"
            )


def choose(config: ConfigDict, wanted: list[str]) -> None:
    """Leaves only these arms and the baseline in config.order.

    Raises ValueError for an unknown arm.
    """
    for name in wanted:
        names.check(name, config.arms, "--arms")
    chosen = {config.baseline, *wanted}
    config.order = tuple(name for name in config.order if name in chosen)
