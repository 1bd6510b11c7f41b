"""Coverage and quality of samples whose true modes are known: 2-D, or stacked digits.

The Kullback-Leibler divergence of the modes' shares from the uniform distribution is
0 nats for equal shares, and log K for all samples on one of K modes. Of n samples of
the true distribution it is about (K - 1) / 2n, not 0.
"""

import numpy as np

SECTORS = 36
CONFIDENT = 0.9  # probability of a class; this project's own convention


def measure(points: np.ndarray, source) -> dict[str, float]:
    """Returns the figures below for points [N, 2].

    Mixtures (`source.modes` [K, 2], `source.sigma`): see `mixture`; the ring
    (`source.radius`): see `ring`. Raises ValueError for a source with neither.
    """
    points = np.asarray(points)
    if not hasattr(source, "sigma"):
        raise ValueError("metric 'modes' is for the 2-D sets: circle, ring8, grid25")
    if source.modes is None:
        return ring(points, source.radius, source.sigma)
    return mixture(points, source.modes, source.sigma)


def mixture(points: np.ndarray, modes: np.ndarray, sigma: float) -> dict[str, float]:
    """Modes recovered, share of high-quality samples, and how evenly these are spread.

    A sample is of high quality within 3 sigma of its nearest mode (VEEGAN, arXiv
    1705.07761, section 4.1; as a distance in the plane this holds for 98.9 % of the
    true distribution). A mode is recovered if at least a tenth of its fair share of all
    samples are such samples of it; VEEGAN asks for a single one.

    Args: points [N, 2]; modes [K, 2], equally likely; sigma of each mode.
    Returns: {"modes": 0 .. K, "high_quality": in [0, 1], "kl": in nats, of the shares
      of the modes among the high-quality samples (see `kl_to_uniform`)}.
    """
    distances = np.linalg.norm(points[:, None] - modes[None], axis=-1)  # [N, K]
    good = distances.min(axis=1) <= 3 * sigma
    counts = np.bincount(distances.argmin(axis=1)[good], minlength=len(modes))
    recovered = counts >= max(0.1 * len(points) / len(modes), 1)
    return {
        "modes": float(recovered.sum()),
        "high_quality": float(good.mean()),
        "kl": kl_to_uniform(counts),
    }


def kl_to_uniform(counts: np.ndarray) -> float:
    """KL(shares || uniform) in nats, in [0, log K], for counts [K] of the modes.

    Without any sample it is log K, the worst there is, so that means over runs stay
    finite.
    """
    if not counts.sum():
        return float(np.log(len(counts)))
    shares = counts[counts > 0] / counts.sum()
    return float(np.sum(shares * np.log(shares * len(counts))))


def stacked(probabilities: np.ndarray) -> dict[str, float]:
    """Figures of stacked digits, as a classifier of single digits sees their channels.

    As in Unrolled GANs (arXiv 1611.02163, section 3.3.1) and PacGAN (arXiv 1712.04086,
    section 4.2) every sample counts for the mode of its three likeliest digits, and one
    sample is enough to recover a mode; so the numbers depend on N, in the papers
    26,000. A classifier sees digits in noise too: `high_quality`, which is ours, is the
    share of samples in which it gives each channel's digit more than 0.9.

    Args: probabilities [N, 3, k] of k classes for each channel.
    Returns: {"modes": 0 .. k ** 3, "high_quality": in [0, 1], "kl": in nats, of the
      shares of the modes among all samples}.
    """
    _, n_channels, k = probabilities.shape
    digits = probabilities.argmax(axis=-1)
    mode = digits @ k ** np.arange(n_channels)[::-1]
    counts = np.bincount(mode, minlength=k**n_channels)
    confident = (probabilities.max(axis=-1) > CONFIDENT).all(axis=-1)
    return {
        "modes": float((counts > 0).sum()),
        "high_quality": float(confident.mean()),
        "kl": kl_to_uniform(counts),
    }


def ring(points: np.ndarray, radius: float, sigma: float) -> dict[str, float]:
    """Share of samples near the ring, and how evenly they go round it.

    Args: points [N, 2]; the ring's radius; sigma of the distance from it.
    Returns: {"high_quality": share within 3 sigma of the radius, in [0, 1] (0.997 for
      the true distribution), "sectors": of the 36 sectors, how many hold between half
      and twice their share of all samples}.
    """
    distances = np.abs(np.linalg.norm(points, axis=-1) - radius)
    turns = np.arctan2(points[:, 1], points[:, 0]) / (2 * np.pi)  # in [-0.5, 0.5]
    sector = np.floor((turns % 1.0) * SECTORS).astype(int) % SECTORS
    shares = np.bincount(sector, minlength=SECTORS) / len(points) * SECTORS
    return {
        "high_quality": float((distances <= 3 * sigma).mean()),
        "sectors": float(((shares >= 0.5) & (shares <= 2)).sum()),
    }
