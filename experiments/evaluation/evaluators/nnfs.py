"""Nearest-neighbour figures of samples; see `gans.metrics.scores.neighbours`."""

from experiments.evaluation.scores import Score, with_errors

SCORE = Score(
    "nnfs",
    with_errors,
    better={"annd_rg": "lower", "pas": "lower"},
    least=(6, 1),
    distances="nnfs",
)
make = SCORE.make
