"""EQ-R, arXiv 2106.12423, of generators whose input can be moved."""

from __future__ import annotations

from experiments.evaluation import equivariance

MEANING = {
    "eq_r": (
        "How exactly images turn with the generator's input, in decibels: 10 is not at "
        "all, 40 hardly a difference."
    ),
}


def make(gan, spec, source, *, setting, output: str = "sample"):
    """Returns the evaluator; see `equivariance.evaluator` for what is raised."""
    return equivariance.evaluator("eq_r", gan, setting, output, equivariance.rotation)
