"""Peak signal to noise ratio of outputs and the real images of their rows."""

from __future__ import annotations

import numpy as np

from experiments.evaluation.pairs import mean, of_part
from gans.metrics.scores import fidelity

MEANING = {
    "psnr": (
        "How small the squared difference from the real image is, in decibels: 20 is "
        "far off, 40 hardly to be seen. Blurred images do well."
    ),
    "psnr_y": "The same of the luma Y alone, as papers of super-resolution have it.",
}


def make(
    gan,
    spec,
    source,
    *,
    setting,
    output: str = "sample",
    crop: int = 0,
    luma: bool = False,
):
    """Returns the evaluator of "psnr", or "psnr_y" of luma alone.

    crop, luma: see `experiments.evaluation.pairs.of_part`. Raises ValueError for
    outputs without real counterparts.
    """
    pairs, part = setting.of_pairs("psnr", output), {"crop": crop, "luma": luma}
    name = "psnr_y" if luma else "psnr"
    pairs.want(name, of_part(pairs, "psnr", fidelity.psnr, least=1, **part))

    def evaluate(state):
        values, protocol = pairs.values(state, name), {**pairs.protocol, **part}
        finite = values[np.isfinite(values)]
        if 0 < len(finite) < len(values):  # one equal pair would make it infinite
            protocol["equal_pairs_left_out"] = len(values) - len(finite)
            values = finite
        return {name: mean(values, "higher", protocol)}

    return evaluate
