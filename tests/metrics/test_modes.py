"""Figures of 2-D samples, on points whose figures can be counted."""

import types

import numpy as np
import pytest

from gans import data
from gans.metrics import modes

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
    found = modes.mixture(points, MODES, sigma=1.0)
    assert found == {"modes": 2.0, "high_quality": 0.65}
    # Beyond 3 sigma they are neither.
    points[60:63] = MODES[1] + [0, 3.1]
    assert modes.mixture(points, MODES, 1.0) == {"modes": 1.0, "high_quality": 0.62}


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
    found = modes.measure(source.take(np.arange(20_000)), source)
    count = found.get("modes", found.get("sectors"))
    assert count == expected[0]
    np.testing.assert_allclose(found["high_quality"], expected[1], atol=0.003)


def test_images_have_no_modes():
    source = types.SimpleNamespace(name="digits")
    with pytest.raises(ValueError, match="2-D sets"):
        modes.measure({"image": np.zeros((1, 8, 8, 1))}, source)
