"""EQ-T, arXiv 2106.12423, of generators whose input can be moved."""

from __future__ import annotations

from experiments.evaluation import equivariance

MEANING = {
    "eq_t": (
        "How exactly images move with the generator's input, by whole pixels, in "
        "decibels: 15 where textures stick to pixels, 60 where nothing does."
    ),
}


def make(gan, spec, source, *, setting, output: str = "sample"):
    """Returns the evaluator; see `equivariance.evaluator` for what is raised."""
    return equivariance.evaluator(
        "eq_t", gan, setting, output, equivariance.translation(whole=True)
    )
