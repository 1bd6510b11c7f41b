"""LPIPS of outputs and the real images of their rows, arXiv 1801.03924."""

from __future__ import annotations

from experiments.evaluation import extractors
from experiments.evaluation.pairs import by_features
from gans.metrics.features import lpips
from gans.names import check

MEANING = {
    "lpips": (
        "How different output and real image look, by a network that was fitted to "
        "people's judgement; 0 is equal."
    ),
}


def make(gan, spec, source, *, setting, output: str = "sample", net: str = "alex"):
    """Returns the evaluator.

    net: "alex", "vgg" or "squeeze". Raises ValueError for outputs without real
    counterparts, FileNotFoundError without the network's weights.
    """
    name = f"lpips_{check(net, lpips.NETS, f'{setting.place}: lpips: net')}"
    pairs = setting.of_pairs("lpips", output)
    extractors.check(name, pairs.shape)
    try:
        load = extractors.find(name, weights=setting.weights)
    except FileNotFoundError as error:
        advice = "perceptual is the same by the run's own extractor"
        raise FileNotFoundError(f"{setting.place}: lpips: {error}; {advice}") from None
    return by_features(pairs, "lpips", load)
