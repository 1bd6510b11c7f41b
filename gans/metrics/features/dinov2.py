"""DINOv2's ViT-S, B and L /14 as feature extractors: arXiv 2304.07193.

Features are the class token after the last normalisation, as the score that made them
known takes them, arXiv 2306.04675: a Frechet distance of ViT-L/14's is its FD. It is
not FID, nor may it be called so. Models with registers are others.

Pictures are prepared as that paper's code does: all of the picture, whatever its shape,
becomes 224x224 (bicubic, antialiased), then ImageNet's mean and deviation. DINOv2's own
evaluation shortens the shorter side to 256 and cuts out 224x224 instead. Both round to
levels of 8 bits after resizing rows and again after columns; this does not.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax import Array

from gans.metrics.features import vit
from gans.metrics.features.content import MEAN, STD
from gans.metrics.features.extractor import Extractor, to_rgb
from gans.metrics.features.resize import resize

SIZE = 224


def net(width: int, depth: int, heads: int) -> vit.Vit:
    """Returns a network of DINOv2's kind; its positions are those of 518x518 pixels."""
    return vit.Vit(
        patch=14,
        grid=37,
        width=width,
        depth=depth,
        heads=heads,
        epsilon=1e-6,
        activation=functools.partial(nn.gelu, approximate=False),
        layer_scale=True,
        offset=0.1,
    )


NETS = {
    "dinov2_vits14": net(384, 12, 6),
    "dinov2_vitb14": net(768, 12, 12),
    "dinov2_vitl14": net(1024, 24, 16),
}
# Names in the authors' files, then in those of `transformers`.
NAMES = {
    "cls_token": "cls",
    "pos_embed": "position",
    "patch_embed.proj": "patch",
    "blocks.N.norm1": "block_N/norm1",
    "blocks.N.attn.qkv": "block_N/qkv",
    "blocks.N.attn.proj": "block_N/out",
    "blocks.N.ls1.gamma": "block_N/scale1",
    "blocks.N.norm2": "block_N/norm2",
    "blocks.N.mlp.fc1": "block_N/fc1",
    "blocks.N.mlp.fc2": "block_N/fc2",
    "blocks.N.ls2.gamma": "block_N/scale2",
    "norm": "norm",
    "embeddings.cls_token": "cls",
    "embeddings.position_embeddings": "position",
    "embeddings.patch_embeddings.projection": "patch",
    "encoder.layer.N.norm1": "block_N/norm1",
    "encoder.layer.N.attention.attention.query": "block_N/query",
    "encoder.layer.N.attention.attention.key": "block_N/key",
    "encoder.layer.N.attention.attention.value": "block_N/value",
    "encoder.layer.N.attention.output.dense": "block_N/out",
    "encoder.layer.N.layer_scale1.lambda1": "block_N/scale1",
    "encoder.layer.N.norm2": "block_N/norm2",
    "encoder.layer.N.mlp.fc1": "block_N/fc1",
    "encoder.layer.N.mlp.fc2": "block_N/fc2",
    "encoder.layer.N.layer_scale2.lambda1": "block_N/scale2",
    "layernorm": "norm",
}
_TRAINING = ("mask_token", "embeddings.mask_token")  # used in training alone


def from_state(
    state: Mapping[str, np.ndarray], network: vit.Vit, where: str
) -> dict[str, Any]:
    """Returns the variables of `vit.Encoder(network)` from arrays [...] of a file.

    They are named as by the authors or as by `transformers`. Raises ValueError, with
    `where`, as `vit.from_state` does.
    """
    kept = {name: x for name, x in state.items() if name not in _TRAINING}
    return vit.from_state(network, kept, NAMES, where)


def preprocess(images: Array) -> Array:
    """Images in 0 .. 255 [B, H, W, 1 or 3] -> normalised [B, 224, 224, 3]."""
    x = resize(to_rgb(images).astype(jnp.float32), SIZE, SIZE, "clean") / 255
    return (x - jnp.array(MEAN)) / jnp.array(STD)


def make(name: str, variables: Any, *, sha256: str) -> Extractor:
    """Returns the extractor: "features" [B, 384], [B, 768] or [B, 1024].

    name: one of NETS. variables: of `from_state`; sha256: of the file of weights.
    """
    protocol = {
        "weights": sha256,
        "resize": f"{SIZE}x{SIZE} clean, not cropped",
        "scale": "(x/255-mean)/std of ImageNet",
        "features": f"{NETS[name].width}: class token, normalised by the last layer",
    }
    return vit.extractor(name, NETS[name], preprocess, variables, protocol)
