"""Modes that are found: of points in the plane, and of stacked digits."""

from __future__ import annotations

import functools

import jax
import numpy as np

from experiments.evaluation import extractors
from experiments.evaluation.features import extract
from experiments.evaluation.image_sets import ImageSet
from experiments.evaluation.result import Result
from gans.data import kinds
from gans.metrics.scores import modes

MEANING = {
    "modes/modes": "How many modes of the data are generated.",
    "modes/high_quality": (
        "The share of samples that lie close to the data: quality, from 0 to 1."
    ),
    "modes/kl": "How unevenly the samples fall on the modes, in nats; 0 is evenly.",
    "modes/sectors": (
        "How many of the 36 sectors of the ring hold about their share of samples."
    ),
}


def make(gan, spec, source, *, setting, output: str = "sample"):
    """Returns the evaluator; ValueError for data whose modes are not known.

    Stacked digits are seen by a classifier of single digits, which is trained at the
    first evaluation and kept.
    """
    stacked = hasattr(source, "base")
    if not stacked and not hasattr(source, "sigma"):
        raise ValueError(
            f"{setting.place}: modes is for the 2-D sets circle, ring8 and grid25, and "
            f"for stacked ones; {setting.config.data} is neither"
        )
    field = setting.field("modes", output, "image" if stacked else "point")
    of = {}  # how many modes there are
    if stacked:
        of = {"of": spec[source.label_of(field)].n_classes}
    elif source.modes is not None:
        of = {"of": len(source.modes)}

    @functools.cache
    def classifier():
        return of_channels(source.base, setting.config)

    def evaluate(state):
        samples = setting.collect(state, output)
        if stacked:
            measure, protocol = classifier()
            setting.note({"classifier": protocol})
            images = kinds.of(spec[field]).encode(np.nan_to_num(samples[field]))
            found = measure(images)
        else:
            found = modes.measure(samples[field], source)
        return {
            f"modes/{name}": Result(
                value,
                "lower" if name == "kl" else "higher",
                protocol=of if name == "modes" else {},
            )
            for name, value in found.items()
        }

    return evaluate


def of_channels(name, config):
    """Returns measure(images uint8 [N, H, W, 3]) -> figures, and its protocol.

    A classifier of the set `name`, whose pictures are stacked, classifies each channel.
    """
    classifier = extractors.classifier(
        name,
        resolution=config.resolution,
        channels=1,
        data_dir=config.data_dir,
        skip_corrupt=config.get("skip_corrupt", False),
        data_seed=config.get("seed", 0),
    )

    def measure(images):
        n, *size, n_channels = images.shape
        channels = np.moveaxis(images, -1, 1).reshape(-1, *size, 1)
        found = extract(
            classifier, ImageSet("channels", len(channels), lambda: iter([channels]))
        )
        likely = np.asarray(jax.nn.softmax(found.logits))
        return modes.stacked(likely.reshape(n, n_channels, -1))

    return measure, classifier.protocol
