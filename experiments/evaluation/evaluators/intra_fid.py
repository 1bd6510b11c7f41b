"""Mean over the classes of the Frechet distance within each, arXiv 1802.05637."""

from __future__ import annotations

from experiments.evaluation.features import Features
from experiments.evaluation.scores import Score, Values
from gans.metrics.scores import classes


def measure(real: Features, fake: Features, seed: int) -> Values:
    """Returns the mean; the classes of samples are those that were asked for."""
    value = classes.intra_frechet(
        real.features, real.labels, fake.features, fake.labels
    )
    return {"intra_fid": {"value": value}}


MEANING = {
    "intra_fid": (
        "The mean Frechet distance within each class: whether each class by itself "
        "looks like its real images; 0 is equal."
    ),
}
SCORE = Score(
    "intra_fid",
    measure,
    better={"intra_fid": "lower"},
    labels=("real", "generated"),
)
make = SCORE.make
