"""The kernel distance by hand, pair by pair, and against torch-fidelity."""

import math
import operator

import numpy as np
import pytest

from gans.metrics.scores import kernel


def features(n, seed, d=16):
    return np.random.default_rng(seed).gamma(0.5 + seed / 10, size=(n, d))


def pair_by_pair(x, y):
    """The definition, one kernel at a time, summed without rounding."""
    x, y = x.tolist(), y.tolist()

    def mean(pairs):
        found = [
            (math.fsum(map(operator.mul, a, b)) / len(a) + 1) ** 3 for a, b in pairs
        ]
        return math.fsum(found) / len(found)

    within = [
        mean((a, b) for i, a in enumerate(s) for j, b in enumerate(s) if i != j)
        for s in (x, y)
    ]
    return sum(within) - 2 * mean((a, b) for a in x for b in y)


def subsets(x, y, n_subsets, size, seed):
    rng = np.random.RandomState(seed)
    for _ in range(n_subsets):
        yield [s[rng.choice(len(s), size, replace=False)] for s in (x, y)]


def test_by_hand():
    # k(a, b) = (a b + 1)^3. Between the two x: 1; between the two y: 27; across
    # 1, 1, 8, 27, of mean 9.25: 1 + 27 - 18.5. With each one's kernel with itself it
    # would be (1 + 1 + 1 + 8) / 4 + (8 + 27 + 27 + 125) / 4 - 18.5 = 31.
    x, y = np.array([[0.0], [1.0]]), np.array([[1.0], [2.0]])
    assert kernel.mmd2(x, y) == 9.5
    assert kernel.distance(x, y, n_subsets=3, subset_size=2) == {"mean": 9.5, "std": 0}


def test_against_every_pair():
    x, y = features(60, 1), features(45, 2)
    assert kernel.mmd2(x, y) == pytest.approx(pair_by_pair(x, y), rel=1e-12)
    found = kernel.distance(x, y, n_subsets=4, subset_size=30, seed=5)
    expected = [pair_by_pair(*some) for some in subsets(x, y, 4, 30, seed=5)]
    assert found["mean"] == pytest.approx(np.mean(expected), rel=1e-12)
    assert found["std"] == pytest.approx(np.std(expected), rel=1e-11)


def test_against_torch_fidelity(reference):
    theirs = reference("torch_fidelity.metric_kid").kid_features_to_metric
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    x = rng.gamma(0.5, size=(300, 256)).astype(np.float32)
    y = rng.gamma(0.51, size=(250, 256)).astype(np.float32)
    options = dict(kid_subsets=10, kid_subset_size=200, rng_seed=2020, verbose=False)
    found = kernel.distance(x, y, n_subsets=10, subset_size=200, seed=2020)

    def their(dtype):
        their = theirs(*(torch.tensor(s, dtype=dtype) for s in (x, y)), **options)
        return [their[f"kernel_inception_distance_{name}"] for name in ("mean", "std")]

    mean, std = their(torch.float64)
    assert found["mean"] == pytest.approx(mean, rel=5e-7)
    assert found["std"] == pytest.approx(std, rel=5e-7)
    # In float32, as features usually come, their own kernels are too coarse.
    assert abs(their(torch.float32)[0] / found["mean"] - 1) > 5e-6


@pytest.mark.parametrize("block", [1, 45, 45 * 60 - 1, 45 * 60, 45 * 61])
def test_blocks_do_not_matter(monkeypatch, block):
    x, y = features(60, 1), features(45, 2)
    whole = kernel.mmd2(x, y)
    monkeypatch.setattr(kernel, "BLOCK", block)
    assert kernel.mmd2(x, y) == pytest.approx(whole, rel=1e-12)


def test_equal_distributions_are_zero_in_the_mean():
    sets = np.random.default_rng(0).gamma(0.5, size=(2, 200, 40, 4))
    found = [kernel.mmd2(x, y) for x, y in zip(*sets, strict=True)]
    assert abs(np.mean(found)) < 4 * np.std(found) / np.sqrt(200)
    assert min(found) < 0 < max(found)
    # With each one's kernel with itself, the mean would be far off.
    diagonal = [((s**2).sum(axis=-1) / 4 + 1) ** 3 / 40 for s in sets]
    assert np.mean(diagonal) > 10 * np.std(found) / np.sqrt(200)


def test_seeds():
    x, y = features(60, 1), features(45, 2)
    found = kernel.distance(x, y, subset_size=20, n_subsets=5, seed=1)
    assert found == kernel.distance(x, y, subset_size=20, n_subsets=5, seed=1)
    assert found != kernel.distance(x, y, subset_size=20, n_subsets=5, seed=2)


def test_what_is_rejected():
    x, y = features(60, 1), features(45, 2)
    for options in ({}, {"subset_size": 46}, {"subset_size": 1}):
        with pytest.raises(ValueError, match=r"60 and 45 samples.* in \[2, 45\]"):
            kernel.distance(x, y, **options)
    with pytest.raises(ValueError, match="0 subsets"):
        kernel.distance(x, y, n_subsets=0, subset_size=10)
    with pytest.raises(ValueError, match="of 16 and of 15 dimensions"):
        kernel.mmd2(x, y[:, 1:])
    with pytest.raises(ValueError, match="x has 1 rows"):
        kernel.mmd2(x[:1], y)
    y[3] = np.inf
    with pytest.raises(ValueError, match="y: 1 of 45 rows"):
        kernel.mmd2(x, y)
