"""Accuracy of label maps that are pictures: the nearest colour of a palette.

As arXiv 1611.07004 scores photo to labels: pixel accuracy, accuracy by class, and
intersection over union by class, of all pixels of all images together.
"""

from __future__ import annotations

from collections.abc import Sequence

import jax
import numpy as np

from experiments.evaluation.result import Result
from gans.metrics.scores import palette as palettes
from gans.names import check

N_TRAINING = 400  # label maps at most in which colours are looked for
N_REPLICAS = 200
FAR = 32.0  # levels from the palette, on average, beyond which nothing is a label map

MEANING = {
    "palette/pixel_accuracy": "The share of pixels whose class is the real one.",
    "palette/class_accuracy": (
        "The mean over the classes of the share of their pixels that have it."
    ),
    "palette/class_iou": (
        "The mean over the classes of what is common to real and made areas, of what "
        "either covers: 1 is equal."
    ),
}


def make(
    gan,
    spec,
    source,
    *,
    setting,
    output: str = "sample",
    palette: str | Sequence[Sequence[int]] = "training",
):
    """Returns the evaluator.

    palette: the name of a known one ("facades"), the colours ((r, g, b), ...), or
    "training": those that are found in the label maps of the training set.

    Raises ValueError for outputs without real counterparts, an unknown palette, and
    images that are not painted in it.
    """
    pairs, place = setting.of_pairs("palette", output), f"{setting.place}: palette"
    field = pairs.field
    if isinstance(palette, str):
        check(palette, [*palettes.KNOWN, "training"], f"{place}: palette")
        of = palette
    else:
        of = "given"
    rows = np.random.default_rng(0).permutation(source.length_of(field))[:N_TRAINING]
    labels = np.concatenate(
        [source.take(rows[i : i + 64])[field] for i in range(0, len(rows), 64)]
    )
    if palette == "training":
        colours = palettes.found(labels)
    elif of == "given":
        colours = np.array(palette, np.float64)
    else:
        colours = np.array([*palettes.KNOWN[palette].values()], np.float64)
    n_channels = spec[field].shape[-1]
    if colours.ndim != 2 or len(colours) < 2 or colours.shape[1] != n_channels:
        raise ValueError(
            f"{place}: {of} palette of shape {list(colours.shape)} for images of "
            f"{n_channels} channels; wanted two colours or more, of as many values"
        )
    far = float(np.mean(palettes.distance(labels[:16], colours)))
    if far > FAR:
        raise ValueError(
            f"{place}: the images of {field} are no label maps in the {of} palette: "
            f"their pixels are {far:.0f} levels from its nearest colour"
        )
    pairs.want("palette", jax.jit(lambda x, y: palettes.confusion(x, y, colours)))
    known = {"palette": of, "n_colours": len(colours)}

    def evaluate(state):
        counts = pairs.values(state, "palette").astype(np.int64)
        errors = standard_errors(counts)
        return {
            f"palette/{name}": Result(
                value, "higher", errors[name], {**pairs.protocol, **known}
            )
            for name, value in palettes.measure(counts.sum(0)).items()
        }

    return evaluate


def standard_errors(counts: np.ndarray) -> dict[str, float]:
    """Returns those of the scores of confusion matrices [N, K, K], one an image.

    They are the spread over N_REPLICAS bootstrap replicates of the images.
    """
    n, k, _ = counts.shape
    times = np.random.default_rng(0).multinomial(n, np.full(n, 1 / n), N_REPLICAS)
    drawn = (times @ counts.reshape(n, -1)).reshape(-1, k, k)
    found = [palettes.measure(x) for x in drawn]
    return {name: float(np.std([x[name] for x in found])) for name in found[0]}
