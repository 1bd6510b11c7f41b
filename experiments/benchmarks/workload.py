"""What a benchmark trains on: one batch, as the data sets of a config store it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gans.data import pipeline
from gans.data.spec import Field


def example(config) -> tuple[pipeline.Batch, Callable]:
    """Returns (batch, prepare) of a resolved config, without its data.

    The batch is {"image": uint8 [B, H, W, C], "label": [B]}, with "flip/0" [B] where
    the config asks for flips, or {"point": [B, 2]}; `prepare` decodes it on the device.
    """
    random, n = np.random.default_rng(0), config.batch_size
    if len(config.shape) == 1:
        spec = {"point": Field("point", config.shape, "float32")}
        point = random.uniform(-1, 1, (n, *config.shape)).astype(np.float32)
        return {"point": point}, pipeline.prepare(spec, [["point"]])
    spec = {
        "image": Field("image", config.shape, "uint8"),
        "label": Field("label", (), "int32", config.n_classes),
    }
    batch = {
        "image": random.integers(0, 256, (n, *config.shape), np.uint8),
        "label": random.integers(0, config.n_classes, n, dtype=np.int32),
    }
    if config.flip:
        batch["flip/0"] = random.random(n) < 0.5
    return batch, pipeline.prepare(spec, [["image", "label"]])
