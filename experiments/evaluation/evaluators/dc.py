"""Density and coverage, arXiv 2002.09797."""

from experiments.evaluation.scores import Score, with_errors

SCORE = Score(
    "dc",
    with_errors,
    better={"density": "higher", "coverage": "higher"},
    least=(6, 1),
    options={"k": 5},
    distances="density_coverage",
)
make = SCORE.make
