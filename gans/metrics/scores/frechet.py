"""Frechet distance between Gaussians fitted to features, its limit and its error.

    |m1 - m2|^2 + tr S1 + tr S2 - 2 tr (S1 S2)^(1/2)        (arXiv 1706.08500, eq. 6)

Where S = A A^T, the last trace is the sum of the singular values of A1^T A2. So no root
of a matrix is taken, nothing is complex, singular covariances need no epsilon, and
rounding is of the order of 1e-15 of tr S1 + tr S2, by which a result may be negative.
All in float64. Only eigenvalues within the rounding of the largest are taken for zero.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from gans.metrics.scores.moments import Moments, checked, pieces

Gaussian = Moments | tuple[np.ndarray, np.ndarray]


def distance(a: Gaussian, b: Gaussian) -> float:
    """Frechet distance of two sets of moments.

    Args: a, b: each `Moments` (whose covariance gets ddof=1), or mean [D] and
      covariance [D, D].

    Raises ValueError if D differs, or if a covariance is not finite, not symmetric or
    not positive semidefinite up to the rounding of its own type.
    """
    return _distance(_of_moments(a, "first"), _of_moments(b, "second"))


def distance_of_features(x: np.ndarray, y: np.ndarray) -> float:
    """Frechet distance of two sets of features, [N, D] and [M, D], with ddof=1.

    A set of no more samples than dimensions is used as it is, so that its covariance is
    never formed. Raises ValueError if D differs, for NaN and infinity, and if N < 2.
    """
    return _distance(_of_features(x, "x"), _of_features(y, "y"))


def infinity(
    features: np.ndarray,
    reference: Gaussian,
    smallest: int | None = None,
    n_sizes: int = 15,
    seed: int = 0,
) -> dict[str, float]:
    """Frechet distance extrapolated to infinitely many generated samples.

    A line in 1 / n through the distances of random subsets of n samples, n evenly
    spaced from `smallest` to N (arXiv 1911.07023, section 3, with 15 sizes from 5,000
    to 50,000). The bias of the reference, which has its own N, is left.

    Args:
      features: generated [N, D].
      reference: as in `distance`; fixed.
      smallest: of the sizes; a tenth of N if None.
      n_sizes: at least 2.
      seed: draws the subsets.

    Returns: {"infinity": the line at 1 / n = 0, "slope": of the line; slope / n is the
      bias at n}.

    Raises ValueError as `distance` does, and if not 2 <= smallest < N.
    """
    features = checked(features, "features")
    n = len(features)
    smallest = n // 10 if smallest is None else smallest
    if not 2 <= smallest < n or n_sizes < 2:
        raise ValueError(
            f"{n_sizes} sizes from {smallest} to {n}: at least two sizes are needed, "
            f"the smallest in [2, {n})"
        )
    target = _of_moments(reference, "reference")
    rng = np.random.default_rng(seed)
    sizes = np.linspace(smallest, n, n_sizes).astype(int)
    found = []
    for size in sizes:
        subset = features[rng.choice(n, size, replace=False)]
        found.append(_distance(_of_features(subset, "features"), target))
    slope, intercept = np.polyfit(1 / sizes, found, 1)
    return {"infinity": float(intercept), "slope": float(slope)}


def standard_error(
    features: np.ndarray, reference: Gaussian, replicates: int = 20, seed: int = 0
) -> float:
    """Standard error of the distance, from the choice of the generated samples.

    The standard deviation over bootstrap replicates, in which the generated samples are
    resampled with replacement and the reference is fixed. With 20 replicates it is
    itself uncertain by a sixth. It does not measure the bias: see `infinity`.

    Args: features: generated [N, D]; reference: as in `distance`; replicates >= 2;
      seed draws them.

    Raises ValueError as `distance_of_features` does, and for replicates < 2.
    """
    if replicates < 2:
        raise ValueError(f"replicates={replicates}: at least 2 are needed")
    features = checked(features, "features", at_least=2)
    target = _of_moments(reference, "reference")
    _same_size(features.shape[1], len(target.mean))
    n, rng = len(features), np.random.default_rng(seed)
    mean = features.mean(axis=0, dtype=np.float64)
    counts = rng.multinomial(n, np.full(n, 1 / n), size=replicates)  # [R, N]
    centred = features - mean
    squares = np.einsum("nd,nd->n", centred, centred)
    shifts = counts @ centred / n  # [R, D] of the mean
    # tr (S1 S2)^(1/2) = tr (A1^T S2 A1)^(1/2): the features are needed along A1 only.
    along = centred @ target.root  # [N, r]
    found = []
    for count, shift in zip(counts, shifts, strict=True):
        apart = mean + shift - target.mean
        trace = (count @ squares - n * shift @ shift) / (n - 1)
        inner = _weighted_cov(along, count, shift @ target.root)
        # Zero eigenvalues come out as +-1e-16 of the largest.
        roots = np.sqrt(np.maximum(np.linalg.eigvalsh(inner), 0))
        found.append(apart @ apart + trace - 2 * roots.sum())
    return float(np.std(found, ddof=1))


def _weighted_cov(x, count, mean):
    rows = np.flatnonzero(count)
    total = -count.sum() * np.outer(mean, mean)
    for some in pieces(rows):
        weighted = x[some] * np.sqrt(count[some])[:, None]
        total += weighted.T @ weighted
    return total / (count.sum() - 1)


@dataclasses.dataclass(frozen=True, eq=False)
class _Root:
    """A mean [D] and a root [D, r] of the covariance = root root^T."""

    mean: np.ndarray
    root: np.ndarray


def _distance(a: _Root, b: _Root) -> float:
    _same_size(len(a.mean), len(b.mean))
    apart = a.mean - b.mean
    traces = (a.root**2).sum() + (b.root**2).sum()
    nuclear = np.linalg.svd(a.root.T @ b.root, compute_uv=False).sum()
    return float(apart @ apart + traces - 2 * nuclear)


def _same_size(d, e):
    if d != e:
        raise ValueError(f"features of {d} and of {e} dimensions cannot be compared")


def _of_features(features, name) -> _Root:
    features = checked(features, name, at_least=2)
    n, d = features.shape
    if n > d:
        return _of_moments(Moments.of(features), name)
    x = features.astype(np.float64)
    mean = x.mean(axis=0)
    return _Root(mean, (x - mean).T / np.sqrt(n - 1))


def _of_moments(gaussian: Gaussian, name: str) -> _Root:
    if isinstance(gaussian, Moments):
        gaussian = gaussian.mean, gaussian.cov()
    mean, cov = map(np.asarray, gaussian)
    if mean.ndim != 1 or cov.shape != (len(mean), len(mean)):
        shapes = f"{list(mean.shape)} and {list(cov.shape)}"
        raise ValueError(
            f"{name}: mean and covariance are {shapes}, not [D] and [D, D]"
        )
    if not (np.isfinite(mean).all() and np.isfinite(cov).all()):
        raise ValueError(f"{name}: mean or covariance has NaN or infinity")
    # Of its own type, in which sums over many samples were rounded too.
    rounding = max(len(mean), 1000) * np.finfo(np.result_type(cov, np.float32)).eps
    mean, cov = mean.astype(np.float64), cov.astype(np.float64)
    lopsided = np.abs(cov - cov.T).max()
    if lopsided > rounding * np.abs(cov).max():
        raise ValueError(f"{name}: covariance is not symmetric: {lopsided:.3g} off")
    values, vectors = np.linalg.eigh((cov + cov.T) / 2)
    if values[0] < -rounding * abs(values[-1]):
        raise ValueError(
            f"{name}: covariance is not positive semidefinite: it has the eigenvalue "
            f"{values[0]:.6g}, and {values[-1]:.6g} as its largest"
        )
    # The zeros of a singular covariance come out as noise of either sign, whose roots
    # would count: what is no larger than such noise is zero.
    kept = values > max(-values[0], 4 * np.finfo(float).eps * values[-1])
    return _Root(mean, vectors[:, kept] * np.sqrt(values[kept]))
