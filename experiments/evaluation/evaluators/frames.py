"""Frechet distance of single frames of clips, which says nothing about motion."""

from __future__ import annotations

import functools

import numpy as np

from experiments.evaluation import extractors, features, scores
from experiments.evaluation.image_sets import ImageSet
from experiments.evaluation.result import Result
from gans.names import check

N_REAL = 5_000  # clips at most
BATCH = 64  # clips read at a time

MEANING = {
    "frames/fid": (
        "How far the statistics of single frames' features are from those of real "
        "frames; 0 is equal. The order of frames does not count."
    ),
}


def make(
    gan,
    spec,
    source,
    *,
    setting,
    output: str = "sample",
    extractor: str = "auto",
    per_clip: int = 4,
):
    """Returns the evaluator.

    extractor: of images; "auto": Inception if its weights are at hand, else random.
    per_clip: so many frames of each clip are taken, evenly spaced.

    Raises ValueError for samples that are not clips, and for an extractor that does not
    see their frames; FileNotFoundError without weights.
    """
    place = f"{setting.place}: frames"
    field = setting.field("frames", output, "video")
    length, *shape = spec[field].shape
    if type(per_clip) is not int or not 1 <= per_clip <= length:
        raise ValueError(f"{place}: per_clip={per_clip!r} must be from 1 to {length}")
    known = ["auto", *(x for x in extractors.NAMES if x not in LABELLED)]
    check(extractor, known, f"{place}: extractor", own=True)
    name = extractor
    if name == "auto":
        name, _ = extractors.choose(tuple(shape), weights=setting.weights)
    extractors.check(name, tuple(shape))
    find = extractors.find(name, resize=setting.resize, weights=setting.weights)
    load = functools.cache(find)
    chosen = np.linspace(0, length - 1, per_clip).round().astype(int)

    def extracted(said, n, batches):
        def frames():
            for clips in batches():
                yield clips[:, chosen].reshape(-1, *shape)

        return features.extract(load(), ImageSet(said, n * per_clip, frames))

    def of_source(source, said):
        rows = np.random.default_rng(0).permutation(source.length_of(field))[:N_REAL]

        def batches():
            for start in range(0, len(rows), BATCH):
                yield source.take(rows[start : start + BATCH])[field]

        return extracted(said, len(rows), batches)

    @functools.cache
    def real():
        return of_source(source, f"frames of {setting.config.data}")

    @functools.cache
    def of_real():
        """Of other real frames, and which they are."""
        test = setting.samplers.test
        if test is not None:
            sides = real(), of_source(test, "frames of the test clips")
            return measured(*sides), "test clips against the training clips"
        # Frames of one clip are not of both halves.
        halves = np.array_split(np.arange(len(real())), 2)
        sides = (real().rows(rows) for rows in halves)
        return measured(*sides), "one half of the training clips against the other"

    def measured(one, other):
        found = scores.by_score(["fid"], one, other, load().name)["fid"]
        if isinstance(found, Exception):
            raise found
        return found

    def evaluate(state):
        n = setting.plan(output).n
        made = extracted(
            "frames of samples", n, lambda: setting.encoded(state, output, field)
        )
        protocol = {**scores.describe(load(), real(), made), "per_clip": per_clip}
        results = {}
        (others, said), found = of_real(), measured(real(), made)
        for quantity, value in found.items():
            result = Result.from_json({**value, "protocol": protocol})
            results[f"frames/{quantity}"] = result
            other = {**others[quantity], "better": None, "real": said}
            results[f"frames/{quantity}_real"] = Result.from_json(other)
        return results

    return evaluate


LABELLED = ("classifier", *extractors.OF_OTHERS)
