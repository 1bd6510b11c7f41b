"""Around the pure core: files, clocks, logs, devices. `load` opens a trained model."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from experiments.sampling.model import Model


def load(
    workdir: str | os.PathLike,
    checkpoint: str | int = "last",
    *,
    recalibrate: bool = False,
) -> Model:
    """Opens the model that a run has trained.

        model = experiments.load("runs/wgan_gp-digits")
        images = model.sample(64, seed=0)["image"]  # [64, 16, 16, 1] in [-1, 1]

    Args:
      workdir: folder of the run.
      checkpoint: "last", "best" (of its evaluations), or a step.
      recalibrate: recomputes the batch statistics of the averaged generator.

    Raises FileNotFoundError if there is no such run or no checkpoint, ValueError for
    another `checkpoint`, CheckpointError if it cannot be read.
    """
    from experiments.sampling.model import Model  # imports JAX

    return Model.load(workdir, checkpoint, recalibrate=recalibrate)
