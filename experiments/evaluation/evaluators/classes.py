"""Classes that are generated at all, as a classifier of the data sees the samples."""

from __future__ import annotations

from experiments.evaluation.features import Features
from experiments.evaluation.scores import Score, Values
from gans.metrics.scores import classes


def measure(real: Features, fake: Features, seed: int) -> Values:
    """Returns how many classes there are, and the divergence of their shares."""
    n = real.n_classes
    guesses = fake.logits.argmax(axis=1)
    found = classes.coverage(real.labels, guesses, n)
    return {name: {"value": value, "n_classes": n} for name, value in found.items()}


MEANING = {
    "classes": "How many of the data's classes are generated at all.",
    "classes_tenth": (
        "How many classes are generated at least a tenth as often as in the data."
    ),
    "kl": "How unlike the data's the shares of the classes are, in nats; 0 is equal.",
}
SCORE = Score(
    "classes",
    measure,
    better={"classes": "higher", "classes_tenth": "higher", "kl": "lower"},
    logits="own",
    labels=("real",),
)
make = SCORE.make
