"""CLIP's image towers ViT-B/32 and ViT-L/14 as feature extractors: arXiv 2103.00020.

Features are the image embedding, after the projection, not of unit length: what
`encode_image` returns. arXiv 2306.04675 takes the class token before the projection, so
its numbers are others. A Frechet distance of them is not FID, nor may it be called so.

Pictures are prepared as by CLIP's authors: the shorter side becomes 224 (bicubic,
antialiased), the middle is cut out, then their own mean and deviation. Theirs rounds to
levels of 8 bits after resizing rows and again after columns; this does not.

The authors' own .pt files are programs (TorchScript), and no program of a file is run;
their weights as `transformers` or open_clip keep them are read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax import Array

from gans.metrics.features import vit
from gans.metrics.features.extractor import Extractor, to_rgb
from gans.metrics.features.resize import resize

SIZE = 224
MEAN = (0.48145466, 0.4578275, 0.40821073)
STD = (0.26862954, 0.26130258, 0.27577711)


def quick_gelu(x: Array) -> Array:
    """x sigmoid(1.702 x) [...], in place of the exact GELU, which CLIP never saw."""
    return x * nn.sigmoid(1.702 * x)


def net(patch: int, width: int, depth: int, projection: int) -> vit.Vit:
    """Returns a network of CLIP's kind, for 224x224 pixels; heads are 64 wide."""
    return vit.Vit(
        patch=patch,
        grid=SIZE // patch,
        width=width,
        depth=depth,
        heads=width // 64,
        epsilon=1e-5,
        activation=quick_gelu,
        patch_bias=False,
        norm_pre=True,
        projection=projection,
    )


NETS = {"clip_vitb32": net(32, 768, 12, 512), "clip_vitl14": net(14, 1024, 24, 768)}
# Names in the authors' state dicts, then in those of `transformers`.
NAMES = {
    "visual.class_embedding": "cls",
    "visual.positional_embedding": "position",
    "visual.conv1": "patch",
    "visual.ln_pre": "norm_pre",
    "visual.transformer.resblocks.N.ln_1": "block_N/norm1",
    "visual.transformer.resblocks.N.attn.in_proj": "block_N/qkv",
    "visual.transformer.resblocks.N.attn.out_proj": "block_N/out",
    "visual.transformer.resblocks.N.ln_2": "block_N/norm2",
    "visual.transformer.resblocks.N.mlp.c_fc": "block_N/fc1",
    "visual.transformer.resblocks.N.mlp.c_proj": "block_N/fc2",
    "visual.ln_post": "norm",
    "visual.proj": "projection",
    "vision_model.embeddings.class_embedding": "cls",
    "vision_model.embeddings.position_embedding": "position",
    "vision_model.embeddings.patch_embedding": "patch",
    "vision_model.pre_layrnorm": "norm_pre",  # their spelling
    "vision_model.encoder.layers.N.layer_norm1": "block_N/norm1",
    "vision_model.encoder.layers.N.self_attn.q_proj": "block_N/query",
    "vision_model.encoder.layers.N.self_attn.k_proj": "block_N/key",
    "vision_model.encoder.layers.N.self_attn.v_proj": "block_N/value",
    "vision_model.encoder.layers.N.self_attn.out_proj": "block_N/out",
    "vision_model.encoder.layers.N.layer_norm2": "block_N/norm2",
    "vision_model.encoder.layers.N.mlp.fc1": "block_N/fc1",
    "vision_model.encoder.layers.N.mlp.fc2": "block_N/fc2",
    "vision_model.post_layernorm": "norm",
    "visual_projection": "projection",
}
_TOWER = ("visual.", "vision_model.", "visual_projection.")  # the rest is of the text
_NUMBERS = "vision_model.embeddings.position_ids"  # 0, 1, 2, ... of older files


def from_state(
    state: Mapping[str, np.ndarray], network: vit.Vit, where: str
) -> dict[str, Any]:
    """Returns the variables of `vit.Encoder(network)` from arrays [...] of a file.

    They are named as by the authors or as by `transformers`; those of the text are left
    out. Raises ValueError, with `where`, as `vit.from_state` does.
    """
    kept = {
        name.replace(".in_proj_", ".in_proj."): x
        for name, x in state.items()
        if name.startswith(_TOWER) and name != _NUMBERS
    }
    if "visual.proj" in kept:  # [D, E], which others store as [E, D]
        kept["visual.proj.weight"] = kept.pop("visual.proj").T
    return vit.from_state(network, kept, NAMES, where)


def preprocess(images: Array) -> Array:
    """Images in 0 .. 255 [B, H, W, 1 or 3] -> normalised [B, 224, 224, 3]."""
    x = to_rgb(images).astype(jnp.float32)
    height, width = x.shape[1:3]
    # The longer side is rounded down, the cut to the nearest, halves to even.
    sides = [SIZE * n // min(height, width) for n in (height, width)]
    top, left = (round((n - SIZE) / 2) for n in sides)
    x = resize(x, *sides, "clean")[:, top : top + SIZE, left : left + SIZE]
    return (x / 255 - jnp.array(MEAN)) / jnp.array(STD)


def make(name: str, variables: Any, *, sha256: str) -> Extractor:
    """Returns the extractor: "features" [B, 512] or [B, 768].

    name: one of NETS. variables: of `from_state`; sha256: of the file of weights.
    """
    protocol = {
        "weights": sha256,
        "resize": f"shorter side {SIZE} clean, middle {SIZE}x{SIZE}",
        "scale": "(x/255-mean)/std of CLIP",
        "features": f"{NETS[name].projection}: image embedding, projected",
    }
    return vit.extractor(name, NETS[name], preprocess, variables, protocol)
