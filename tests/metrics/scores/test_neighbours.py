"""Nearest neighbours, counted by hand, and against the published implementations."""

import numpy as np
import pytest

from gans.metrics.scores import neighbours


def column(*values):
    return np.array(values, float)[:, None]


def features(n, seed, d=16, scale=1.0):
    return 2 + scale * np.random.default_rng(seed).standard_normal((n, d))


def every_score(real, fake):
    return (
        neighbours.precision_recall(real, fake)
        | neighbours.density_coverage(real, fake)
        | neighbours.nnfs(real, fake)
        | {
            f"threshold_{name}": value
            for name, value in neighbours.threshold_precision_recall(
                real, fake, delta=4.0
            ).items()
        }
    )


def test_by_hand():
    # Radii to the 1st other: real 1, 1, 2, 4; generated 3, 3, 17.
    real, fake = column(0, 1, 3, 7), column(2, 5, 22)
    np.testing.assert_allclose(neighbours.radii(real, 1), [1, 1, 2, 4])
    np.testing.assert_allclose(neighbours.radii(real, 3), [7, 6, 4, 7])
    # Closed balls: 2 is in those of 1 and 3, 5 in those of 3 and 7, 22 in none. Real
    # 0 and 1 and 3 are in that of 2, 3 and 7 in that of 5, 7 in that of 22.
    found = neighbours.precision_recall(real, fake, k=1)
    assert found == pytest.approx(
        {
            "precision": 2 / 3,
            "recall": 1,
            "precision_se": np.sqrt(2 / 9 / 3),
            "recall_se": 0,
        }
    )
    # Open balls: 2 is in that of 3 alone, 5 in that of 7 alone. Two balls are filled.
    found = neighbours.density_coverage(real, fake, k=1)
    assert found == pytest.approx(
        {
            "density": 2 / 3,
            "coverage": 0.5,
            "density_se": np.sqrt(2 / 9 / 3),
            "coverage_se": 0.25,
        }
    )
    # Nearest generated: 2, 1, 1, 2. Nearest real: 1, 2, 15.
    found = neighbours.threshold_precision_recall(real, fake, delta=1)
    assert found == pytest.approx(
        {
            "precision": 1 / 3,
            "recall": 0.5,
            "precision_se": np.sqrt(2 / 9 / 3),
            "recall_se": 0.25,
        }
    )
    distances, indices = neighbours.nearest(real, fake)
    np.testing.assert_allclose(distances, [2, 1, 1, 2])
    np.testing.assert_array_equal(indices, [0, 0, 0, 1])


def test_nnfs_by_hand():
    # Real 0 .. 10. The 5th other is at 5, 4, 3 (twice), 3, 3, 3, 3, 3, 4, 5 from the
    # ends to the middle; sorted 3 x 7, 4, 4, 5, 5, and the 90th percentile, entry 9 of
    # 0 .. 10, is 5. Of the generated ones 15 is at 5, not farther; 16 and -6 are.
    real, fake = column(*range(11)), column(3, 15, 16, -6, 7.5)
    found = neighbours.nnfs(real, fake)
    assert np.sort(neighbours.radii(real, 5)) == pytest.approx([3] * 7 + [4, 4, 5, 5])
    # To the nearest generated: 3, 2, 1, 0, 1, 2, 1.5, 0.5, 0.5, 1.5, 2.5.
    nearest = np.array([3, 2, 1, 0, 1, 2, 1.5, 0.5, 0.5, 1.5, 2.5])
    assert found == pytest.approx(
        {
            "annd_rg": nearest.mean(),
            "pas": 0.4,
            "annd_rg_se": nearest.std() / np.sqrt(11),
            "pas_se": np.sqrt(0.4 * 0.6 / 5),
        }
    )


def test_precision_and_recall_against_torch_fidelity(reference):
    theirs = reference("torch_fidelity.metric_prc").prc_features_to_metric
    torch = pytest.importorskip("torch")
    real, fake = features(500, 1), features(400, 2, scale=1.1)
    for k in (1, 3, 10):
        found = neighbours.precision_recall(real, fake, k)
        their = theirs(
            torch.tensor(fake),
            torch.tensor(real),
            prc_neighborhood=k,
            prc_batch_size=10000,
            save_cpu_ram=False,
            verbose=False,
        )
        for name, n in (("precision", 400), ("recall", 500)):
            assert 0 < found[name] < 1
            assert round(found[name] * n) == round(their[name] * n)
            assert found[name] == pytest.approx(their[name], rel=1e-6)
    # A wrong k is seen.
    assert neighbours.precision_recall(real, fake, 9) != found


def test_density_and_coverage_against_prdc(reference):
    theirs = reference("prdc").compute_prdc
    real, fake = features(500, 1), features(400, 2, scale=1.1)
    for k in (1, 5, 10):
        found = neighbours.density_coverage(real, fake, k)
        their = theirs(real, fake, nearest_k=k)
        assert found["density"] == pytest.approx(their["density"], rel=1e-12)
        assert found["coverage"] == pytest.approx(their["coverage"], rel=1e-12)
        assert 0 < found["coverage"] < 1
    assert neighbours.density_coverage(real, fake, 9) != found


def test_nnfs_and_thresholds_pair_by_pair():
    real, fake = features(300, 1), features(200, 2, scale=1.3)
    between = np.linalg.norm(real[:, None] - fake, axis=-1)
    within = np.sort(np.linalg.norm(real[:, None] - real, axis=-1), axis=1)
    np.testing.assert_allclose(neighbours.radii(real, 5), within[:, 5], rtol=1e-12)
    found = neighbours.nnfs(real, fake)
    tau = np.percentile(within[:, 5], 90)
    assert found["annd_rg"] == pytest.approx(between.min(axis=1).mean(), rel=1e-12)
    assert found["pas"] == (between.min(axis=0) > tau).mean()
    assert 0 < found["pas"] < 1
    # The 4th other, or itself counted, is not it.
    assert (
        found["pas"] != (between.min(axis=0) > np.percentile(within[:, 4], 90)).mean()
    )
    found = neighbours.threshold_precision_recall(real, fake, 4)
    assert found["precision"] == (between.min(axis=0) <= 4).mean()
    assert found["recall"] == (between.min(axis=1) <= 4).mean()
    distances, indices = neighbours.nearest(fake, real)
    np.testing.assert_allclose(distances, between.min(axis=0), rtol=1e-12)
    np.testing.assert_array_equal(indices, between.argmin(axis=0))


TOGETHER = {
    "precision_recall": {"k": 3},
    "nearest": {},
    "nnfs": {},
    "threshold_precision_recall": {},
    "density_coverage": {"k": 5},
}


def one_by_one(real, fake):
    found = neighbours.threshold_precision_recall(
        real, fake, np.percentile(neighbours.radii(real, 5), 90)
    )
    return {
        "precision_recall": neighbours.precision_recall(real, fake, k=3),
        "density_coverage": neighbours.density_coverage(real, fake, k=5),
        "threshold_precision_recall": found,
        "nnfs": neighbours.nnfs(real, fake),
        "nearest": neighbours.nearest(fake, real),
    }


@pytest.mark.parametrize("kind", ["apart", "tied", "copies"])
def test_together_they_are_exactly_what_they_are_alone(kind, monkeypatch):
    real, fake = features(300, 1), features(200, 2, scale=1.1)
    if kind == "tied":
        real, fake = np.round(real), np.round(fake)
    if kind == "copies":
        fake = np.concatenate([real[40:0:-1], fake, real[:9]])
    monkeypatch.setattr(neighbours, "ROWS", 64)
    alone = one_by_one(real, fake)
    found = neighbours.together(real, fake, **TOGETHER)
    assert list(found) == list(TOGETHER)
    tau = found["threshold_precision_recall"].pop("delta")
    within = np.sort(np.linalg.norm(real[:, None] - real, axis=-1), axis=1)[:, 5]
    assert tau == pytest.approx(np.percentile(within, 90), rel=1e-12)
    for x, y in zip(found.pop("nearest"), alone.pop("nearest"), strict=True):
        np.testing.assert_array_equal(x, y)
    assert found == alone
    # Another k or delta is seen.
    other = TOGETHER | {"precision_recall": {"k": 4}}
    other |= {"threshold_precision_recall": {"delta": 0.9 * tau}}
    other = neighbours.together(real, fake, **other)
    for name in ("precision_recall", "threshold_precision_recall"):
        assert other[name] != found[name]


def test_together_each_distance_is_computed_once(monkeypatch):
    real, fake = features(300, 1), features(200, 2)
    made, blocks = [], neighbours._blocks

    def counted(x, y):
        made.append((len(x), len(y)))
        return blocks(x, y)

    monkeypatch.setattr(neighbours, "_blocks", counted)
    neighbours.together(real, fake, **TOGETHER)
    assert sorted(made) == [(200, 200), (200, 300), (300, 300)]
    made.clear()
    neighbours.nearest(fake, real)
    assert made == [(200, 300)]
    made.clear()
    one_by_one(real, fake)
    assert len(made) == 10


def test_copies_and_ties(monkeypatch):
    # A copy of the real features: every closed ball holds its centre, and is reached
    # by its k-th neighbour; of the open balls of radius r_k, each holds its centre and
    # k - 1 others, so the density is 1 exactly.
    real = features(200, 1, d=512)
    assert neighbours.precision_recall(real, real)["precision"] == 1
    assert neighbours.precision_recall(real, real[::-1])["recall"] == 1
    found = neighbours.density_coverage(real, real[::-1].copy())
    assert found["density"] == pytest.approx(1, rel=1e-14)
    assert found["coverage"] == 1
    found = neighbours.nnfs(real, real[::-1])
    assert (found["annd_rg"], found["pas"]) == (0, 0)
    distances, indices = neighbours.nearest(real[::-1], real)
    np.testing.assert_array_equal(distances, 0)
    np.testing.assert_array_equal(indices, np.arange(200)[::-1])
    # Each real feature five times: radii are 0 for k <= 4; such balls hold their centre
    # if closed, and nothing if open.
    fivefold = np.tile(real, (5, 1))
    np.testing.assert_array_equal(neighbours.radii(fivefold, 4), 0)
    assert neighbours.radii(fivefold, 5).min() > 1
    assert neighbours.precision_recall(fivefold, real, k=4)["precision"] == 1
    assert neighbours.density_coverage(fivefold, real, k=4)["density"] == 0
    assert neighbours.density_coverage(fivefold, real, k=5)["coverage"] == 1
    # Steps of a tenth, which no distance hits exactly: all ties.
    steps = np.arange(50)[:, None] / 10 + np.zeros((1, 3))
    found = neighbours.density_coverage(steps, steps, k=2)
    # Radius one step but for the two ends, two steps there: 48 * 1 + 2 * 2 balls.
    assert found["density"] == pytest.approx(52 / 50 / 2)
    assert neighbours.nnfs(steps, steps + [[10, 0, 0]])["pas"] == 1
    monkeypatch.setattr(neighbours, "TIE", 0.0)
    # Without tolerance, rounding decides.
    assert neighbours.precision_recall(fivefold, real, k=4)["precision"] < 0.9
    assert neighbours.density_coverage(fivefold, real, k=4)["density"] > 0.1


def test_collapsed_generators():
    real, fake = features(100, 1), np.tile(features(1, 2), (80, 1))
    # Balls of radius 0 around one point hold no real feature.
    assert neighbours.precision_recall(real, fake)["recall"] == 0
    # On one of the real features, one alone, it is perfectly precise.
    fake = np.tile(real[7], (80, 1))
    found = neighbours.precision_recall(real, fake)
    assert (found["precision"], found["recall"]) == (1, 0.01)
    assert neighbours.threshold_precision_recall(real, fake, 0) == found


def test_a_large_common_mean_costs_nothing():
    # Multiples of 2^-22 and below 8, so that 2^22 is added without rounding.
    real, fake = features(200, 1), features(150, 2)
    real, fake = (np.round(x * 2**22) / 2**22 for x in (real, fake))
    near, far = every_score(real, fake), every_score(real + 2**22, fake + 2**22)
    assert far == pytest.approx(near, rel=1e-9)
    assert np.array_equal(real + 2**22 - 2**22, real)
    # Without the mean taken off, squares of 16 * 2^44 keep a few hundredths only.
    x, y = real + 2**22, fake + 2**22
    raw = (x**2).sum(axis=1)[:, None] - 2 * x @ y.T + (y**2).sum(axis=1)
    exact = ((real[:, None] - fake) ** 2).sum(axis=-1)
    assert np.abs(raw / exact - 1).max() > 1e-8


@pytest.mark.parametrize("rows", [1, 7, 59, 60, 61])
def test_blocks_do_not_matter(monkeypatch, rows):
    real, fake = features(60, 1), features(60, 2)
    whole, pairs = every_score(real, fake), neighbours.nearest(fake, real)
    monkeypatch.setattr(neighbours, "BLOCK", rows * 60)
    assert every_score(real, fake) == pytest.approx(whole, rel=1e-10, abs=0)
    for found, expected in zip(neighbours.nearest(fake, real), pairs, strict=True):
        np.testing.assert_array_equal(found, expected)


def test_single_samples():
    distances, indices = neighbours.nearest(features(1, 0), features(1, 1))
    assert distances.shape == indices.shape == (1,)
    real, fake = features(6, 0), features(1, 1)
    assert neighbours.density_coverage(real, fake, k=5)["density"] <= 6 / 5
    assert neighbours.nnfs(real, fake)["pas_se"] == 0
    found = neighbours.threshold_precision_recall(fake, fake, 0)
    assert (found["precision"], found["recall"]) == (1, 1)


def test_the_error_of_a_share():
    # Fresh generated samples against fixed real ones, as the definition holds them.
    real = features(200, 1, d=4)
    found = [
        neighbours.density_coverage(real, features(100, seed, d=4, scale=1.3))
        for seed in range(2, 82)
    ]
    spread = np.std([f["density"] for f in found])
    assert np.mean([f["density_se"] for f in found]) == pytest.approx(spread, rel=0.25)


def test_what_is_rejected():
    real, fake = features(60, 1), features(4, 2)
    for k, n in ((0, 60), (60, 60), (4, 4)):
        with pytest.raises(ValueError, match=f"k={k} neighbours of {n} samples"):
            neighbours.precision_recall(real, fake, k)
    for few in (real[:5], real[:1]):
        with pytest.raises(ValueError, match="k=5 neighbours"):
            neighbours.nnfs(few, fake)
    with pytest.raises(ValueError, match="of 15 and of 16 dimensions"):
        neighbours.nearest(real, fake[:, 1:])
    for delta in (-1, np.nan):
        with pytest.raises(ValueError, match="must not be negative"):
            neighbours.threshold_precision_recall(real, fake, delta)
    with pytest.raises(ValueError, match="'nnfz' is not one of .* did you mean 'nnfs'"):
        neighbours.together(real, fake, nnfz={})
    fake[2, 3] = np.nan
    with pytest.raises(ValueError, match="generated features: 1 of 4 rows"):
        neighbours.density_coverage(real, fake)
    with pytest.raises(ValueError, match="queries: 1 of 4 rows"):
        neighbours.nearest(fake, real)
