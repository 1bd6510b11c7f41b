"""Kernel distance of features, arXiv 1801.01401; KID by Inception's."""

from __future__ import annotations

from experiments.evaluation.features import Features
from experiments.evaluation.scores import Score, Values
from gans.metrics.scores import kernel


def measure(
    real: Features, fake: Features, seed: int, *, n_subsets: int, subset: int
) -> Values:
    """Returns the mean over subsets of at most `subset` images, and their spread."""
    size = min(subset, len(real), len(fake))
    found = kernel.distance(real.features, fake.features, n_subsets, size, seed=seed)
    value = {"value": found["mean"], "std_over_subsets": found["std"]}
    return {"kid": value | {"subset_size": size, "n_subsets": n_subsets}}


MEANING = {
    "kid": (
        "A distance between the features of samples and of real images whose mean "
        "does not depend on how many there are; 0 is equal."
    ),
}
SCORE = Score(
    "kid",
    measure,
    better={"kid": "lower"},
    least=(2, 2),
    options={"n_subsets": 100, "subset": 1000},
    unbiased=True,
)
make = SCORE.make
