"""Mean and covariance of features, gathered in pieces of any size."""

from __future__ import annotations

import dataclasses

import numpy as np

ROWS = 4096  # of features in float64 at a time


def checked(features: np.ndarray, name: str, at_least: int = 1) -> np.ndarray:
    """Features [N, D] as an array, once they are found fit for arithmetic.

    Raises ValueError, under the given name, unless they are real numbers in two axes,
    `at_least` rows of them, each of them finite.
    """
    features = np.asarray(features)
    if features.ndim != 2 or features.dtype.kind not in "fiu":
        kind = f"{features.dtype} {list(features.shape)}"
        raise ValueError(f"{name} must be real numbers [N, D], not {kind}")
    if len(features) < at_least:
        n = len(features)
        raise ValueError(f"{name} has {n} rows; at least {at_least} are needed")
    bad = sum(int((~np.isfinite(rows)).any(axis=1).sum()) for rows in pieces(features))
    if bad:
        raise ValueError(f"{name}: {bad} of {len(features)} rows have NaN or infinity")
    return features


def pieces(features: np.ndarray):
    """Iterates over features [N, D] in views [up to ROWS, D]."""
    return (features[i : i + ROWS] for i in range(0, len(features), ROWS))


@dataclasses.dataclass(frozen=True, eq=False)
class Moments:
    """All that the covariance of n feature vectors needs, in float64.

    `mean` is [D]; `scatter` [D, D] is the sum of the outer products of the features
    less their mean. Sums of squares about the mean of each piece lose nothing when the
    mean is large, as E[x x^T] - mean mean^T would.
    """

    n: int
    mean: np.ndarray
    scatter: np.ndarray

    @classmethod
    def of(cls, features: np.ndarray) -> Moments:
        """Moments of features [N, D], N >= 1, of any real type.

        Raises ValueError for other shapes, NaN and infinity.
        """
        first, *rest = pieces(checked(features, "features"))
        total = cls._of_piece(first)
        for rows in rest:
            total = total.merge(cls._of_piece(rows))
        return total

    @classmethod
    def _of_piece(cls, rows):
        rows = rows.astype(np.float64)
        mean = rows.mean(axis=0)
        rows -= mean
        # The mean itself was rounded: what is left of it goes where it belongs.
        rest = rows.mean(axis=0)
        scatter = rows.T @ rows - len(rows) * np.outer(rest, rest)
        return cls(len(rows), mean + rest, scatter)

    def merge(self, other: Moments) -> Moments:
        """Moments of both sets together.

        Chan, Golub & LeVeque, Updating formulae and a pairwise algorithm for computing
        sample variances (1979), eq. 2.1. Raises ValueError if D differs.
        """
        if self.mean.shape != other.mean.shape:
            d, e = len(self.mean), len(other.mean)
            raise ValueError(f"moments of {d} and of {e} features cannot be merged")
        n = self.n + other.n
        delta = other.mean - self.mean
        apart = delta * np.sqrt(self.n * other.n / n)
        scatter = self.scatter + other.scatter + np.outer(apart, apart)
        return Moments(n, self.mean + delta * (other.n / n), scatter)

    def cov(self, ddof: int = 1) -> np.ndarray:
        """Covariance [D, D]: scatter / (n - ddof). Raises ValueError if n <= ddof."""
        if self.n <= ddof:
            raise ValueError(f"a covariance with ddof={ddof} of {self.n} samples")
        return self.scatter / (self.n - ddof)
