"""Mean distance of samples from the nearest real image. Neither way is better.

It is 0 for copies and large for noise.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from experiments.evaluation.scores import Score, Values, with_errors


def measure(found: tuple[np.ndarray, np.ndarray], options: dict[str, Any]) -> Values:
    """Returns the mean of the distances and its standard error."""
    distances, _ = found
    error = float(distances.std() / np.sqrt(len(distances)))
    figures = {"nearest": float(distances.mean()), "nearest_se": error}
    return with_errors(figures, options)


MEANING = {
    "nearest": (
        "The mean distance of samples from the nearest real image: 0 for copies, "
        "large for noise."
    ),
}
SCORE = Score("nearest", measure, distances="nearest")
make = SCORE.make
