"""Frechet distance of features, arXiv 1706.08500; FID by Inception's."""

from __future__ import annotations

from experiments.evaluation.features import Features
from experiments.evaluation.scores import Score, Values, gaussian
from experiments.evaluation.statistics import Statistics
from gans.metrics.scores import frechet


def measure(
    real: Features | Statistics, fake: Features | Statistics, seed: int
) -> Values:
    """Returns the distance; of features also its standard error, by a bootstrap."""
    if isinstance(fake, Statistics):
        distance = frechet.distance(gaussian(real), gaussian(fake))
        return {"fid": {"value": distance}}
    reference = gaussian(real)
    if isinstance(real, Features):
        distance = frechet.distance_of_features(real.features, fake.features)
    else:
        distance = frechet.distance(reference, gaussian(fake))
    error = frechet.standard_error(fake.features, reference, seed=seed)
    return {"fid": {"value": distance, "standard_error": error}}


MEANING = {
    "fid": (
        "How far the statistics of samples' features are from those of real "
        "images: quality and variety in one number; 0 is equal."
    ),
}
SCORE = Score(
    "fid", measure, better={"fid": "lower"}, least=(2, 2), frechet=True, statistics=True
)
make = SCORE.make
