"""Structural similarity of outputs and the real images of their rows."""

from __future__ import annotations

from experiments.evaluation.pairs import of_part
from gans.metrics.scores import fidelity

MEANING = {
    "ssim": (
        "How alike the local structure of output and real image is: 1 is equal, 0 "
        "nothing in common."
    ),
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
    """Returns the evaluator.

    crop, luma: see `experiments.evaluation.pairs.of_part`. Raises ValueError for
    outputs without real counterparts, and for images smaller than the window.
    """
    pairs, part = setting.of_pairs("ssim", output), {"crop": crop, "luma": luma}
    least = fidelity.WINDOW
    pairs.want("ssim", of_part(pairs, "ssim", fidelity.ssim, least=least, **part))
    known = {"window": "Gaussian 11x11, sigma 1.5, inside the image", **part}
    return lambda state: {"ssim": pairs.result(state, "ssim", "higher", **known)}
