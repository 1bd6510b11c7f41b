"""Whether a model repeats its training images; see evaluation/memorisation.py."""

from __future__ import annotations

import functools

from experiments.evaluation import memorisation
from experiments.evaluation.result import Result

MEANING = {
    "memorisation_distance": (
        "The mean distance of samples from the nearest training image."
    ),
    "memorisation_ratio": (
        "That distance, relative to the one of real images: near 0 for copies, "
        "about 1 for new images."
    ),
    "memorisation_share": (
        "The share of samples as close to a training image as only 1 % of real "
        "images are: 0.01 is what to expect, 1 is all copies."
    ),
}


def make(gan, spec, source, *, setting, output: str = "sample"):
    """Returns the evaluator; ValueError for samples that are not images."""
    images = setting.of_images("memorisation", output)
    if source.length_of(images.field) < 2:
        raise ValueError(f"{setting.place}: memorisation needs two training images")

    def evaluate(state):
        results, *pairs = memorisation.measure(images.data, images.fake(state))
        if setting.folder is not None:
            # Another extractor, or output, has other neighbours.
            parts = [f"{int(state.step):08d}", images.data.extractor.name]
            parts += [output] if output != "sample" else []
            path = setting.folder / f"memorisation_{'_'.join(parts)}.png"
            samples = functools.partial(images.some, state)
            memorisation.draw(
                path, *pairs, samples, images.data.images, field=images.field
            )
            next(iter(results.values()))["picture"] = str(path)
        return {name: Result.from_json(value) for name, value in results.items()}

    return evaluate
