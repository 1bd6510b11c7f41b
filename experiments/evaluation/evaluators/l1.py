"""Mean absolute difference of outputs from the real images of their rows."""

from __future__ import annotations

from experiments.evaluation.pairs import in_float64
from gans.metrics.scores import fidelity

LEVELS = 127.5  # of 255, in a unit of [-1, 1]
MEANING = {
    "l1": (
        "How far a pixel is from the real one, on average, where black is -1 and white "
        "1: 0.1 is 12.75 of 255 levels; 0 is equal. Blurred images do well."
    ),
}


def make(gan, spec, source, *, setting, output: str = "sample"):
    """Returns the evaluator; ValueError for outputs without real counterparts."""
    pairs = setting.of_pairs("l1", output)
    pairs.want("l1", in_float64(lambda x, y: fidelity.l1(x, y) / LEVELS))
    return lambda state: {"l1": pairs.result(state, "l1", "lower", unit="of [-1, 1]")}
