"""Figures of labelled samples, counted by hand."""

import numpy as np
import pytest

from gans.metrics.scores import classes, frechet


def test_coverage_by_hand():
    # Of 100 real samples 50, 30, 20, 0; of 50 generated ones 39, 1, 10, 0. A tenth of
    # the second class's share, 3 %, is more than 2 %.
    real = np.repeat([0, 1, 2], [50, 30, 20])
    fake = np.repeat([2, 0, 1], [10, 39, 1])
    found = classes.coverage(real, fake, n_classes=4)
    kl = 0.78 * np.log(0.78 / 0.5) + 0.02 * np.log(0.02 / 0.3) + 0.2 * np.log(1)
    assert found == {"classes": 3, "classes_tenth": 2, "kl": pytest.approx(kl, 1e-14)}
    # It is not the divergence the other way round.
    other = 0.5 * np.log(0.5 / 0.78) + 0.3 * np.log(0.3 / 0.02)
    assert abs(other - kl) > 0.1


def test_a_tenth_is_enough():
    # Each of ten classes holds a tenth of the real; a hundredth is a tenth of that.
    real, fake = np.repeat(np.arange(10), 10), np.repeat([0, 1, 2], [97, 2, 1])
    found = classes.coverage(real, fake, 10)
    assert found["classes"] == found["classes_tenth"] == 3


def test_ends_of_coverage():
    labels = np.arange(1000).repeat(3)
    found = classes.coverage(labels, labels[::-1], 1000)
    assert found == {"classes": 1000, "classes_tenth": 1000, "kl": 0}
    # All in one of a thousand: KL = log 1000.
    found = classes.coverage(labels, np.full(7, 999), 1000)
    assert found == {"classes": 1, "classes_tenth": 1, "kl": pytest.approx(np.log(1e3))}
    # In a class that is not real: infinite, and no class recovered.
    found = classes.coverage(np.array([0]), np.array([1]), 2)
    assert found == {"classes": 0, "classes_tenth": 0, "kl": np.inf}


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0, 3], r"fake_labels are in \[0, 3\], not in \[0, 3\)"),
        ([-1, 2], "fake_labels are in"),
        ([], "integers"),
        ([0.5], r"integers \[N\], N > 0, not float64 \[1\]"),
        ([[1]], "integers"),
    ],
)
def test_labels_that_are_none(labels, message):
    with pytest.raises(ValueError, match=message):
        classes.coverage(np.array([0, 1]), np.array(labels), 3)


def test_intra_frechet_by_hand():
    # On a line, deviations with ddof=1. Class 3: means 0 and 5, deviations sqrt 2 and
    # 2 sqrt 2: 25 + 2. Class 7: means 1 and 1, deviations sqrt 2 both: 0. Mean 13.5.
    real = np.array([[-1.0], [0.0], [1.0], [2.0]])
    fake = np.array([[0.0], [3.0], [7.0], [2.0]])
    found = classes.intra_frechet(
        real, np.array([3, 7, 3, 7]), fake, np.array([7, 3, 3, 7])
    )
    assert found == pytest.approx(13.5, rel=1e-12)


def test_swapped_classes_are_seen_within_them_alone():
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 2
    real, fake = rng.standard_normal((2, 60, 4)) + 5 * labels[:, None]
    right = classes.intra_frechet(real, labels, fake, labels)
    swapped = classes.intra_frechet(real, labels, fake, 1 - labels)
    assert right < frechet.distance_of_features(real, fake) + 2 < 10 < swapped


def test_classes_that_are_too_small():
    x, labels = np.random.default_rng(0).standard_normal((6, 2)), np.arange(6) % 3
    few = np.array([0, 0, 1, 1, 1, 2])
    with pytest.raises(ValueError, match="class 2: 1 generated samples, fewer than 2"):
        classes.intra_frechet(x, labels, x, few)
    with pytest.raises(ValueError, match="class 2: 1 real samples"):
        classes.intra_frechet(x, few, x, labels)
    with pytest.raises(ValueError, match="class 3: 0 real samples"):
        classes.intra_frechet(x, labels, np.tile(x, (2, 1)), np.arange(12) % 4)
    with pytest.raises(ValueError, match="6 generated features, but 5 labels"):
        classes.intra_frechet(x, labels, x, few[:5])


def test_what_is_read_with_confidence():
    # Probabilities 0.9 and 0.1; 0.8 and 0.2; 0.05 and 0.95.
    logits = np.log([[0.9, 0.1], [0.8, 0.2], [0.05, 0.95]]) + 3
    assert classes.read(logits, None, 0.85) == {"confident": pytest.approx(2 / 3)}
    found = classes.read(logits, np.array([0, 0, 0]), 0.85)
    assert found == {
        "confident": pytest.approx(2 / 3),
        "as_asked": pytest.approx(1 / 3),
    }
    assert classes.read(logits, np.array([0, 0, 1]), 0.8)["as_asked"] == 1
    assert classes.read(logits, np.array([1, 1, 0]), 0.5)["as_asked"] == 0
    large = np.array([[1e4, 0.0], [0.0, 1e4]])
    assert classes.read(large, np.array([0, 1]), 1.0) == {"confident": 1, "as_asked": 1}
