"""A run's config: checked before anything heavy is imported, resolved, kept as JSON."""

from __future__ import annotations

import functools
import importlib
import inspect
import json
import pkgutil
import sys
from collections.abc import Collection, Mapping
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from experiments.expressions import expand
from gans import data, names, variants
from gans.data import kinds
from gans.data import spec as specs

# Keys that the config of every run has; variants add their own.
RUN = (
    "variant data resolution channels n_classes flip data_dir skip_corrupt batch_size "
    "steps seed dtype steps_per_call on_nan log_every diagnose_every sample_every "
    "checkpoint_every keep_checkpoints evaluate_every n_evaluate metrics extractor"
).split()
# What keys were called before: {old: new}, of the config, its networks, ablations.
RENAMED = {"critic": "discriminator"}
RENAMED_OF_NETWORKS = {"layers": "convolutions"}
RENAMED_OF_ABLATIONS = {"lanes": "replicas_per_program"}
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
    """The config cannot be run. The message is one line."""


def check(config: ConfigDict) -> None:
    """Raises ValueError unless the keys of a run are there and have accepted values.

    The keys of its variant are checked when it is built.
    """
    check_renamed(config, RENAMED)
    for key in RUN:
        if key not in config:
            raise ValueError(f"the config has no key {key!r}, which every config has")
    _check_variant(config.variant)
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


def _check_variant(name):
    """Raises ValueError unless there is such a file, or such a module of the user's."""
    if "." not in name:
        known = [module.name for module in pkgutil.iter_modules(variants.__path__)]
        names.check(name, known, "config.variant")
        return
    try:
        found = name in sys.modules or find_spec(name)
    except ImportError:  # of the package it is in
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


def variant(config: ConfigDict):
    """Returns the module of config.variant.

    A plain name is a file of gans/variants. A name with a dot is a module of your own,
    "my_package.my_variant", imported from Python's path.
    """
    _check_variant(config.variant)
    inside = "" if "." in config.variant else "gans.variants."
    return importlib.import_module(inside + config.variant)


def load_data(
    config: ConfigDict,
    resolution: int | None = None,
    *,
    channels: int | None = None,
    split: str = "train",
):
    """Returns the source that `gans.data.load` makes of a config.

    `resolution` and `channels` replace those of the config where they are given.
    """
    return data.load(
        config.data,
        resolution=resolution or config.resolution,
        channels=channels or config.channels,
        split=split,
        data_dir=config.data_dir,
        skip_corrupt=config.skip_corrupt,
        seed=config.seed,
    )


def resolve(config: ConfigDict, source) -> ConfigDict:
    """Returns a copy that knows its data, with all strings expanded (see `expand`).

    Its `spec` is that of the source, as JSON. `n_classes` is set too, and `shape` if
    examples have one.

    Raises ValueError if config.n_classes is given and the source has other classes.
    """
    config = from_json(to_json(config))
    if config.n_classes not in (None, source.n_classes):
        has = f"{source.n_classes} classes" if source.n_classes else "no labels"
        raise ValueError(
            f"config.n_classes={config.n_classes}, but config.data={config.data!r} has "
            f"{has}; leave config.n_classes unset to take those of the data"
        )
    config.n_classes = source.n_classes
    shape = getattr(source, "shape", None)
    with config.unlocked(), config.ignore_type():
        if shape is not None:
            config.shape = tuple(shape)
        config.spec = specs.to_json(source.spec)
    return from_json(to_json(config))


def build(config: ConfigDict, stage: int = 0):
    """Returns the `gans.core.GAN` of a stage of a resolved config.

    Raises ValueError, naming the variant, for a value that it does not accept.
    """
    import jax  # the commands check configs before they import it

    from gans import core  # imports JAX

    values, spec = _values(config.to_dict()), stages(config)[stage].spec
    try:
        gan = variant(config).build(values, spec, stage)
        # Networks check their options when they are first called.
        jax.eval_shape(functools.partial(core.init, gan), jax.random.key(0))
    except (ValueError, _NoKey) as error:
        raise _of_variant(config, error) from error
    return gan


class _NoKey(KeyError):
    """A config has no such key."""


class _Values(dict):
    """A config, or a part of one, that tells a missing key from other errors."""

    def __missing__(self, key):
        raise _NoKey(key)


def _values(part: dict[str, Any]) -> _Values:
    found = part.items()
    return _Values({k: _values(x) if isinstance(x, dict) else x for k, x in found})


def _of_variant(config: ConfigDict, error: Exception) -> ValueError:
    if isinstance(error, _NoKey):
        return ValueError(f"the config of {config.variant} has no key {error}")
    return ValueError(f"config of {config.variant}: {error}")


def stages(config: ConfigDict) -> tuple[Any, ...]:
    """Returns the `gans.stages.Stage`s of a resolved config, at least one.

    Raises ValueError if config.steps is not the number of steps of all stages.
    """
    from gans import stages  # imports JAX

    values = _values(config.to_dict())
    spec = specs.from_json(values["spec"])
    try:
        found = stages.of(variant(config), values, spec)
    except (ValueError, _NoKey) as error:
        raise _of_variant(config, error) from error
    total = stages.first_step(found, len(found))
    if total != config.steps:
        raise ValueError(
            f"config.steps={config.steps}, but the {len(found)} stages of "
            f"config.variant={config.variant!r} have {total} steps in all"
        )
    return found


def of_stage(config: ConfigDict, index: int) -> ConfigDict:
    """Returns a resolved config with the data and batch size of one stage.

    It is for those who sample and evaluate. `build` takes the config of the whole run.
    """
    every = stages(config)
    if len(every) == 1:
        return config
    spec = every[index].spec
    own = config.copy_and_resolve_references()
    with own.unlocked(), own.ignore_type():
        own.batch_size, own.resolution = every[index].batch_size, resolution(spec)
        own.spec = specs.to_json(spec)
        own.shape = next(f.shape for f in spec.values() if f.kind != "label")
    return own


def resolution(spec: specs.Spec) -> int | None:
    """Returns the width of the first field that has one."""
    for field in spec.values():
        axes = kinds.of(field).AXES
        if "W" in axes:
            return field.shape[axes.index("W")]
    return None


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
            _known(name, known, f"{place}: {key}")
            where = where[name]
        if not path or not isinstance(where, ConfigDict):
            known = where if isinstance(where, ConfigDict) else ()
            _known(last, known, f"{place}: {key}")
        with where.unlocked(), where.ignore_type():
            where[last] = expand(value, f"{place}: {key}")
    return config


def _known(key: str, keys: Collection[str], place: str) -> None:
    """Raises ValueError, with the new name or the nearest one, for an unknown key."""
    new = (RENAMED | RENAMED_OF_NETWORKS | RENAMED_OF_ABLATIONS).get(key)
    if key not in keys and new in keys:
        raise ValueError(f"{place}: {key!r} is called {new!r} now")
    names.check(key, keys, place)


def to_json(config: ConfigDict) -> str:
    return json.dumps(config.to_dict(), indent=2, sort_keys=True) + "\n"


def from_json(text: str) -> ConfigDict:
    """Returns the config of `to_json`, expanded; lists come back as tuples.

    A resolved config of an older version is converted: its keys to their new names, and
    its shape to a spec.
    """

    def tuples(value):
        if isinstance(value, dict):
            return {key: tuples(x) for key, x in value.items()}
        return tuple(map(tuples, value)) if isinstance(value, list) else value

    return ConfigDict(tuples(convert(tuples(json.loads(text)))))


def renamed(key: str) -> str:
    """Returns today's name of a dotted key: "critic.layers" had another."""
    first, *rest = key.split(".")
    rest[:1] = [RENAMED_OF_NETWORKS.get(name, name) for name in rest[:1]]
    return ".".join([RENAMED.get(first, first), *rest])


def convert(old: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the content of a config of this version, from one of any version."""
    new = expand({RENAMED.get(key, key): x for key, x in old.items()}, "config")
    for role in ("generator", "discriminator"):
        if isinstance(new.get(role), Mapping):
            part = {RENAMED_OF_NETWORKS.get(k, k): x for k, x in new[role].items()}
            n = part.pop("n_reference", None)  # it was an option of the network
            if part.get("norm") == "virtual" and n is not None:
                part["norm"] = {"name": "virtual", "n_reference": n}
            new[role] = part
    if "shape" in new and "spec" not in new:
        new["spec"] = specs.older(new["shape"], new.get("n_classes"))
    return new


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
    advice = (
        "--allow-config-change continues anyway; another --workdir starts a new run"
    )
    if not path.exists():
        raise ValueError(f"{path} is missing, but there are checkpoints; {advice}")
    old, new = from_json(path.read_text()).to_dict(), config.to_dict()
    as_text = "folder:" in new["data"]
    try:
        old["spec"] = specs.with_names(old.get("spec", {}), new["spec"], as_text)
    except ValueError as error:
        raise ValueError(f"{path}: {error}; another --workdir starts anew") from None
    changed = differences(old, new, FREE)
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
        _known(key, config if isinstance(config, ConfigDict) else (), place)
        config, place = config[key], f"{place}.{key}"
