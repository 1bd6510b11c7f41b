"""Distances of shapes against sums over pairs of voxels, coverage and matching."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from gans.metrics.scores import shapes


def random_shapes(n, seed, share=0.1):
    return np.random.default_rng(seed).random((n, 5, 6, 7)) < share


def by_pairs(a, b):
    """The Chamfer distance of two shapes, by all distances of their voxels."""
    d = cdist(np.argwhere(a), np.argwhere(b))
    return (d.min(1).mean() + d.min(0).mean()) / 2


def test_chamfer_is_that_of_pairs_of_voxels():
    a, b = random_shapes(3, 0), random_shapes(4, 1)
    expected = [[by_pairs(x, y) for y in b] for x in a]
    np.testing.assert_allclose(shapes.chamfer(a, b), expected, rtol=1e-5)
    np.testing.assert_allclose(shapes.chamfer(a, a).diagonal(), 0, atol=1e-6)
    np.testing.assert_allclose(shapes.chamfer(b, a), shapes.chamfer(a, b).T, rtol=1e-6)
    # The negative control: one direction alone is another number.
    assert abs(shapes._far(a, b) - expected).max() > 0.05


def test_overlap_is_one_less_the_union():
    a, b = random_shapes(3, 2, 0.4), random_shapes(2, 3, 0.4)
    expected = [[1 - (x & y).sum() / (x | y).sum() for y in b] for x in a]
    np.testing.assert_allclose(shapes.overlap(a, b), expected, rtol=1e-5)


@pytest.mark.parametrize("distance", shapes.DISTANCES.values())
def test_nothing_is_far_from_all_and_like_nothing(distance):
    a = np.concatenate([random_shapes(2, 0), np.zeros((1, 5, 6, 7), bool)])
    found = distance(a, a)
    assert np.isfinite(found).all() and found[2, 2] == 0
    most = {"chamfer": np.sqrt(110), "overlap": 1}[distance.__name__]
    np.testing.assert_allclose(found[2, :2], most, rtol=1e-6)


def test_coverage_and_matching():
    # The first two samples are nearest to reference 0, the third to reference 2.
    distances = np.array([[1.0, 2, 3], [0.5, 4, 3], [9, 8, 1]])
    assert shapes.coverage(distances) == pytest.approx(2 / 3)
    matching, error = shapes.matching(distances)
    assert matching == pytest.approx((0.5 + 2 + 1) / 3) and error > 0
