"""Distances of images that a projection makes small, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import Array

from experiments.evaluation import extractors
from experiments.evaluation.distances import embedding
from gans import names
from gans.metrics.features.resize import at_most

L2 = "l2"
NAMES = (L2, *extractors.LPIPS)
MOST = 256  # pixels: what larger images are shrunk to


class Distance(NamedTuple):
    """A squared distance of embeddings.

    Attributes:
      name: with which a number is reported.
      embed: (variables, images [B, H, W, C] in [-1, 1]) -> [B, D].
      variables: of the network.
    """

    name: str
    embed: Callable[[Any, Array], Array]
    variables: Any


def find(
    name: str, shape: tuple[int, int, int], weights: Mapping[str, str | None]
) -> Distance:
    """Returns a distance of images of a shape [H, W, C].

    Args:
      name: "l2", the mean squared difference of pixels in [-1, 1]; "lpips_vgg" and so
        on, LPIPS; or the path of an extractor of your own, of which it is the squared
        distance of features of unit length. Images are first shrunk to at most 256
        pixels.
      weights: see `extractors.find`.

    Raises ValueError for an unknown one, and one that does not see such images;
    FileNotFoundError where its weights are missing.
    """
    names.check(name, NAMES, "--distance", own=True)
    if name == L2:
        return Distance(L2, _pixels, {})
    side = min(shape[0], MOST)
    extractors.check(name, (side, side, shape[2]), floats=True)
    try:
        extractor = extractors.find(name, weights=dict(weights))()
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"--distance={name}: {error}; --distance=l2 compares pixels, without any"
        ) from None

    embed = embedding(extractor)

    def shrunk(variables, images):
        return embed(variables, at_most(images, MOST))

    return Distance(extractor.name, shrunk, extractor.variables)


def _pixels(variables, images):
    del variables
    flat = at_most(images, MOST).reshape(len(images), -1)
    return flat / jnp.sqrt(flat.shape[1])
