"""EQ-T by parts of a pixel, arXiv 2106.12423; see `eq_t`."""

from __future__ import annotations

from experiments.evaluation import equivariance

MEANING = {
    "eq_t_frac": ("As eq_t, by parts of a pixel."),
}


def make(gan, spec, source, *, setting, output: str = "sample"):
    """Returns the evaluator; see `equivariance.evaluator` for what is raised."""
    return equivariance.evaluator(
        "eq_t_frac", gan, setting, output, equivariance.translation(whole=False)
    )
