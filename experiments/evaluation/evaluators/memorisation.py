"""Whether a model repeats its training images; see evaluation/memorisation.py."""

from __future__ import annotations

import functools

from experiments.evaluation import memorisation
from experiments.evaluation.result import Result


def make(gan, spec, source, *, setting, output: str = "sample"):
    """Returns the evaluator; ValueError for samples that are not images."""
    images = setting.of_images("memorisation", output)

    def evaluate(state):
        results, *pairs = memorisation.measure(images.data, images.fake(state))
        if setting.folder is not None:
            path = setting.folder / f"memorisation_{int(state.step):08d}.png"
            samples = functools.partial(images.some, state)
            memorisation.draw(
                path, *pairs, samples, images.data.images, field=images.field
            )
            next(iter(results.values()))["picture"] = str(path)
        return {name: Result.from_json(value) for name, value in results.items()}

    return evaluate
