"""A workdir of networks that others have trained, or of an exported run."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from experiments import config as configs
from experiments.exchange import arrays, files
from experiments.exchange.recognition import Found, recognised
from experiments.files import replacing
from experiments.rundir import manifest
from experiments.rundir.checkpoint import Checkpoints
from experiments.rundir.folder import WorkdirError, kind_of
from experiments.rundir.lock import Lock
from gans import core, stages
from gans.data.source import InMemory
from gans.data.spec import Field, Spec

_SGD = {"name": "sgd", "learning_rate": 2e-4}  # keeps nothing beside the parameters
AVERAGE = "_ema"  # ends the name of a network's average: G_ema


@dataclasses.dataclass
class Weights:
    """A network of the files.

    Attributes:
      place: the file, and its name there.
      own: as it was trained; None: only its average is there.
      average: the average of its parameters, if it is there.
    """

    place: str
    own: Found | None = None
    average: Found | None = None

    @property
    def found(self) -> Found:
        """Either of them: their options are the same."""
        return self.average or self.own


def models(
    paths: Sequence[str | os.PathLike],
    workdir: str | os.PathLike,
    config: ConfigDict,
    *,
    asked: bool = True,
    evaluating: bool = False,
    dropout: bool = True,
    command: str = "",
) -> list[str]:
    """Makes a workdir of networks that were saved as state dicts, or by `exporting`.

    Args:
      paths: of the files, see `files.read`. A network of theirs becomes the first of
        its class that the variant has and no other one became; others stay untrained.
      workdir: a folder without a run.
      config: of a variant with such networks. What the files say replaces what it says.
      asked: whether the user named it. If not, an exported run keeps its own.
      evaluating: batch norm uses its stored statistics and nothing is dropped.
        Otherwise statistics are those of the batch, and a U-Net's dropout stays.
      dropout: whether a U-Net was trained with dropout, which its file does not say.

    Returns what was imported, and what was not, in lines.

    Raises ValueError, naming the file, for what is no such network, WorkdirError for a
    workdir that cannot be one.
    """
    if kind_of(workdir) == "run":
        raise WorkdirError(f"workdir {workdir} holds a run; choose another --workdir")
    content = {path: files.read(path) for path in paths}
    weights, rest = _networks(content)
    own = {
        f"{part}/{name}": x
        for file in content.values()
        for part in arrays.PARTS
        if part in file.networks
        for name, x in file.networks[part].state.items()
    }
    first, step = content[paths[0]], 0
    if first.config is not None and not asked:
        config, step = configs.from_json(first.config), first.step
        index = stages.index_of(configs.stages(config), step)
        gan = configs.build(config, index)
        placed, taken = _fitted(gan, weights, own)
    else:
        config = _told(config, weights, evaluating, dropout)
        config, gan, placed, taken = _built(config, weights, own)
    state = _state(gan, taken).replace(step=jnp.int32(step))
    digests = {
        Path(path).name: hashlib.sha256(Path(path).read_bytes()).hexdigest()
        for path in paths
    }
    with Lock(workdir, "run"):
        with replacing(Path(workdir) / "config.json") as path:
            Path(path).write_text(configs.to_json(config))
        checkpoints = Checkpoints(workdir, keep=None)
        checkpoints.save(step, state, {})
        checkpoints.close()
        record = manifest.begin(command) | {"status": "imported", "sha256": digests}
        manifest.write(Path(workdir), record)
    return [*_said(gan, placed, taken), *_left(rest)]


def _networks(content: Mapping[Any, files.File]) -> tuple[list[Weights], list[str]]:
    """The networks of {path: File} that are known, and the names of the rest."""
    weights: dict[tuple[Any, str], Weights] = {}
    rest = []
    for path, file in content.items():
        refused, rest = [], [*rest, *file.skipped]
        for name in sorted({*file.networks} - {*arrays.PARTS}):
            try:
                found = recognised(file.networks[name])
            except ValueError as error:
                rest.append(name)
                refused.append(f"{path}: {name and f'{name}: '}{error}")
                continue
            base = name.removesuffix(AVERAGE)
            place = f"{base} of {Path(path).name}" if base else Path(path).name
            one = weights.setdefault((path, base), Weights(place))
            setattr(one, "own" if name == base else "average", found)
        if refused and not any(key[0] == path for key in weights):
            raise ValueError(refused[0])
    others = any({*arrays.PARTS} & {*file.networks} for file in content.values())
    _check_roles(weights, alone=not others)
    return [*weights.values()], rest


def _check_roles(weights, alone):
    """Raises ValueError unless networks of a role are alike, one being a generator.

    alone: no other networks are in the files, by the names that checkpoints have.
    """
    roles: dict[str, Weights] = {}
    for one in weights.values():
        for found in filter(None, (one.own, one.average)):
            first = roles.setdefault(found.role, one)
            if found.architecture != first.found.architecture:
                text = f"{one.place} and {first.place} differ in their architectures"
                raise ValueError(text)
    if weights and alone and "generator" not in roles:
        (one,) = roles.values()
        raise ValueError(f"{one.place}: a {one.found.cls.__name__} without a generator")


def _told(config, weights, evaluating, dropout):
    """The config, of the networks of the files."""
    config = config.copy_and_resolve_references()
    with config.unlocked(), config.ignore_type():
        for role in configs.players(config.to_dict()):
            config[role].optimizer = ConfigDict(_SGD)
        for one in weights:
            found, old = one.found, config[one.found.role]
            kept = old.to_dict() if old.network == found.network else {}
            kept |= {"optimizer": _SGD, "network": found.network}
            config[found.role] = {**kept, **_used(found, evaluating, dropout)}
            config.update({k: x for k, x in _keys(found) if k in config})
    return config


def _used(found, evaluating, dropout):
    """The options of a network, as it is to be used."""
    options = dict(found.options)
    norm = options.get("norm")
    if norm is not None and norm["name"] == "batch":
        options["norm"] = {**norm, "running": evaluating}
    if found.role == "generator" and not dropout:
        options["dropout"] = 0.0
    if "n_dropout" in options:
        options["dropout_at_sampling"] = not evaluating
    return options


def _keys(found) -> Iterator[tuple[str, Any]]:
    """(key, value) of a config that generators say something of."""
    if found.role == "generator":
        side, _, channels = found.of_data["shape"]
        latent = found.of_data.get("latent")
        known = {"latent": latent, "resolution": side}
        yield from ((k, x) for k, x in known.items() if x)
        if latent:
            yield "channels", channels
            yield "conditional", found.of_data.get("n_classes") is not None


def _built(config, weights, own):
    """(resolved config, GAN, placed, taken) for the data that the generators know of.

    Of two images, the variant says which one is given: both are tried.
    """
    failed = None
    for spec in _specs(config, weights):
        blank = {name: np.zeros((1, *x.shape), x.dtype) for name, x in spec.items()}
        resolved = configs.resolve(config, InMemory("imported", blank, spec))
        gan = configs.build(resolved)
        try:
            return resolved, gan, *_fitted(gan, weights, own)
        except ValueError as error:
            failed = failed or error
    raise failed


def _specs(config, weights) -> Iterator[Spec]:
    """What an example of the data may hold."""
    of_data = next((x.found.of_data for x in weights if x.found.of_data), None)
    if of_data is None:
        raise ValueError("no network but those of an exported run: leave out --config")
    height, width, channels = of_data["shape"]
    height, width = height or config.resolution, width or config.resolution
    made = Field("image", (height, width, channels), "uint8")
    if "given" in of_data:
        scale = of_data.get("scale", 1)
        smaller = height // scale, width // scale
        given = Field("image", (*smaller, of_data["given"]), "uint8")
        yield {"a": given, "b": made}
        yield {"a": made, "b": given}
        return
    n_classes = of_data.get("n_classes")
    label = {"label": Field("label", (), "int32", n_classes)} if n_classes else {}
    yield {"image": made, **label}


def _fitted(gan, weights, own):
    """({network: Weights}, `arrays.Taken`) of a GAN."""
    placed: dict[str, Weights] = {}
    given = dict(own)
    for one in weights:
        ours = [n for n, x in gan.nets.items() if isinstance(x.module, one.found.cls)]
        free = [name for name in ours if name not in placed]
        if not free:
            kind = f"{one.found.network}.{one.found.cls.__name__}"
            has = ", ".join(ours) or "none"
            raise ValueError(f"{one.place}: no {kind} is left for it; there is {has}")
        placed[free[0]] = one
        own_, average = one.own or one.average, one.average or one.own
        if gan.nets[free[0]].ema is None:
            own_ = average
        else:
            given |= arrays.of_average(free[0], average.variables)
        given |= arrays.of_network(free[0], own_.variables)
    places = " and ".join(one.place for one in weights)
    try:
        return placed, arrays.taken(_shapes(gan), given)
    except ValueError as error:
        raise ValueError(f"{places}: {error}" if places else str(error)) from None


def _shapes(gan):
    return jax.eval_shape(functools.partial(core.init, gan), jax.random.key(0))


def _state(gan, taken):
    """The first state, with what is taken."""

    def init(key, variables):
        nets = {
            name: dataclasses.replace(net, given=variables.get(name, net.given))
            for name, net in gan.nets.items()
        }
        return core.init(dataclasses.replace(gan, nets=nets), key).replace(frozen={})

    # Random numbers in many shapes take a compiler long at its usual level.
    quick = {"xla_backend_optimization_level": 1}
    on_cpu = jax.default_backend() == "cpu"
    init = jax.jit(init, compiler_options=quick if on_cpu else None)
    state = init(jax.random.key(0), taken.variables)
    frozen = core.frozen_variables(gan)
    return state.replace(ema={**state.ema, **taken.averages}, frozen=frozen)


def _said(gan, placed, taken) -> Iterator[str]:
    for name, variables in taken.variables.items():
        n = sum(x.size for x in jax.tree.leaves(variables["params"]))
        said = f"{name}: {n:,} parameters"
        if name in placed:
            said += f", {placed[name].found.spelled()}; from {placed[name].place}"
        yield said
    trained = {name for name, net in gan.nets.items() if not net.frozen}
    untrained = sorted(trained - {*taken.variables})
    if untrained:
        yield f"untrained: {', '.join(untrained)}"


def _left(rest):
    return [f"left out: {', '.join(rest)}"] if rest else []
