"""How far things move in clips, against the data; see `gans.metrics.scores`."""

from __future__ import annotations

import functools
from collections.abc import Iterable

import numpy as np

from experiments.evaluation.result import Result
from gans.metrics.scores import displacement

N_REAL = 2_000  # clips at most
BATCH = 16  # clips at a time
METHOD = (
    "8x8 blocks matched within 4 pixels at about 32 pixels a side, then a step of "
    "Lucas and Kanade; mean by squared gradients"
)

MEANING = {
    "displacement/mean": (
        "How far what is seen moves from frame to frame, in pixels: the mean over the "
        "samples; mean_real is that of the data."
    ),
    "displacement/distance": (
        "How far that of samples is distributed from that of the data, in pixels "
        "(Wasserstein's distance): 0 is equal; distance_real is that of other real "
        "clips."
    ),
    "displacement/unexplained": (
        "What no motion explains from frame to frame, as a share of the structure: 0 "
        "where things only move, large where clips flicker; unexplained_real is the "
        "data's."
    ),
}


def make(gan, spec, source, *, setting, output: str = "sample"):
    """Returns the evaluator; ValueError for samples that are not clips."""
    place = f"{setting.place}: displacement"
    field = setting.field("displacement", output, "video")
    frames, height, width, _ = shape = spec[field].shape
    if frames < 2 or min(height, width) < displacement.BLOCK:
        raise ValueError(
            f"{place} of {frames} frames of {width}x{height}; wanted 2 or more, of "
            f"{displacement.BLOCK}x{displacement.BLOCK} or more"
        )

    @functools.cache
    def real():
        return _measured(_rows(source, field))

    @functools.cache
    def others():
        """(displacements of other real clips, of those they are compared with, said)"""
        test = setting.samplers.test
        known, _ = real()
        if test is not None:
            found, _ = _measured(_rows(test, field))
            return found, known, f"{len(found)} test clips against the training clips"
        rows = np.random.default_rng(0).permutation(len(known))
        halves = np.array_split(rows, 2)
        said = "one random half of the training clips against the other"
        return known[halves[0]], known[halves[1]], said

    def evaluate(state):
        known, known_unexplained = real()
        found, unexplained = _measured(setting.encoded(state, output, field))
        protocol = {
            "method": METHOD,
            "largest": displacement.reach(shape),
            "n_fake": len(found),
            "n_real": len(known),
        }
        other, against, said = others()
        distance = displacement.distance
        results = {
            "mean": Result(found.mean(), None, _error(found), protocol),
            "mean_real": Result(known.mean(), None, _error(known), protocol),
            "distance": Result(distance(found, known), "lower", None, protocol),
            "distance_real": Result(
                distance(other, against), None, None, {**protocol, "real": said}
            ),
            "unexplained": Result(
                unexplained.mean(), None, _error(unexplained), protocol
            ),
            "unexplained_real": Result(
                known_unexplained.mean(), None, _error(known_unexplained), protocol
            ),
        }
        return {f"displacement/{name}": x for name, x in results.items()}

    return evaluate


def _rows(source, field) -> Iterable[np.ndarray]:
    """Yields the clips of a source, N_REAL at most, drawn at random once."""
    rows = np.random.default_rng(0).permutation(source.length_of(field))[:N_REAL]
    for start in range(0, len(rows), BATCH):
        yield source.take(rows[start : start + BATCH])[field]


def _measured(batches) -> tuple[np.ndarray, np.ndarray]:
    """Displacements and unexplained shares, float64 [n] each, of batches of clips."""
    found = []
    for batch in batches:
        for start in range(0, len(batch), BATCH):
            part = batch[start : start + BATCH]
            whole = np.concatenate([part, part[-1:].repeat(BATCH - len(part), 0)])
            measured = displacement.compiled(whole)
            found.append([np.asarray(x, np.float64)[: len(part)] for x in measured])
    return tuple(np.concatenate(x) for x in zip(*found, strict=True))


def _error(x):
    return float(x.std() / np.sqrt(len(x)))
