"""Coverage and minimum matching distance of volumes; see `gans.metrics.scores.shapes`.

They stand beside those of sets that a model has to beat: volumes without voxels, the
mean volume, and as many training volumes.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable

import numpy as np

from experiments.evaluation.result import Result
from gans.metrics.scores import shapes
from gans.names import check

N_REAL = 1_000  # volumes at most, of each side
BATCH = 64  # volumes at a time

MEANING = {
    "shapes/coverage": (
        "The share of real volumes that are the nearest to at least one sample: "
        "variety; coverage_training is that of as many training volumes."
    ),
    "shapes/matching": (
        "The mean distance of real volumes from the nearest sample (minimum matching "
        "distance): 0 where all are met; those of the empty volume, of the mean volume "
        "and of as many training volumes are beside it."
    ),
    "shapes/nearest_training": (
        "The mean distance of samples from the nearest training volume: 0 for copies; "
        "nearest_training_real is that of real volumes."
    ),
    "shapes/occupied": (
        "The share of voxels that are occupied; occupied_real is the data's."
    ),
}


def make(
    gan,
    spec,
    source,
    *,
    setting,
    output: str = "sample",
    distance: str = "chamfer",
    threshold: float = 0.5,
):
    """Returns the evaluator.

    distance: a name of `gans.metrics.scores.shapes.DISTANCES`. threshold: of the
    occupancy of voxels in [0, 1], above which they count as occupied.

    The real volumes are those of the test set; without one, of one half of the training
    set, and the other half is the training volumes.

    Raises ValueError for samples that are not voxels.
    """
    place = f"{setting.place}: shapes"
    field = setting.field("shapes", output, "voxels")
    check(distance, shapes.DISTANCES, f"{place}: distance")
    if not 0 < threshold < 1:
        raise ValueError(f"{place}: threshold={threshold!r} must be in (0, 1)")
    between = shapes.DISTANCES[distance]

    def occupied(batches: Iterable[np.ndarray]) -> np.ndarray:
        return np.concatenate([(x > 255 * threshold).any(-1) for x in batches])

    @functools.cache
    def sides():
        """(real volumes, training volumes, what the real ones are)"""
        test, n = setting.samplers.test, source.length_of(field)
        rows = np.random.default_rng(0).permutation(n)
        if test is not None:
            others = np.random.default_rng(0).permutation(test.length_of(field))
            real = occupied(_taken(test, field, others[:N_REAL]))
            said = f"{len(real)} test volumes"
        else:
            real, rows = (x[:N_REAL] for x in np.array_split(rows, 2))
            real = occupied(_taken(source, field, real))
            said = f"{len(real)} of one half of the training volumes"
        return real, occupied(_taken(source, field, rows[:N_REAL])), said

    @functools.cache
    def baselines(n):
        """What needs no samples, of n of them: {name: `Result`}."""
        real, training, said = sides()
        known = between(training, real)
        mean = training.mean(0, keepdims=True) > threshold
        # As densely occupied as the training volumes are: a surface, not a haze.
        level = np.quantile(training.mean(0), 1 - training.mean())
        typical = training.mean(0, keepdims=True) >= level
        means = [between(x, real) for x in (mean, typical)]
        protocol = {"real": said, "distance": distance, "n_training": len(training)}
        few = known[:n]
        found = {
            "coverage_training": shapes.coverage(few),
            "matching_training": shapes.matching(few)[0],
            "matching_empty": shapes.matching(between(0 * real[:1], real))[0],
            "matching_mean": min(shapes.matching(x)[0] for x in means),
            "matching_nearest": shapes.matching(known)[0],
            "nearest_training_real": float(known.min(0).mean()),
            "occupied_real": float(real.mean()),
        }
        return {name: Result(x, None, None, protocol) for name, x in found.items()}

    def evaluate(state):
        real, training, said = sides()
        made = occupied(setting.encoded(state, output, field))
        protocol = {
            "distance": distance,
            "threshold": threshold,
            "n_fake": len(made),
            "n_real": len(real),
            "real": said,
        }
        found = between(made, real)
        matching, error = shapes.matching(found)
        nearest = between(made, training).min(1)
        results = {
            "coverage": Result(shapes.coverage(found), "higher", None, protocol),
            "matching": Result(matching, "lower", error, protocol),
            "nearest_training": Result(
                nearest.mean(), None, nearest.std() / np.sqrt(len(nearest)), protocol
            ),
            "occupied": Result(made.mean(), None, None, protocol),
        }
        return {f"shapes/{k}": x for k, x in (results | baselines(len(made))).items()}

    return evaluate


def _taken(source, field, rows):
    for start in range(0, len(rows), BATCH):
        yield source.take(rows[start : start + BATCH])[field]
