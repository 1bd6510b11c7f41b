"""Scores by nearest neighbours: exact, with a bounded part of the distances in memory.

Squared distances are |x|^2 - 2 x.y + |y|^2 in float64, after the mean of the real
features is taken off, without which a large common mean would cancel. They are good to
about 1e-14 (|x|^2 + |y|^2). Those that differ by less than TIE (|x|^2 + |y|^2) are
tied: "at most", but not "less", however they were rounded; so copies count as the
definitions say. The price: features within 1e-6 of their distance from the mean
are not distinguished. Radii and distances that are returned are of full precision.

The distances are what takes long. `together` gives several figures of two sets and
computes each block of distances once; most other functions are it with one figure.

Each figure comes with its standard error, "_se": the root of the variance over the
samples it is a mean of, divided by their number, with the radii, thresholds and the
other set held fixed.
"""

import dataclasses
import functools
from collections.abc import Iterator
from typing import Any

import numpy as np

from gans.metrics.scores.moments import checked, pieces
from gans.names import check

ROWS = 256  # of a block: fewer make products slow, more overflow the caches
BLOCK = 2**24  # squared distances in one at most: 128 MiB, and as much for each use
TIE = 1e-12
TAU_K, TAU_PERCENT = 5, 90


def together(
    real: np.ndarray, fake: np.ndarray, **wanted: dict[str, Any]
) -> dict[str, Any]:
    """Several figures of real [N, D] and fake [M, D], each as its function gives it.

    wanted: names of functions below, each with all its arguments but the features:
      `together(real, fake, nnfs={}, precision_recall={"k": 3})`. "nearest" is that of
      each generated feature among the real ones. "threshold_precision_recall" without a
      delta takes tau of `nnfs`, and reports it: {..., "delta"}.

    Returns: {name: what the function returns}.
    Raises ValueError as they do, and for another name.
    """
    for name in wanted:
        check(name, FIGURES, "neighbours.together")
    return _together(*_centred(real, fake), wanted)


def precision_recall(
    real: np.ndarray, fake: np.ndarray, k: int = 3
) -> dict[str, float]:
    """Improved precision and recall (arXiv 1904.06991, section 2, eqs. 1 and 2).

    Precision is the share of generated features within some real feature's ball, recall
    that of real ones within some generated one's. A feature's ball reaches to, and
    includes, its k-th nearest other feature of its own set.

    Args: real [N, D] and fake [M, D]; 1 <= k < N, M.
    Returns: {"precision", "recall", both in [0, 1], "precision_se", "recall_se"}.
    Raises ValueError if D differs, for other k, NaN and infinity.
    """
    return _one("precision_recall", real, fake, k=k)


def density_coverage(
    real: np.ndarray, fake: np.ndarray, k: int = 5
) -> dict[str, float]:
    """Density and coverage (arXiv 2002.09797, section 3.2, eqs. 3 and 4).

    Density is the number of real features' balls that a generated feature is in, on
    average and divided by k; coverage is the share of real features' balls with a
    generated feature in them. Balls are as in `precision_recall`, less their surface.

    Args: real [N, D] and fake [M, D]; 1 <= k < N.
    Returns: {"density", >= 0 and about 1 for real features, "coverage" in [0, 1],
      "density_se", "coverage_se"}.
    Raises ValueError if D differs, for other k, NaN and infinity.
    """
    return _one("density_coverage", real, fake, k=k)


def threshold_precision_recall(
    real: np.ndarray, fake: np.ndarray, delta: float
) -> dict[str, float]:
    """Precision and recall within one distance for all.

    Precision is the share of generated features at most delta from some real one,
    recall the share of real features at most delta from some generated one.

    Args: real [N, D] and fake [M, D]; delta >= 0, in the units of the features.
    Returns: {"precision", "recall", both in [0, 1], "precision_se", "recall_se"}.
    Raises ValueError if D differs, for delta < 0, NaN and infinity.
    """
    found = _one("threshold_precision_recall", real, fake, delta=delta)
    del found["delta"]
    return found


def nnfs(real: np.ndarray, fake: np.ndarray) -> dict[str, float]:
    """Nearest-neighbour feature similarity, a pair of scores defined here.

    ANND-RG is the mean over real features of the distance to the nearest generated one
    (lower is better). PAS, the perceptual anomaly score, is the share of generated
    features that are farther than tau from the nearest real one, where tau is the 90th
    percentile over real features of the distance to their 5th nearest other. Neither
    has a scale: report both for other real features in place of generated ones too.
    The "Anomaly Score" of arXiv 2312.10634 is something else.

    Args: real [N, D], N > 5, and fake [M, D].
    Returns: {"annd_rg" >= 0, "pas" in [0, 1], "annd_rg_se", "pas_se"}.
    Raises ValueError if D differs, for N <= 5, NaN and infinity.
    """
    return _one("nnfs", real, fake)


def nearest(queries: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The nearest of points [M, D] to each of queries [N, D], as for copies of them.

    Returns: distances [N] float64, of the full precision of the features' differences
      (so that of a copy is 0), and indices [N] in [0, M).
    Raises ValueError if D differs, for NaN and infinity.
    """
    sides = _centred(points, queries, names=("points", "queries"))
    return _together(*sides, {"nearest": {}})["nearest"]


def radii(points: np.ndarray, k: int) -> np.ndarray:
    """Distances [N] from each of points [N, D] to its k-th nearest other, 1 <= k < N.

    "Other" is by index: of two copies, each is the other's nearest, at distance 0.
    Raises ValueError for other k, NaN and infinity.
    """
    points = checked(points, "points")
    _check_ks(points, {k})
    return _radii(points - points.mean(axis=0, dtype=np.float64), {k})[k]


def _one(name, real, fake, **given):
    return together(real, fake, **{name: given})[name]


def _centred(real, fake, names=("real features", "generated features")):
    real, fake = map(checked, (real, fake), names)
    if real.shape[1] != fake.shape[1]:
        d, e = real.shape[1], fake.shape[1]
        raise ValueError(f"features of {d} and of {e} dimensions cannot be compared")
    mean = real.mean(axis=0, dtype=np.float64)
    return real - mean, fake - mean


@dataclasses.dataclass(frozen=True, eq=False)
class _Block:
    """Squared distances [R, M] of some rows of x [N, D] from all of y [M, D]."""

    rows: slice
    products: np.ndarray  # -2 x.y [R, M]
    of_x: np.ndarray  # |x|^2 [R, 1]
    of_y: np.ndarray

    def _sum(self, slack):
        squares = self.products + (1 + slack) * self.of_x
        squares += (1 + slack) * self.of_y
        return squares

    squares = functools.cached_property(lambda self: self._sum(0))
    # What is tied with a bound is at most that bound in these, and not less in those.
    at_most = functools.cached_property(lambda self: self._sum(-TIE))
    less = functools.cached_property(lambda self: self._sum(TIE))
    nearest = functools.cached_property(lambda self: self.squares.argmin(axis=1))


def _blocks(x, y) -> Iterator[_Block]:
    of_x, of_y = (np.einsum("nd,nd->n", z, z) for z in (x, y))
    step = max(1, min(ROWS, BLOCK // max(y.shape)))
    for start in range(0, len(x), step):
        rows = slice(start, min(start + step, len(x)))
        yield _Block(rows, (-2 * x[rows]) @ y.T, of_x[rows, None], of_y)


def _check_ks(x, ks):
    for k in ks:
        if not 1 <= k < len(x):
            raise ValueError(
                f"k={k} neighbours of {len(x)} samples: k must be in [1, n)"
            )


def _radii(x, ks) -> dict[int, np.ndarray]:
    """Of each k the distances [N] to the k-th nearest other."""
    if not ks:
        return {}
    places = np.array(sorted(ks)) - 1
    indices = np.empty((len(x), len(places)), int)
    for block in _blocks(x, x):
        i = np.arange(len(block.squares))
        block.squares[i, block.rows.start + i] = np.inf
        order = block.squares.argpartition(places, axis=1)
        indices[block.rows] = order[:, places]
    return {
        int(k) + 1: _distances(x, x, i) for k, i in zip(places, indices.T, strict=True)
    }


def _distances(x, y, indices):
    """Norms [N] of x [N, D] less the y [M, D] at those indices, in full precision."""
    near = zip(pieces(x), pieces(indices), strict=True)
    return np.concatenate([np.linalg.norm(some - y[i], axis=1) for some, i in near])


def _means(**values) -> dict[str, float]:
    means = {name: float(np.mean(x)) for name, x in values.items()}
    errors = {
        f"{name}_se": float(np.std(x) / np.sqrt(len(x))) for name, x in values.items()
    }
    return means | errors


# --- the figures: (pair, arguments) -> (see(block), result()) -------------------------


@dataclasses.dataclass(frozen=True, eq=False)
class _Pair:
    """Both sets, the mean of `real` taken off, and those radii that are needed."""

    real: np.ndarray
    fake: np.ndarray
    of_real: dict[int, np.ndarray]
    of_fake: dict[int, np.ndarray]

    @property
    def tau(self):
        return float(np.percentile(self.of_real[TAU_K], TAU_PERCENT))


def _together(real, fake, wanted):
    threshold = wanted.get("threshold_precision_recall", {"delta": 0})
    of_real = {given["k"] for given in wanted.values() if "k" in given}
    if "nnfs" in wanted or threshold.get("delta") is None:
        of_real.add(TAU_K)
    of_fake = {wanted[name]["k"] for name in wanted if name == "precision_recall"}
    sides = (real, of_real), (fake, of_fake)
    for side in sides:
        _check_ks(*side)
    pair = _Pair(real, fake, *(_radii(*side) for side in sides))
    figures = {name: FIGURES[name](pair, **given) for name, given in wanted.items()}
    if figures:
        for block in _blocks(fake, real):
            for see, _ in figures.values():
                see(block)
    return {name: result() for name, (_, result) in figures.items()}


def _precision_recall(pair, k):
    of_real, of_fake = pair.of_real[k] ** 2, pair.of_fake[k][:, None] ** 2
    precise, recalled = np.zeros(len(pair.fake), bool), np.zeros(len(pair.real), bool)

    def see(block):
        precise[block.rows] = (block.at_most <= of_real).any(axis=1)
        recalled[:] |= (block.at_most <= of_fake[block.rows]).any(axis=0)

    return see, lambda: _means(precision=precise, recall=recalled)


def _density_coverage(pair, k):
    of_real = pair.of_real[k] ** 2
    balls, covered = np.zeros(len(pair.fake)), np.zeros(len(pair.real), bool)

    def see(block):
        inside = block.less < of_real
        balls[block.rows] = inside.sum(axis=1)
        covered[:] |= inside.any(axis=0)

    return see, lambda: _means(density=balls / k, coverage=covered)


def _threshold_precision_recall(pair, delta=None):
    delta = pair.tau if delta is None else delta
    if not delta >= 0:
        raise ValueError(f"delta={delta} must not be negative")
    precise, recalled = np.zeros(len(pair.fake), bool), np.zeros(len(pair.real), bool)

    def see(block):
        near = block.at_most <= delta**2
        precise[block.rows] = near.any(axis=1)
        recalled[:] |= near.any(axis=0)

    def result():
        return _means(precision=precise, recall=recalled) | {"delta": delta}

    return see, result


def _nearest(pair):
    indices = np.empty(len(pair.fake), int)

    def see(block):
        indices[block.rows] = block.nearest

    return see, lambda: (_distances(pair.fake, pair.real, indices), indices)


def _nnfs(pair):
    see_nearest, nearest = _nearest(pair)
    least = np.full(len(pair.real), np.inf)
    indices = np.zeros(len(pair.real), int)

    def see(block):
        see_nearest(block)
        rows = block.squares.argmin(axis=0)
        squares = np.take_along_axis(block.squares, rows[None], axis=0)[0]
        nearer = squares < least
        least[nearer] = squares[nearer]
        indices[nearer] = block.rows.start + rows[nearer]

    def result():
        to_real, _ = nearest()
        to_fake = _distances(pair.real, pair.fake, indices)
        return _means(annd_rg=to_fake, pas=to_real > pair.tau * (1 + TIE))

    return see, result


FIGURES = {
    "precision_recall": _precision_recall,
    "density_coverage": _density_coverage,
    "threshold_precision_recall": _threshold_precision_recall,
    "nearest": _nearest,
    "nnfs": _nnfs,
}
