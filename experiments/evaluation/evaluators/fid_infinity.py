"""Frechet distance extrapolated to infinitely many samples, arXiv 1911.07023."""

from __future__ import annotations

from experiments.evaluation.features import Features
from experiments.evaluation.scores import Score, Values, gaussian
from gans.metrics.scores import frechet


def measure(real: Features, fake: Features, seed: int) -> Values:
    """Returns the limit and the slope over 1 / n."""
    found = frechet.infinity(fake.features, gaussian(real), seed=seed)
    return {"fid_infinity": {"value": found["infinity"], "slope": found["slope"]}}


MEANING = {
    "fid_infinity": (
        "The Frechet distance that infinitely many samples would have, so without "
        "its bias of few samples; 0 is equal."
    ),
}
SCORE = Score(
    "fid_infinity",
    measure,
    better={"fid_infinity": "lower"},
    least=(2, 20),
    frechet=True,
)
make = SCORE.make
