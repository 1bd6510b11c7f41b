"""The inception score where it is known, and against torch-fidelity."""

import numpy as np
import pytest

from gans.metrics.scores import inception_score


def logits(n=103, k=12, seed=0):
    return 3 * np.random.default_rng(seed).standard_normal((n, k))


def test_closed_forms():
    # Sure of one of four classes, all four equally often: exp(log 4 - 0).
    sure = 1000.0 * np.eye(4)[np.arange(40) % 4]
    found = inception_score.score(sure, n_splits=1)
    assert found == {"mean": pytest.approx(4, rel=1e-14), "std": 0}
    # Of one class only, or never sure: there is nothing to tell apart.
    for same in (1000.0 * np.eye(4)[np.zeros(40, int)], np.zeros((40, 4))):
        found = inception_score.score(same)
        assert found == {"mean": pytest.approx(1), "std": pytest.approx(0, abs=1e-14)}
    # p = (3/4, 1/4) and (1/4, 3/4): KL from (1/2, 1/2) = 3/4 log 3/2 + 1/4 log 1/2.
    unsure = np.log([[3.0, 1.0], [1.0, 3.0]])
    expected = 1.5**0.75 * 0.5**0.25
    assert inception_score.score(unsure, 1)["mean"] == pytest.approx(expected, 1e-14)


def test_against_torch_fidelity(reference):
    theirs = reference("torch_fidelity.metric_isc").isc_features_to_metric
    torch = pytest.importorskip("torch")
    for dtype in (np.float32, np.float64):
        x = logits().astype(dtype)
        for n_splits in (1, 10, 103):
            found = inception_score.score(x, n_splits, seed=2020)
            their = theirs(torch.tensor(x), n_splits, shuffle=True, rng_seed=2020)
            for name in ("mean", "std"):
                expected = their[f"inception_score_{name}"]
                assert found[name] == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_other_conventions_differ():
    x = logits()
    found = inception_score.score(x, seed=1)
    p = np.exp(x[np.random.RandomState(1).permutation(103)])
    p /= p.sum(axis=1, keepdims=True)

    def scores(splits):
        kls = [(s * np.log(s / s.mean(axis=0))).sum(axis=1).mean() for s in splits]
        return np.exp(kls)

    # Splits of 10, 10, 10, 11 ... : numpy would put the longer ones first.
    edges = [i * 103 // 10 for i in range(1, 10)]
    right, wrong = scores(np.split(p, edges)), scores(np.array_split(p, 10))
    assert found["mean"] == pytest.approx(right.mean(), rel=1e-12)
    assert found["std"] == pytest.approx(right.std(ddof=0), rel=1e-10)
    assert abs(found["mean"] / wrong.mean() - 1) > 1e-8
    assert abs(found["std"] / right.std(ddof=1) - 1) > 1e-8


def test_samples_in_the_order_of_their_classes():
    # Unshuffled, each tenth would hold one class, and score 1.
    ordered = 1000.0 * np.eye(10)[np.repeat(np.arange(10), 100)]
    assert inception_score.score(ordered)["mean"] > 9
    assert inception_score.score(ordered, seed=1) != inception_score.score(ordered)


def test_what_is_rejected():
    for n_splits in (0, 104):
        with pytest.raises(ValueError, match="of 103 samples: accepted are 1 to 103"):
            inception_score.score(logits(), n_splits)
    x = logits()
    x[[2, 4]] = np.nan
    with pytest.raises(ValueError, match="logits: 2 of 103 rows"):
        inception_score.score(x)
