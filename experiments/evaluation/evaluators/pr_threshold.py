"""Precision and recall with one distance for all images, that of `nnfs`."""

from __future__ import annotations

from typing import Any

from experiments.evaluation.scores import Score, Values, with_errors


def measure(found: dict[str, float], options: dict[str, Any]) -> Values:
    """Returns both, with the distance `delta` in the units of the features."""
    options = {"delta": found.pop("delta")}
    found = {
        f"{name.removesuffix('_se')}_threshold{'_se' * name.endswith('_se')}": value
        for name, value in found.items()
    }
    return with_errors(found, options)


MEANING = {
    "precision_threshold": (
        "The share of samples within a fixed distance of a real image: quality, "
        "from 0 to 1."
    ),
    "recall_threshold": (
        "The share of real images within a fixed distance of a sample: variety, "
        "from 0 to 1."
    ),
}
SCORE = Score(
    "pr_threshold",
    measure,
    better={"precision_threshold": "higher", "recall_threshold": "higher"},
    least=(6, 1),
    distances="threshold_precision_recall",
)
make = SCORE.make
