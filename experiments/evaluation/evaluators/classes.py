"""Classes that are generated at all, as a classifier of the data sees the samples."""

from __future__ import annotations

from experiments.evaluation.features import Features
from experiments.evaluation.scores import Score, Values
from gans.metrics.scores import classes


def measure(real: Features, fake: Features, seed: int, confidence: float) -> Values:
    """Returns how many classes there are, the divergence of their shares, and how many
    samples are read with confidence; of those with labels, as the one asked for."""
    n = real.n_classes
    found = classes.coverage(real.labels, fake.logits.argmax(axis=1), n)
    values = {name: {"value": value, "n_classes": n} for name, value in found.items()}
    read = classes.read(fake.logits, fake.labels, confidence)
    return values | {
        name: {"value": value, "confidence": confidence} for name, value in read.items()
    }


MEANING = {
    "classes": "How many of the data's classes are generated at all.",
    "classes_tenth": (
        "How many classes are generated at least a tenth as often as in the data."
    ),
    "kl": "How unlike the data's the shares of the classes are, in nats; 0 is equal.",
    "confident": "The share of samples that the classifier is sure of, 90 % or more.",
    "as_asked": (
        "The share of samples that the classifier is sure to be of the class that was "
        "asked for."
    ),
}
SCORE = Score(
    "classes",
    measure,
    better={
        "classes": "higher",
        "classes_tenth": "higher",
        "kl": "lower",
        "confident": "higher",
        "as_asked": "higher",
    },
    options={"confidence": 0.9},
    logits="own",
    labels=("real",),
)
make = SCORE.make
