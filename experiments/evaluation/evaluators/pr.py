"""Improved precision and recall, arXiv 1904.06991."""

from experiments.evaluation.scores import Score, with_errors

MEANING = {
    "precision": (
        "The share of samples that lie among real images: quality, from 0 to 1."
    ),
    "recall": (
        "The share of real images that lie among the samples: variety, from 0 to 1."
    ),
}
SCORE = Score(
    "pr",
    with_errors,
    better={"precision": "higher", "recall": "higher"},
    least=lambda options: (options["k"] + 1, options["k"] + 1),
    options={"k": 3},
    distances="precision_recall",
)
make = SCORE.make
