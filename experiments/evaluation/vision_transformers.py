"""DINOv2 and CLIP by name, and the files of their weights."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType

from experiments.evaluation import pretrained
from experiments.exchange import files
from gans.metrics.features import clip, dinov2
from gans.metrics.features.extractor import Extractor

DINOV2 = pretrained.Weights(
    "dinov2",
    flag="--dinov2-weights",
    variable="GANS_DINOV2",
    file="dinov2.safetensors",
    what="the file of a ViT /14 without registers, such as dinov2_vitl14_pretrain.pth "
    "or model.safetensors of facebook/dinov2-large",
)
CLIP = pretrained.Weights(
    "clip",
    flag="--clip-weights",
    variable="GANS_CLIP",
    file="clip.safetensors",
    what="model.safetensors or pytorch_model.bin of openai/clip-vit-base-patch32 or "
    "-large-patch14, or a state dict of open_clip with OpenAI's weights",
)
_FAMILIES: tuple[tuple[ModuleType, pretrained.Weights], ...] = (
    (dinov2, DINOV2),
    (clip, CLIP),
)
NAMES = tuple(name for module, _ in _FAMILIES for name in module.NETS)


def find(name: str, weights: Mapping[str, str | None]) -> Callable[[], Extractor]:
    """Returns a function that returns the extractor, one of NAMES.

    weights: {"dinov2": path, "clip": path}. Raises FileNotFoundError where there are
    none.
    """
    module, known = next(x for x in _FAMILIES if name in x[0].NETS)
    path = pretrained.find(known, weights.get(known.name))
    return functools.partial(_load, name, module, path)


def _load(name: str, module: ModuleType, path: Path) -> Extractor:
    networks = files.read(path).networks
    if "" not in networks:
        raise ValueError(
            f"{path}: holds networks {', '.join(networks)}, not a state dict"
        )
    where = f"{name}, {path}"
    variables = module.from_state(networks[""].state, module.NETS[name], where)
    return module.make(name, variables, sha256=pretrained.checksum(path))
