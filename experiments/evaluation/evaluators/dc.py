"""Density and coverage, arXiv 2002.09797."""

from experiments.evaluation.scores import Score, with_errors

MEANING = {
    "density": (
        "How densely real images lie around the samples: about 1 for samples as "
        "typical as real ones."
    ),
    "coverage": (
        "The share of real images that have a sample nearby: 1 where nothing is "
        "left out."
    ),
}
SCORE = Score(
    "dc",
    with_errors,
    better={"density": "higher", "coverage": "higher"},
    least=lambda options: (options["k"] + 1, 1),
    options={"k": 5},
    distances="density_coverage",
)
make = SCORE.make
