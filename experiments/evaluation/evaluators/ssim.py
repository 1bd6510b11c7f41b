"""Structural similarity of outputs and the real images of their rows."""

from __future__ import annotations

from experiments.evaluation.pairs import of_part
from gans.metrics.scores import fidelity

MEANING = {
    "ssim": (
        "How alike the local structure of output and real image is: 1 is equal, 0 "
        "nothing in common."
    ),
    "ssim_y": "The same of the luma Y alone, as papers of super-resolution have it.",
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
    """Returns the evaluator of "ssim", or "ssim_y" of luma alone.

    crop, luma: see `experiments.evaluation.pairs.of_part`. Raises ValueError for
    outputs without real counterparts, and for images smaller than the window.
    """
    pairs, part = setting.of_pairs("ssim", output), {"crop": crop, "luma": luma}
    least = fidelity.WINDOW
    name = "ssim_y" if luma else "ssim"
    pairs.want(name, of_part(pairs, "ssim", fidelity.ssim, least=least, **part))
    known = {"window": "Gaussian 11x11, sigma 1.5, inside the image", **part}
    return lambda state: {name: pairs.result(state, name, "higher", **known)}
