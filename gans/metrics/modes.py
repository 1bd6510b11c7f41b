"""Coverage and quality of 2-D samples whose true distribution is known."""

import numpy as np

SECTORS = 36


def measure(samples: dict[str, np.ndarray], source) -> dict[str, float]:
    """Returns the figures below for samples["point"] [N, 2].

    Mixtures (`source.modes` [K, 2], `source.sigma`): see `mixture`; the ring
    (`source.radius`): see `ring`. Raises ValueError for a source with neither.
    """
    points = np.asarray(samples["point"]) if "point" in samples else None
    if points is None or not hasattr(source, "sigma"):
        raise ValueError("metric 'modes' is for the 2-D sets: circle, ring8, grid25")
    if source.modes is None:
        return ring(points, source.radius, source.sigma)
    return mixture(points, source.modes, source.sigma)


def mixture(points: np.ndarray, modes: np.ndarray, sigma: float) -> dict[str, float]:
    """Modes recovered and share of high-quality samples.

    A sample is of high quality within 3 sigma of its nearest mode (VEEGAN, arXiv
    1705.07761, section 4.1; as a distance in the plane this holds for 98.9 % of the
    true distribution). A mode is recovered if at least a tenth of its fair share of all
    samples are such samples of it; VEEGAN asks for a single one.

    Args: points [N, 2]; modes [K, 2], equally likely; sigma of each mode.
    Returns: {"modes": 0 .. K, "high_quality": in [0, 1]}.
    """
    distances = np.linalg.norm(points[:, None] - modes[None], axis=-1)  # [N, K]
    good = distances.min(axis=1) <= 3 * sigma
    counts = np.bincount(distances.argmin(axis=1)[good], minlength=len(modes))
    recovered = counts >= max(0.1 * len(points) / len(modes), 1)
    return {"modes": float(recovered.sum()), "high_quality": float(good.mean())}


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
