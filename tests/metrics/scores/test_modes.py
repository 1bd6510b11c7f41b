"""Figures of samples with known modes, on samples whose figures can be counted."""

import types

import numpy as np
import pytest
import scipy.stats

from gans import data
from gans.metrics.scores import modes

MODES = np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0], [10.0, 10.0]], np.float32)


def test_modes_and_quality_by_hand():
    # 100 samples, sigma 1: 60 on mode 0; 3 near mode 1, of 25 its fair share, so a
    # tenth of it (2.5) and recovered; 2 on mode 2, too few; 35 in the middle, 7.07
    # from every mode. Good ones: 60 + 3 + 2.
    points = np.concatenate(
        [
            np.tile(MODES[0], (60, 1)),
            np.tile(MODES[1] + [0, 2.9], (3, 1)),
            np.tile(MODES[2], (2, 1)),
            np.full((35, 2), 5.0),
        ]
    )
    # Shares 60/65, 3/65, 2/65 of 4 modes: log 4 - entropy
    #   = 1.386294 - (0.073886 + 0.141959 + 0.107115) = 1.063335.
    found = modes.mixture(points, MODES, sigma=1.0)
    kl = found.pop("kl")
    np.testing.assert_allclose(kl, 1.063335, atol=1e-6)
    assert found == {"modes": 2.0, "high_quality": 0.65}
    # Beyond 3 sigma they are neither: 60/62 and 2/62.
    points[60:63] = MODES[1] + [0, 3.1]
    found = modes.mixture(points, MODES, 1.0)
    np.testing.assert_allclose(found.pop("kl"), 1.243788, atol=1e-6)
    assert found == {"modes": 1.0, "high_quality": 0.62}


def test_divergence_from_uniform():
    assert modes.kl_to_uniform(np.array([5, 5, 5, 5])) == 0
    np.testing.assert_allclose(modes.kl_to_uniform(np.array([0, 9, 0, 0])), np.log(4))
    np.testing.assert_allclose(modes.kl_to_uniform(np.array([3, 3, 0, 0])), np.log(2))
    assert modes.kl_to_uniform(np.zeros(4)) == np.log(4)  # no sample: the worst
    counts = np.random.default_rng(0).integers(1, 50, 25)
    uniform = np.full(25, 1 / 25)
    expected = scipy.stats.entropy(counts, uniform)
    np.testing.assert_allclose(modes.kl_to_uniform(counts), expected, rtol=1e-12)
    # The other direction is another number, by far more than the tolerance.
    assert abs(scipy.stats.entropy(uniform, counts) - expected) > 1e-3
    # (K - 1) / 2n of n true samples: 24 / 20,000 = 0.0012.
    draws = [np.random.default_rng(i).multinomial(10_000, uniform) for i in range(200)]
    mean = np.mean([modes.kl_to_uniform(x) for x in draws])
    np.testing.assert_allclose(mean, 0.0012, rtol=0.1)


def probabilities(digits, p):
    """[N, 3, 10] with p[n][c] at digits[n][c] and the rest spread evenly."""
    p = np.asarray(p, float)[..., None]
    at = np.eye(10)[np.asarray(digits)]
    return at * p + (1 - at) * (1 - p) / 9


def test_stacked_digits_by_hand():
    # Modes 123 (twice), 321 and 000, the last with a channel that is not sure. Shares
    # 1/2, 1/4, 1/4 of 1,000: log 1000 - 1.5 log 2 = 5.868034.
    seen = probabilities(
        [[1, 2, 3], [1, 2, 3], [3, 2, 1], [0, 0, 0]],
        [[0.95] * 3, [0.99] * 3, [0.91] * 3, [0.99, 0.89, 0.99]],
    )
    found = modes.stacked(seen)
    np.testing.assert_allclose(found.pop("kl"), 5.868034, atol=1e-6)
    assert found == {"modes": 3.0, "high_quality": 0.75}


def test_stacked_digits_of_every_mode_and_of_one():
    every = np.stack(np.unravel_index(np.arange(1000), (10, 10, 10)), axis=1)
    found = modes.stacked(probabilities(every, np.full((1000, 3), 0.95)))
    assert found == {"modes": 1000.0, "high_quality": 1.0, "kl": 0.0}
    one = modes.stacked(probabilities([[4, 5, 6]] * 7, np.full((7, 3), 0.5)))
    np.testing.assert_allclose(one.pop("kl"), np.log(1000))
    assert one == {"modes": 1.0, "high_quality": 0.0}
    # Each of two channels collapsed: 10 modes, KL log 100.
    line = [[d, 0, 9] for d in range(10)]
    found = modes.stacked(probabilities(line, np.full((10, 3), 0.95)))
    assert found["modes"] == 10
    np.testing.assert_allclose(found["kl"], np.log(100))


def test_the_ring_by_hand():
    # 360 points at radius 5, one per degree (half a degree off the sectors' edges):
    # 10 in each sector. Of 72 more, all in the first sector, the half lies outside
    # 3 sigma: (360 + 36) / 432. The fair share is 12: 82 > 24 fails, 10 passes.
    angles = np.radians(np.arange(360) + 0.5)
    ring = 5 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    first = 5 * np.array([[np.cos(0.05), np.sin(0.05)]])
    points = np.concatenate(
        [ring, np.tile(first, (36, 1)), np.tile(2 * first, (36, 1))]
    )
    found = modes.ring(points, radius=5.0, sigma=0.5)
    np.testing.assert_allclose(found["high_quality"], 396 / 432)
    assert found["sectors"] == 35
    # A collapsed generator fills one sector only.
    assert modes.ring(np.tile(first, (50, 1)), 5.0, 0.5)["sectors"] == 0


@pytest.mark.parametrize(
    ("name", "expected"),
    [("ring8", (8, 0.9889)), ("grid25", (25, 0.9889)), ("circle", (36, 0.9973))],
)
def test_the_data_itself_scores_full_marks(name, expected):
    # Within 3 sigma: 1 - exp(-9 / 2) in the plane, erf(3 / sqrt(2)) along the radius.
    source = data.load(name)
    found = modes.measure(source.take(np.arange(20_000))["point"], source)
    count = found.get("modes", found.get("sectors"))
    assert count == expected[0]
    np.testing.assert_allclose(found["high_quality"], expected[1], atol=0.003)
    if "kl" in found:  # (K - 1) / 2n is 0.0006 at most
        assert found["kl"] < 0.002


def test_images_have_no_modes():
    source = types.SimpleNamespace(name="digits")
    with pytest.raises(ValueError, match="2-D sets"):
        modes.measure(np.zeros((1, 2)), source)
