"""A run's config: checked before anything heavy is imported, resolved, kept as JSON."""

from __future__ import annotations

import functools
import importlib
import inspect
import json
import pkgutil
from collections.abc import Collection, Mapping
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from gans import data, names, variants

# Keys that every config has.
SHARED = (
    "variant data resolution channels n_classes flip data_dir skip_corrupt batch_size "
    "steps seed dtype latent loss n_critic n_critic_changes generator critic ema "
    "ema_half_life ema_ramp augment label_flip top_k steps_per_call on_nan log_every "
    "diagnose_every sample_every checkpoint_every keep_checkpoints evaluate_every "
    "n_evaluate metrics extractor"
).split()
# Those that leave the training as it is, bit for bit. `steps` is not among them, as
# schedules depend on it, nor `steps_per_call`, as each number is another program.
FREE = {
    "log_every",
    "diagnose_every",
    "sample_every",
    "checkpoint_every",
    "keep_checkpoints",
    "evaluate_every",
    "n_evaluate",
    "metrics",
    "extractor",
    "on_nan",
    "data_dir",
}
_CHOICES = {"dtype": ("float32", "bfloat16"), "on_nan": ("stop", "rollback")}
_POSITIVE = (
    "batch_size steps steps_per_call log_every sample_every checkpoint_every "
    "keep_checkpoints n_evaluate"
).split()
_WHOLE_CALLS = (
    "steps log_every diagnose_every sample_every checkpoint_every evaluate_every"
).split()


class ConfigError(ValueError):
    """What was asked for cannot be run; said in one line."""


def check(config: ConfigDict) -> None:
    """Raises ValueError unless every key is there, with a value that can be run."""
    for key in SHARED:
        if key not in config:
            raise ValueError(f"the config has no key {key!r}, which every config has")
    known = [module.name for module in pkgutil.iter_modules(variants.__path__)]
    names.check(config.variant, known, "config.variant")
    for key, choices in _CHOICES.items():
        names.check(config[key], choices, f"config.{key}")
    for key in _POSITIVE:
        if config[key] < 1:
            raise ValueError(f"config.{key}={config[key]} must be at least 1")
    per_call = config.steps_per_call
    for key in _WHOLE_CALLS:
        if config[key] % per_call:
            raise ValueError(
                f"config.{key}={config[key]} must be a multiple of "
                f"config.steps_per_call={per_call}"
            )


def load_data(config: ConfigDict):
    """Returns the source that `gans.data.load` makes of a config."""
    return data.load(
        config.data,
        resolution=config.resolution,
        channels=config.channels,
        data_dir=config.data_dir,
        skip_corrupt=config.skip_corrupt,
        seed=config.seed,
    )


def resolve(config: ConfigDict, source) -> ConfigDict:
    """Returns a copy that knows its data: `shape` of one element, and `n_classes`."""
    config = from_json(to_json(config))
    config.shape = tuple(source.shape)
    if config.n_classes is None:
        config.n_classes = source.n_classes
    return config


def build(config: ConfigDict, stage: int | None = None):
    """Returns the `gans.core.GAN` of a resolved config.

    Raises ValueError for a value that its variant does not accept.
    """
    import jax

    from gans import core

    gan = importlib.import_module(f"gans.variants.{config.variant}").build(
        config, stage
    )
    # What its networks refuse is said now.
    jax.eval_shape(functools.partial(core.init, gan), jax.random.key(0))
    return gan


def override(
    config: ConfigDict, changes: Mapping[str, Any], place: str = "override"
) -> ConfigDict:
    """Returns a copy of `config` with values changed: {"critic.optimizer.b1": 0.5}.

    A value takes the place of what was there, a dict too. A network's options may be
    new to it; other keys must be there. Raises ValueError, with the nearest key, if
    they are not.
    """
    config = config.copy_and_resolve_references()
    for key, value in changes.items():
        *path, last = key.split(".")
        where = config
        for name in path:
            known = where if isinstance(where, ConfigDict) else ()
            names.check(name, known, f"{place}: {key}")
            where = where[name]
        if path not in (["generator"], ["critic"]) and path[1:] != ["optimizer"]:
            known = where if isinstance(where, ConfigDict) else ()
            names.check(last, known, f"{place}: {key}")
        with where.unlocked(), where.ignore_type():
            where[last] = value
    return config


def to_json(config: ConfigDict) -> str:
    return json.dumps(config.to_dict(), indent=2, sort_keys=True) + "\n"


def from_json(text: str) -> ConfigDict:
    """Returns the config of `to_json`; lists come back as tuples."""

    def tuples(value):
        if isinstance(value, dict):
            return {key: tuples(x) for key, x in value.items()}
        return tuple(map(tuples, value)) if isinstance(value, list) else value

    return ConfigDict(tuples(json.loads(text)))


def differences(
    old: Mapping[str, Any], new: Mapping[str, Any], free: Collection[str] = ()
) -> list[str]:
    """Returns "key: old -> new" of each key that differs, dotted where it is nested.

    free: first parts of keys that may differ.
    """
    old, new = _flat(old), _flat(new)
    absent = "(absent)"
    return [
        f"{key}: {old.get(key, absent)} -> {new.get(key, absent)}"
        for key in sorted({*old, *new})
        if key.partition(".")[0] not in free
        and old.get(key, absent) != new.get(key, absent)
    ]


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat = {}
    for key, value in values.items():
        nested = isinstance(value, Mapping)
        flat |= _flat(value, f"{prefix}{key}.") if nested else {prefix + key: value}
    return flat


def compare(path: Path, config: ConfigDict) -> None:
    """Raises ValueError if the config kept in the file `path` would train otherwise."""
    advice = "--allow-config-change goes on nevertheless; another --workdir begins anew"
    if not path.exists():
        raise ValueError(f"{path} is missing, but there are checkpoints; {advice}")
    old = from_json(path.read_text()).to_dict()
    changed = differences(old, config.to_dict(), FREE)
    if changed:
        lines = "\n  ".join(changed)
        raise ValueError(f"{path} is another config:\n  {lines}\n{advice}")


def load_file(spec: str) -> tuple[ConfigDict, str]:
    """Returns the config of `spec`, a PATH.py[:PRESET], and the name of its preset.

    Raises ValueError for an unknown file or preset.
    """
    path, _, preset = spec.partition(":")
    if not Path(path).is_file():
        known = [str(p) for p in Path(path).parent.glob("*.py") if p.stem[0] != "_"]
        names.check(path, known, "--config")
    loading = spec_from_file_location("config", path)
    module = module_from_spec(loading)
    loading.loader.exec_module(module)
    parameters = inspect.signature(module.get_config).parameters.values()
    preset = preset or next((p.default for p in parameters), "")
    return module.get_config(*[preset][: len(parameters)]), preset


def check_flag(config: ConfigDict, flag: str) -> None:
    """Raises ValueError unless `flag`, --config.KEY[.KEY ...][=VALUE], names a key."""
    place, *keys = flag.partition("=")[0].split(".")
    for key in keys:
        key = key.partition("[")[0]
        names.check(key, config if isinstance(config, ConfigDict) else (), place)
        config, place = config[key], f"{place}.{key}"
