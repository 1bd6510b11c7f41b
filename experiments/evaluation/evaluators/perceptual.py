"""Distance of outputs and the real images of their rows in an extractor's features.

It is called by the extractor, "perceptual_squeezenet"; `lpips` is LPIPS.
"""

from __future__ import annotations

from experiments.evaluation.pairs import by_features

MEANING = {
    "perceptual": (
        "How different the features of output and real image are, from 0, equal, to 4."
    ),
}


def make(gan, spec, source, *, setting, output: str = "sample"):
    """Returns the evaluator; ValueError for outputs without real counterparts."""
    pairs = setting.of_pairs("perceptual", output)
    images = setting.of_images("perceptual", output)
    return by_features(
        pairs, "perceptual", lambda: images.data.extractor, prefix="perceptual_"
    )
