"""A config and its data: resolved, and made into a GAN and its stages."""

from __future__ import annotations

import functools
import types
from collections.abc import Callable
from typing import Any

from ml_collections import ConfigDict

from experiments.config.records import from_json, to_json
from gans import data, names
from gans.data import kinds
from gans.data import spec as specs
from gans.data.sets import OptionWanted

_ADVICE = {
    "resolution": "--config.resolution=64 crops and resizes all to that side",
    "skip_corrupt": "--config.skip_corrupt leaves out what cannot be read",
}


def variant(config: ConfigDict):
    """Returns what has the `build` of config.variant, and perhaps `stages`.

    A plain name is a file of gans/variants. A path is a module of your own, or its
    function that builds: "my_package.my_variant", "my_variant:build" (see
    `gans.names`).
    """
    place = "config.variant"
    build = names.part(config.variant, "gans.variants", "build", place)
    names.wanted(build, Callable, place, config.variant, "a function")
    found = names.found(config.variant, "gans.variants", place)
    return found if found is not build else types.SimpleNamespace(build=build)


def load_data(
    config: ConfigDict,
    resolution: int | None = None,
    *,
    channels: int | None = None,
    split: str = "train",
):
    """Returns the source that `gans.data.load` makes of a config.

    `resolution` and `channels` replace those of the config where they are given.

    Raises ValueError if a resolved config has other classes than the data.
    """
    try:
        source = data.load(
            config.data,
            resolution=resolution or config.resolution,
            channels=channels or config.channels,
            split=split,
            data_dir=config.data_dir,
            skip_corrupt=config.skip_corrupt,
            seed=config.seed,
            jitter=config.jitter,
            frames=config.frames,
            stride=config.stride,
        )
    except OptionWanted as error:
        raise ValueError(f"{error}; {_ADVICE[error.option]}") from None
    except FileNotFoundError as error:
        kind, _, path = config.data.partition(":")
        if "/" in path:  # what presets of folders say is a plain name
            raise
        advice = f"--config.data={kind}:PATH names your own"
        raise ValueError(f"{error}; {advice}") from error
    if config.get("spec"):
        kept, found = config.spec.to_dict(), specs.to_json(source.spec)
        try:
            specs.check_classes(kept, found, "folder:" in config.data)
        except ValueError as error:
            raise ValueError(f"config.data={config.data!r}: {error}") from None
    return source


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


def check_pairs(config: ConfigDict, gan: Any, source: Any) -> None:
    """Raises ValueError unless the fields that a GAN needs in pairs are so in the data.

    gan: see `gans.core.GAN.paired`.
    """
    wanted = {*gan.paired}
    if wanted and not any(wanted <= {*group} for group in source.groups):
        raise ValueError(
            f"config.data={config.data!r}: {' and '.join(gan.paired)} of an example do "
            f"not belong together there, and {config.variant} learns from pairs; see "
            "pairs:PATH in docs/data.md"
        )


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
    """Returns the width of the widest field, by which data are read; None without."""
    widths = [
        field.shape[axes.index("W")]
        for field in spec.values()
        if "W" in (axes := kinds.of(field).AXES)
    ]
    return max(widths, default=None)
