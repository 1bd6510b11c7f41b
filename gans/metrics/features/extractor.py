"""What turns images into features: the one interface of every feature-based score."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from jax import Array

Apply = Callable[[Any, Array], dict[str, Array]]


@dataclasses.dataclass(frozen=True, eq=False)
class Extractor:
    """A network with its weights, and a description of all that its numbers depend on.

    `apply(variables, images)` is pure and jittable: images uint8 [B, H, W, C], C = 1 or
    3, of one size; it returns "features" [B, D] and, where the network classifies,
    "logits" [B, K], in float32. `protocol` is JSON: weights' sha256, resize, scale ...
    """

    name: str
    apply: Apply
    variables: Any
    protocol: dict[str, Any]


def to_rgb(images: Array) -> Array:
    """Images [B, H, W, 1 or 3] as [B, H, W, 3]: grey is repeated."""
    return jnp.repeat(images, 3, axis=-1) if images.shape[-1] == 1 else images
