"""Points in the plane, against the moments of their distributions."""

import numpy as np
import pytest

from gans.data.sets import toy

N = toy.N_POINTS


def test_circle_moments():
    source = toy.load("circle")
    points = source.arrays["point"]
    assert points.shape == (N, 2) and points.dtype == np.float32
    assert source.shape == (2,) and source.n_classes is None and source.modes is None
    length = np.linalg.norm(points, axis=1)
    # Standard errors over 131,072 points: mean 0.5 / 362 = 0.0014, deviation 0.001.
    assert abs(length.mean() - source.radius) < 0.007
    assert abs(length.std() - source.sigma) < 0.005
    # The angle is uniform: 36 sectors of 3,641 points, each +- 59.
    angle = np.arctan2(points[:, 1], points[:, 0])
    share = np.histogram(angle, 36, (-np.pi, np.pi))[0]
    assert np.abs(share - N / 36).max() < 5 * 59
    # Radius and angle are independent: the mean of cos times the excess is 0.
    assert abs((np.cos(angle) * (length - 5)).mean()) < 0.005


@pytest.mark.parametrize(
    "name, n_modes, sigma, largest", [("ring8", 8, 0.02, 2), ("grid25", 25, 0.05, 4)]
)
def test_mixture_moments(name, n_modes, sigma, largest):
    source = toy.load(name)
    points, modes = source.arrays["point"], source.modes
    assert modes.shape == (n_modes, 2) and modes.dtype == np.float32
    assert source.sigma == sigma and source.radius is None
    np.testing.assert_allclose(np.abs(modes).max(), largest, rtol=1e-6)
    offset = points[:, None] - modes
    nearest = (offset**2).sum(-1).argmin(1)
    # Shares: N / K each, binomial, so 5 standard deviations are 5 sqrt(N / K).
    share = np.bincount(nearest, minlength=n_modes)
    assert np.abs(share - N / n_modes).max() < 5 * np.sqrt(N / n_modes)
    offset = offset[np.arange(N), nearest]
    # Both axes about each mode: 0 +- sigma / sqrt(N / K), and sigma to 0.6 %.
    for k in range(n_modes):
        about = offset[nearest == k]
        assert np.abs(about.mean(0)).max() < 5 * sigma / np.sqrt(N / n_modes)
        np.testing.assert_allclose(about.std(0), sigma, rtol=0.05)
    # Two normal axes: within 3 sigma lie 1 - exp(-4.5) = 98.89 %.
    within = (np.linalg.norm(offset, axis=1) < 3 * sigma).mean()
    assert abs(within - 0.98889) < 0.002


def test_modes_are_where_the_papers_have_them():
    ring = toy.load("ring8").modes
    np.testing.assert_allclose(np.linalg.norm(ring, axis=1), 2, rtol=1e-6)
    # Neighbours on the circle are 2 * 2 sin(pi / 8) apart.
    gaps = np.linalg.norm(ring - np.roll(ring, 1, 0), axis=1)
    np.testing.assert_allclose(gaps, 4 * np.sin(np.pi / 8), rtol=1e-6)
    grid = {tuple(m) for m in toy.load("grid25").modes.tolist()}
    assert grid == {(x, y) for x in (-4, -2, 0, 2, 4) for y in (-4, -2, 0, 2, 4)}


def test_drawn_by_seed_and_split():
    first = toy.load("ring8", seed=3).arrays["point"]
    np.testing.assert_array_equal(first, toy.load("ring8", seed=3).arrays["point"])
    assert (first != toy.load("ring8", seed=4).arrays["point"]).any()
    assert (first != toy.load("ring8", seed=3, split="test").arrays["point"]).any()
    with pytest.raises(ValueError, match="'all'.*train, test"):
        toy.load("ring8", split="all")
