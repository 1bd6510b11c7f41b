"""Perceptual distances of images, by an extractor's features."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from gans.metrics.features.extractor import Extractor


def embedding(extractor: Extractor) -> Callable[[Any, Array], Array]:
    """Returns e(variables, images [B, H, W, C]) -> [B, D], whose distance is used.

    Images are uint8, or floats in [-1, 1], which the extractor must accept, see
    `extractors.check`. `|e(x) - e(y)|^2` is LPIPS of the extractors of that name, for
    others that of features of unit length; both are quadratic in small differences.
    """
    is_lpips = _is_lpips(extractor)

    def embed(variables, images):
        if images.dtype != jnp.uint8:
            images = (images + 1) * 127.5
        h = extractor.apply(variables, images)["features"]
        return h if is_lpips else h / jnp.linalg.norm(h, axis=-1, keepdims=True)

    return embed


def distance(extractor: Extractor) -> tuple[Callable[[Array, Array], Array], str]:
    """Returns d(x, y) of images [B, H, W, C] -> [B], see `embedding`; and its name."""
    embed = embedding(extractor)

    @jax.jit
    def squared(variables, x, y):
        return jnp.sum((embed(variables, x) - embed(variables, y)) ** 2, axis=-1)

    own = "|f(x)/|f(x)| - f(y)/|f(y)||^2 of features f"
    protocol = "LPIPS" if _is_lpips(extractor) else own
    return functools.partial(squared, extractor.variables), protocol


def _is_lpips(extractor):
    return extractor.name.startswith("lpips")
