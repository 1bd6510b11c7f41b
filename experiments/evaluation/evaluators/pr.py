"""Improved precision and recall, arXiv 1904.06991."""

from experiments.evaluation.scores import Score, with_errors

SCORE = Score(
    "pr",
    with_errors,
    better={"precision": "higher", "recall": "higher"},
    least=(4, 4),
    options={"k": 3},
    distances="precision_recall",
)
make = SCORE.make
