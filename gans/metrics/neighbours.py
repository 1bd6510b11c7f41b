"""Scores by nearest neighbours: exact, with a bounded part of the distances in memory.

Squared distances are |x|^2 - 2 x.y + |y|^2 in float64, after the mean of the real
features is taken off, without which a large common mean would cancel. They are good to
about 1e-14 (|x|^2 + |y|^2). Those that differ by less than TIE (|x|^2 + |y|^2) are
tied: "at most", but not "less", however they were rounded; so copies count as the
definitions say. The price: features within 1e-6 of their distance from the mean are
not told apart. Radii and distances that are returned are of full precision.

Each figure comes with its standard error, "_se": the root of the variance over the
samples it is a mean of, divided by their number, with the radii, thresholds and the
other set held fixed.
"""

from collections.abc import Iterator

import numpy as np

from gans.metrics.moments import checked, pieces

BLOCK = 2**24  # squared distances held at a time: 128 MiB
TIE = 1e-12


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
    real, fake = _centred(real, fake)
    of_real, of_fake = _radii(real, k) ** 2, _radii(fake, k) ** 2
    precise = np.zeros(len(fake), bool)
    recalled = np.zeros(len(real), bool)
    for rows, squares in _squares(fake, real, slack=-TIE):
        precise[rows] = (squares <= of_real).any(axis=1)
        recalled |= (squares <= of_fake[rows, None]).any(axis=0)
    return _means(precision=precise, recall=recalled)


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
    real, fake = _centred(real, fake)
    of_real = _radii(real, k) ** 2
    balls = np.zeros(len(fake))
    covered = np.zeros(len(real), bool)
    for rows, squares in _squares(fake, real, slack=TIE):
        inside = squares < of_real
        balls[rows] = inside.sum(axis=1)
        covered |= inside.any(axis=0)
    return _means(density=balls / k, coverage=covered)


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
    if not delta >= 0:
        raise ValueError(f"delta={delta} must not be negative")
    real, fake = _centred(real, fake)
    precise = np.zeros(len(fake), bool)
    recalled = np.zeros(len(real), bool)
    for rows, squares in _squares(fake, real, slack=-TIE):
        near = squares <= delta**2
        precise[rows] = near.any(axis=1)
        recalled |= near.any(axis=0)
    return _means(precision=precise, recall=recalled)


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
    real, fake = _centred(real, fake)
    tau = np.percentile(_radii(real, 5), 90)
    to_real, _ = _nearest(fake, real)
    to_fake, _ = _nearest(real, fake)
    return _means(annd_rg=to_fake, pas=to_real > tau * (1 + TIE))


def nearest(queries: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The nearest of points [M, D] to each of queries [N, D], as for copies of them.

    Returns: distances [N] float64, of the full precision of the features' differences
      (so that of a copy is 0), and indices [N] in [0, M).
    Raises ValueError if D differs, for NaN and infinity.
    """
    points, queries = _centred(points, queries, names=("points", "queries"))
    return _nearest(queries, points)


def radii(points: np.ndarray, k: int) -> np.ndarray:
    """Distances [N] from each of points [N, D] to its k-th nearest other, 1 <= k < N.

    "Other" is by index: of two copies, each is the other's nearest, at distance 0.
    Raises ValueError for other k, NaN and infinity.
    """
    points = checked(points, "points")
    return _radii(points - points.mean(axis=0, dtype=np.float64), k)


def _centred(real, fake, names=("real features", "generated features")):
    real, fake = map(checked, (real, fake), names)
    if real.shape[1] != fake.shape[1]:
        d, e = real.shape[1], fake.shape[1]
        raise ValueError(f"features of {d} and of {e} dimensions cannot be compared")
    mean = real.mean(axis=0, dtype=np.float64)
    return real - mean, fake - mean


def _squares(x, y, slack=0.0) -> Iterator[tuple[slice, np.ndarray]]:
    """Rows of x [N, D], and their squared distances [rows, M] from y [M, D].

    To each is added slack * (|x|^2 + |y|^2). Each array is the caller's to spoil.
    """
    of_x, of_y = ((1 + slack) * np.einsum("nd,nd->n", z, z) for z in (x, y))
    step = max(1, BLOCK // max(y.shape))
    for start in range(0, len(x), step):
        rows = slice(start, min(start + step, len(x)))
        squares = (-2 * x[rows]) @ y.T
        squares += of_x[rows, None]
        squares += of_y
        yield rows, squares


def _radii(x, k):
    if not 1 <= k < len(x):
        raise ValueError(f"k={k} neighbours of {len(x)} samples: k must be in [1, n)")
    indices = np.empty(len(x), int)
    for rows, squares in _squares(x, x):
        i = np.arange(len(squares))
        squares[i, rows.start + i] = np.inf
        indices[rows] = squares.argpartition(k - 1, axis=1)[:, k - 1]
    return _distances(x, x, indices)


def _nearest(x, y):
    indices = np.empty(len(x), int)
    for rows, squares in _squares(x, y):
        indices[rows] = squares.argmin(axis=1)
    return _distances(x, y, indices), indices


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
