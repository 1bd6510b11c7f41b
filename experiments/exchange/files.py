"""What a file of weights holds: .pth, .pt and .bin, .pkl, .npz, .safetensors."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors

from experiments.exchange import modules
from experiments.exchange.modules import Network
from gans import names
from gans.metrics.features import pth

CONFIG, STEP = "config", "step"  # in the metadata of .safetensors: of the run


@dataclasses.dataclass(frozen=True)
class File:
    """The content of a file of weights.

    Attributes:
      networks: by the names that the file gives them: "G", "D", "G_ema"; "" of a single
        state dict.
      config, step: of the run that it was exported from, as JSON; None: another's file.
      skipped: names of the rest.
    """

    networks: Mapping[str, Network]
    config: str | None = None
    step: int = 0
    skipped: tuple[str, ...] = ()


def read(path: str | os.PathLike) -> File:
    """Returns what a file holds. Nothing in it is run.

    Names of arrays up to the first "/" are those of networks. Raises ValueError, with
    the path, for a file that is damaged, of no known kind, or without weights.
    """
    kind = Path(path).suffix.lower()
    found = _READERS[names.check(kind, _READERS, f"{path}: the kind of file")](path)
    if not found.networks:
        skipped = ", ".join(found.skipped[:5]) or "nothing"
        raise ValueError(f"{path}: no arrays of a network in it, only {skipped}")
    return found


def _pickled(path):
    """A state dict, or objects of networks by their names."""
    content = pth.load(path, modules.KNOWN)
    if isinstance(content, modules.Object):
        content = {"": content}
    if not isinstance(content, dict):
        wanted = "a state dict, or a dict of networks"
        raise ValueError(f"{path}: holds a {type(content).__name__}, not {wanted}")
    arrays = {k: x for k, x in content.items() if isinstance(x, np.ndarray)}
    objects = {k: x for k, x in content.items() if isinstance(x, modules.Object)}
    found = _grouped(arrays)
    for name, thing in objects.items():
        try:
            network = modules.network(thing)
        except ValueError as error:
            raise ValueError(f"{path}: {name}: {error}") from None
        if network.state:
            found[name] = network
    rest = [str(k) for k in content if k not in arrays and k not in found]
    return File(found, skipped=tuple(rest))


def _npz(path):
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (ValueError, OSError, EOFError) as error:
        if isinstance(error, OSError) and error.errno:
            raise
        raise ValueError(f"{path}: not a readable .npz file: {error}") from None
    numbers = {name: x for name, x in arrays.items() if x.dtype.kind in "fiub"}
    rest = tuple(name for name in arrays if name not in numbers)
    return File(_grouped(numbers), skipped=rest)


def _safetensors(path):
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            arrays = {name: file.get_tensor(name) for name in file.keys()}
            metadata = file.metadata() or {}
    except safetensors.SafetensorError as error:
        text = f"{path}: not a readable .safetensors file: {error}"
        raise ValueError(text) from None
    return File(_grouped(arrays), metadata.get(CONFIG), int(metadata.get(STEP, 0)))


def _grouped(arrays: Mapping[str, np.ndarray]) -> dict[str, Network]:
    """{network: its arrays}, by what is before the first "/" of their names."""
    states: dict[str, dict[str, np.ndarray]] = {}
    for name, x in arrays.items():
        network, slash, rest = name.partition("/")
        own = states.setdefault(network if slash else "", {})
        own[rest if slash else name] = x
    return {name: Network(state) for name, state in states.items()}


_READERS: dict[str, Callable[[Any], File]] = {
    ".pth": _pickled,
    ".pt": _pickled,
    ".bin": _pickled,  # as `transformers` calls it
    ".pkl": _pickled,
    ".npz": _npz,
    ".safetensors": _safetensors,
}
