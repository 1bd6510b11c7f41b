"""Mean over the classes of the Frechet distance within each, arXiv 1802.05637.

As in the paper, a model is asked for equally many samples of each class. Classes of
which there are fewer than two real images have no distance, and are left out.
"""

from __future__ import annotations

import numpy as np

from experiments.evaluation.features import Features
from experiments.evaluation.scores import Score, Values
from gans.metrics.scores import classes


def measure(real: Features, fake: Features, seed: int) -> Values:
    """Returns the mean; the classes of samples are those that were asked for."""
    enough = np.bincount(real.labels, minlength=fake.n_classes) >= 2
    sides = [
        (side.features[kept], side.labels[kept])
        for side in (real, fake)
        for kept in [enough[side.labels]]
    ]
    value = classes.intra_frechet(*sides[0], *sides[1])
    return {"intra_fid": {"value": value, "n_classes": int(enough.sum())}}


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
    frechet=True,
    equal_classes=True,
)
make = SCORE.make
