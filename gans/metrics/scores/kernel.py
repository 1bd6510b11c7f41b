"""Kernel distance: the squared maximum mean discrepancy under a cubic kernel.

    k(x, y) = (x . y / D + 1)^3                            (arXiv 1801.01401, section 4)

The unbiased estimate leaves out each sample's kernel with itself; it may be negative.
In float64: the distance is a small difference of large means.
"""

import numpy as np

from gans.metrics.scores.moments import checked

BLOCK = 2**24  # entries of a kernel matrix held at a time: 128 MiB


def distance(
    x: np.ndarray,
    y: np.ndarray,
    n_subsets: int = 100,
    subset_size: int = 1000,
    seed: int = 0,
) -> dict[str, float]:
    """Mean and spread of the unbiased estimate over random subsets (the KID).

    The subsets of x and y are drawn in turn, each without replacement, from numpy's
    RandomState, whose stream is frozen: with equal seeds torch-fidelity draws the same.

    Args: x [N, D] and y [M, D]; subset_size: of both, at least 2.

    Returns: {"mean": over the subsets, "std": over the subsets, ddof=0}. The latter is
      the spread of single subsets, as is usually reported, and no error of the mean.

    Raises ValueError if D differs, for NaN and infinity, and if a set is smaller than
    the subsets.
    """
    x, y = _checked(x, y)
    smallest = min(len(x), len(y))
    if n_subsets < 1 or not 2 <= subset_size <= smallest:
        raise ValueError(
            f"{n_subsets} subsets of subset_size={subset_size} from {len(x)} and "
            f"{len(y)} samples: subset_size must be in [2, {smallest}], and at least "
            "one subset drawn"
        )
    rng = np.random.RandomState(seed)
    found = []
    for _ in range(n_subsets):
        some_x = x[rng.choice(len(x), subset_size, replace=False)]
        some_y = y[rng.choice(len(y), subset_size, replace=False)]
        found.append(_mmd2(some_x.astype(np.float64), some_y.astype(np.float64)))
    return {"mean": float(np.mean(found)), "std": float(np.std(found))}


def mmd2(x: np.ndarray, y: np.ndarray) -> float:
    """The unbiased estimate from all of x [N, D] and y [M, D], N and M at least 2.

    Raises ValueError if D differs, and for NaN and infinity.
    """
    x, y = _checked(x, y)
    return float(_mmd2(x.astype(np.float64), y.astype(np.float64)))


def _checked(x, y):
    x, y = checked(x, "x", at_least=2), checked(y, "y", at_least=2)
    if x.shape[1] != y.shape[1]:
        d, e = x.shape[1], y.shape[1]
        raise ValueError(f"features of {d} and of {e} dimensions cannot be compared")
    return x, y


def _mmd2(x, y):
    return _mean_of_pairs(x) + _mean_of_pairs(y) - 2 * _sum(x, y) / (len(x) * len(y))


def _mean_of_pairs(x):
    n = len(x)
    itself = _cubic(np.einsum("nd,nd->n", x, x), x.shape[1])
    return (_sum(x, x) - itself.sum()) / (n * (n - 1))


def _sum(x, y):
    rows = max(1, BLOCK // len(y))
    starts = range(0, len(x), rows)
    return sum(_cubic(x[i : i + rows] @ y.T, x.shape[1]).sum() for i in starts)


def _cubic(products, d):
    products /= d
    products += 1
    return products * products * products
