"""Inception score, arXiv 1606.03498, of an extractor that classifies."""

from __future__ import annotations

from experiments.evaluation.features import Features
from experiments.evaluation.scores import Score, Values
from gans.metrics.scores import inception_score


def measure(real: Features, fake: Features, seed: int, *, n_splits: int) -> Values:
    """Returns the mean over splits of the samples, and their spread."""
    found = inception_score.score(fake.logits, n_splits, seed=seed)
    value = {"value": found["mean"], "std_over_splits": found["std"]}
    return {"is": value | {"n_splits": n_splits}}


MEANING = {
    "is": (
        "Whether each sample is clearly of one class and all classes occur: from 1 "
        "to the number of classes. It sees no real images."
    ),
}
SCORE = Score(
    "is",
    measure,
    better={"is": "higher"},
    least=lambda options: (1, options["n_splits"]),
    options={"n_splits": 10},
    logits=True,
)
make = SCORE.make
