"""Does a model repeat its training images? Each sample's nearest one, by features."""

from __future__ import annotations

import functools
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from experiments import origin
from experiments.evaluation import scores
from experiments.evaluation.features import Data, Features
from experiments.files import replacing
from experiments.sampling import pictures
from gans.data import kinds
from gans.metrics.scores import neighbours

CLOSEST = 0.01  # of the held-out images
N_PAIRS, COLUMNS = 16, 8  # of the picture


@functools.lru_cache(1)  # a run's data are the same at each of its evaluations
def reference(data: Data) -> tuple[np.ndarray, str]:
    """Returns the distance of each held-out image from its nearest training image, and
    a description of the held-out images.

    They are the test images; without any, each training image, among the others, copies
    counted once.

    Raises ValueError if all distances are 0, which gives no scale.
    """
    with _bar("held-out images"):
        if data.test is None:
            features = data.real.features
            if data.real.n_repeated:
                features = np.unique(features, axis=0)
            if len(features) < 2:
                raise ValueError("memorisation: all training images are the same")
            distances = neighbours.radii(features, 1)
            of = "training images, among the others"
        else:
            test, real = data.test.features, data.real.features
            distances, _ = neighbours.nearest(test, real)
            of = "test images"
    if not distances.any():
        raise ValueError(f"memorisation: each of the {of} is a training image too")
    return distances, of


def measure(data: Data, fake: Features) -> tuple[scores.Values, np.ndarray, np.ndarray]:
    """Returns what `scores.compute` does, and the samples' distances and neighbours.

    "memorisation_distance" is the mean distance of samples from the nearest training
    image, "memorisation_ratio" that over the mean of real ones; "memorisation_share" is
    the share of samples at most as far from a training image as the nearest 1 % of real
    ones: 0.01 is what to expect, 1 of copies. Errors hold the real images fixed.
    """
    began = time.perf_counter()
    distances, of = reference(data)
    with _bar("samples"):
        found, nearest = neighbours.nearest(fake.features, data.real.features)
    scale, threshold = distances.mean(), np.quantile(distances, CLOSEST)
    protocol = {"reference": of, "n_reference": len(distances)}
    values = {
        "distance": (found, {"of_reference": float(scale)}, None),
        "ratio": (found / scale, {}, None),
        "share": (found <= threshold, {"threshold": float(threshold)}, "lower"),
    }
    seconds = time.perf_counter() - began
    results = {
        scores.named(f"memorisation_{name}", data.extractor.name): {
            "value": float(x.mean()),
            "standard_error": float(x.std() / np.sqrt(len(x))),
            **more,
            **protocol,
            "better": better,
            "seconds": seconds,
        }
        for name, (x, more, better) in values.items()
    }
    return results, found, nearest


def draw(
    path: Path,
    distances: np.ndarray,
    nearest: np.ndarray,
    samples: Callable[[np.ndarray], np.ndarray],
    training: Any,
    *,
    field: str = "image",
) -> None:
    """Draws the 16 samples closest to training images, each above its training image.

    Args:
      path: of the PNG; indices and distances, row by row, go to a .json of that name.
      distances, nearest: of all samples, see `measure`.
      samples: indices [K] -> [K, H, W, C] floats in [-1, 1].
      training: source of the training images, which are its `field`.
    """
    indices = np.argsort(distances, kind="stable")[:N_PAIRS]
    real = training.take(nearest[indices])[field]
    real = np.asarray(kinds.of(training.spec[field]).decode(real))
    shown = samples(indices), real
    k = len(indices)
    columns = COLUMNS if k % COLUMNS == 0 else k
    starts = range(0, k, columns)
    rows = [x[start : start + columns] for start in starts for x in shown]
    with origin.noted(source=origin.EDITED):  # beside real ones
        pictures.save_png(path, pictures.grid(np.concatenate(rows), columns))
    pairs = [
        {
            "sample": i,
            "training_image": int(nearest[i]),
            "distance": float(distances[i]),
        }
        for i in indices.tolist()
    ]
    with replacing(path.with_suffix(".json")) as temporary:
        Path(temporary).write_text(json.dumps({"pairs": pairs}, indent=2) + "\n")


def _bar(what):
    """Names what takes long; disable=None: at a terminal only."""
    return tqdm(desc=f"memorisation: {what}", total=1, disable=None, leave=False)
