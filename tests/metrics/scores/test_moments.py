"""Mean and covariance in pieces, against numpy's on the whole."""

import functools
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gans.metrics.scores import moments
from gans.metrics.scores.moments import Moments


def error(found, expected):
    """Largest difference, relative to the largest entry."""
    return np.abs(found - expected).max() / np.abs(expected).max()


def features(n=300, d=7, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, d)) @ rng.standard_normal((d, d)) + 3


def test_by_hand():
    # Mean (2, 3); differences (-1, 1), (0, -1), (1, 0), so the scatter is
    # [[1 + 0 + 1, -1 + 0 + 0], [-1, 1 + 1 + 0]].
    found = Moments.of(np.array([[1, 4], [2, 2], [3, 3]]))
    assert found.n == 3
    np.testing.assert_array_equal(found.mean, [2, 3])
    np.testing.assert_allclose(found.scatter, [[2, -1], [-1, 2]], atol=1e-15)
    np.testing.assert_allclose(found.cov(), found.scatter / 2)
    np.testing.assert_allclose(found.cov(ddof=0), found.scatter / 3)


@settings(deadline=None, max_examples=50)
@given(
    cuts=st.lists(st.integers(1, 299), unique=True).map(sorted),
    rows=st.sampled_from([1, 2, 7, 299, 300, 4096]),
)
def test_any_split_gives_the_moments_of_the_whole(cuts, rows):
    x = features()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(moments, "ROWS", rows)
        parts = [Moments.of(part) for part in np.split(x, cuts)]
    found = functools.reduce(Moments.merge, parts)
    assert found.n == 300
    assert error(found.mean, x.mean(axis=0)) < 1e-10
    assert error(found.cov(), np.cov(x, rowvar=False)) < 1e-10
    np.testing.assert_array_equal(found.scatter, found.scatter.T)


def test_the_order_of_merging_does_not_matter():
    parts = [Moments.of(part) for part in np.split(features(320), 8)]
    in_turn = functools.reduce(Moments.merge, parts)
    while len(parts) > 1:
        parts = [a.merge(b) for a, b in zip(parts[::2], parts[1::2], strict=True)]
    assert error(parts[0].scatter, in_turn.scatter) < 1e-10
    assert error(parts[0].mean, in_turn.mean) < 1e-10


@pytest.mark.parametrize("n", [1, 2, 4096, 4097])
def test_numbers_of_rows(n):
    x = features(n, 3).astype(np.float32)
    found = Moments.of(x)
    assert found.mean.dtype == found.scatter.dtype == np.float64
    assert error(found.mean, x.astype(float).mean(axis=0)) < 1e-10
    if n == 1:
        np.testing.assert_array_equal(found.scatter, 0)
        with pytest.raises(ValueError, match="ddof=1 of 1 samples"):
            found.cov()
    else:
        assert error(found.cov(), np.cov(x.astype(float), rowvar=False)) < 1e-10


def test_a_large_mean_costs_nothing():
    # The differences from 1e6 are exact in float64, and so is the reference.
    x = 1e6 + np.random.default_rng(0).standard_normal((5000, 4))
    expected = np.cov(x - 1e6, rowvar=False)
    parts = [Moments.of(part) for part in np.array_split(x, 11)]
    for found in (Moments.of(x), functools.reduce(Moments.merge, parts)):
        assert error(found.cov(), expected) < 1e-10
        assert error(found.mean - 1e6, (x - 1e6).mean(axis=0)) < 1e-6
    # The textbook's formula would lose them.
    mean = x.mean(axis=0)
    naive = (x.T @ x / len(x) - np.outer(mean, mean)) * len(x) / (len(x) - 1)
    assert error(naive, expected) > 1e-9


def test_float32_would_not_do():
    x = features(5000).astype(np.float32)
    centred = x - x.mean(axis=0)
    single = centred.T @ centred / np.float32(len(x) - 1)
    expected = np.cov(x.astype(float), rowvar=False)
    assert error(single, expected) > 1e-9
    assert error(Moments.of(x).cov(), expected) < 1e-10


def test_memory_is_that_of_a_piece():
    x = np.ones((60_000, 32), np.float32)  # 7.7 MB, or 15.4 in float64
    tracemalloc.start()
    Moments.of(x)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4e6


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.zeros(3), r"real numbers \[N, D\], not float64 \[3\]"),
        (np.zeros((2, 3), complex), "real numbers"),
        (np.zeros((0, 3)), "features has 0 rows"),
        ([[0, np.nan], [1, 2], [np.inf, np.nan]], "2 of 3 rows have NaN"),
    ],
)
def test_what_is_rejected(x, message):
    with pytest.raises(ValueError, match=message):
        Moments.of(x)


def test_moments_of_different_features_are_not_merged():
    with pytest.raises(ValueError, match="of 3 and of 4 features"):
        Moments.of(np.zeros((2, 3))).merge(Moments.of(np.zeros((2, 4))))
