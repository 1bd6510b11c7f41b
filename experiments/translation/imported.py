"""A workdir of generators that the authors of pix2pix and CycleGAN have trained."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from ml_collections import ConfigDict

from experiments import config as configs
from experiments.files import replacing
from experiments.rundir import manifest
from experiments.rundir.checkpoint import Checkpoints
from experiments.rundir.folder import WorkdirError, kind_of
from experiments.rundir.lock import Lock
from experiments.translation.translator import Translator
from gans import core, names
from gans.data.source import InMemory
from gans.data.spec import Field
from gans.metrics.features import pth

_SGD = {"name": "sgd", "learning_rate": 2e-4}  # keeps nothing beside the parameters


class File(NamedTuple):
    """What a .pth file holds.

    Attributes:
      network: a file of gans/networks.
      options: of its generator.
      channels: of the images that it is given, and that it makes.
      variables: {"params": tree, collection: tree ...}.
    """

    network: str
    options: dict[str, Any]
    channels: tuple[int, int]
    variables: Mapping[str, Any]


def generators(
    files: Sequence[str | os.PathLike],
    workdir: str | os.PathLike,
    config: ConfigDict,
    *,
    evaluating: bool = False,
    dropout: bool = True,
    command: str = "",
) -> list[str]:
    """Makes a workdir of generators that were saved as state dicts of PyTorch.

    Args:
      files: of the networks that the variant's outputs use, in the order of the
        outputs. Networks without a file stay untrained.
      workdir: a folder without a run.
      config: of a variant that translates. What the files say of the generators
        replaces what it says.
      evaluating: as with the authors' --eval, batch norm uses its stored statistics and
        nothing is dropped. Otherwise, as without it, statistics are those of the
        picture, and a U-Net's dropout stays.
      dropout: whether a U-Net was trained with dropout, which its file does not say.

    Returns what was imported, and what was not, in lines.

    Raises ValueError, naming the file, for what is no such generator, WorkdirError for
    a workdir that cannot be one.
    """
    if kind_of(workdir) == "run":
        raise WorkdirError(f"workdir {workdir} holds a run; choose another --workdir")
    read = {path: file_of(path) for path in files}
    first, *others = read.values()
    for path, other in zip(files[1:], others, strict=True):
        if other[:3] != first[:3]:
            raise ValueError(f"{path} and {files[0]} differ in their architectures")
    config, gan, uses = _built(_told(config, first, evaluating, dropout), first)
    gan, said = _given(gan, uses, read)
    state = core.init(gan, jax.random.key(0))
    digests = {
        Path(path).name: hashlib.sha256(Path(path).read_bytes()).hexdigest()
        for path in files
    }
    with Lock(workdir, "run"):
        with replacing(Path(workdir) / "config.json") as path:
            Path(path).write_text(configs.to_json(config))
        checkpoints = Checkpoints(workdir, keep=None)
        checkpoints.save(0, state, {})
        checkpoints.close()
        record = manifest.begin(command) | {"status": "imported", "sha256": digests}
        manifest.write(Path(workdir), record)
    return said


def file_of(path: str | os.PathLike) -> File:
    """Returns the generator in a .pth file; ValueError if there is none."""
    state, refused = pth.read(path), []
    for name in names.files("gans.networks"):
        module = names.module(name, "gans.networks", "network")
        if not hasattr(module, "from_torch") or not hasattr(module, "Generator"):
            continue
        try:
            options, variables = module.from_torch(state)
        except ValueError as error:
            refused.append(str(error))
            continue
        kernel, *_, bias = state.values()  # [O, I, K, K] of the first layer; the last's
        return File(name, options, (kernel.shape[1], len(bias)), variables)
    raise ValueError(f"{path}: {'; '.join(refused)}")


def _told(config, file, evaluating, dropout):
    """The config, of the generator of a file."""
    options = dict(file.options)
    if options["norm"] is not None and options["norm"]["name"] == "batch":
        options["norm"] = {**options["norm"], "running": evaluating}
    if not dropout:
        options["dropout"] = 0.0
    if "n_dropout" in options:
        options["dropout_at_sampling"] = not evaluating
    config = config.copy_and_resolve_references()
    with config.unlocked(), config.ignore_type():
        config.generator = {"network": file.network, **options, "optimizer": _SGD}
        config.discriminator.optimizer = ConfigDict(_SGD)
        if "depth" in options:  # its smallest map is a pixel
            config.resolution = 2 ** options["depth"]
    return config


def _built(config, file):
    """(resolved config, GAN, {output: names of its networks}) for images of a file's.

    Which side is given is a matter of the variant: both are tried.
    """
    side = config.resolution
    for sides in ("ab", "ba"):
        channels = dict(zip(sides, file.channels, strict=True))
        spec = {x: Field("image", (side, side, channels[x]), "uint8") for x in "ab"}
        blank = {name: np.zeros((1, *x.shape), x.dtype) for name, x in spec.items()}
        resolved = configs.resolve(config, InMemory("imported", blank, spec))
        gan = configs.build(resolved)
        shapes = jax.eval_shape(functools.partial(core.init, gan), jax.random.key(0))
        made = {x: Translator(gan, spec, shapes, x) for x in gan.outputs}
        if next(iter(made.values())).given == sides[0]:
            break
    return resolved, gan, {x: found.networks for x, found in made.items()}


def _given(gan, uses, read):
    """The GAN that starts from {path: File}, and what is said of it."""
    used = [*dict.fromkeys(name for found in uses.values() for name in found)]
    if len(read) > len(used):
        raise ValueError(
            f"{len(read)} files, but the outputs use only {', '.join(used)}"
        )
    nets, said = dict(gan.nets), []
    shapes = jax.eval_shape(functools.partial(core.init, gan), jax.random.key(0))
    for name, (path, file) in zip(used, read.items(), strict=False):
        variables = jax.tree.map(lambda x: np.asarray(x, np.float32), file.variables)
        wanted = {"params": shapes.params[name], **shapes.stats[name]}
        _check_shapes(path, variables, wanted)
        nets[name] = dataclasses.replace(nets[name], given=variables)
        n = sum(x.size for x in jax.tree.leaves(variables["params"]))
        outputs = ", ".join(x for x, found in uses.items() if found == [name])
        said.append(f"{name}: {n:,} parameters, {_spelled(file)}; output {outputs}")
    untrained = used[len(read) :]
    if untrained:
        said.append(f"untrained: {', '.join(untrained)}")
    return dataclasses.replace(gan, nets=nets), said


def _check_shapes(path, new, old):
    found, wanted = (
        {jax.tree_util.keystr(k): x.shape for k, x in jax.tree.leaves_with_path(tree)}
        for tree in (new, old)
    )
    wrong = sorted(k for k in {*found, *wanted} if found.get(k) != wanted.get(k))
    if wrong:
        raise ValueError(
            f"{path}: {len(wrong)} arrays do not fit the network, the first is "
            f"{wrong[0]}: {found.get(wrong[0])}, wanted {wanted.get(wrong[0])}"
        )


def _spelled(file):
    options = ", ".join(f"{name}={value!r}" for name, value in file.options.items())
    return f"{file.network} ({options})"
