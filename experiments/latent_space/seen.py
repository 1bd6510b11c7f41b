"""What a network says of the images of codes, by which codes are chosen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from tqdm import tqdm

from experiments.evaluation import extractors
from experiments.latent_space.generator import BATCH
from gans.data.kinds.image import encode


def logits(
    images: Callable[[np.ndarray], np.ndarray],
    codes: np.ndarray,
    name: str,
    *,
    shape: tuple[int, int, int],
    config: Any,
) -> np.ndarray:
    """Returns the logits [N, K] of the images of codes [N, ...].

    Args:
      images: codes -> images [n, *shape], in [-1, 1].
      name: the network, see `extractors.find`; a classifier learns the data of the
        run's config.

    Raises ValueError for a network that has none, or does not see such images.
    """
    extractors.check(name, shape)
    trained_on = {
        "name": config.data,
        "resolution": shape[0],
        "channels": shape[2],
        "data_dir": config.data_dir,
    }
    network = extractors.find(name, trained_on=trained_on)()
    apply, found = jax.jit(network.apply), []
    # disable=None: at a terminal only
    for start in tqdm(range(0, len(codes), BATCH), unit=" batches", disable=None):
        rows = np.minimum(np.arange(start, start + BATCH), len(codes) - 1)
        made = apply(network.variables, encode(images(codes[rows])))
        if "logits" not in made:
            raise ValueError(f"--extractor={name} gives no logits, only features")
        found.append(np.asarray(made["logits"]))
    return np.concatenate(found)[: len(codes)]
