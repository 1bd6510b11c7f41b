"""The classifier that sees conditional samples."""

import numpy as np
import pytest

from gans import data
from gans.metrics.scores import agreement


@pytest.fixture(scope="module")
def digits():
    """Images in [-1, 1] and labels, in random order."""
    source = data.load("digits", resolution=16)
    real = source.take(np.random.default_rng(0).permutation(len(source)))
    return real["image"] / np.float32(127.5) - 1, real["label"]


def test_real_digits_agree_with_their_labels(digits):
    found = agreement.measure(*(x[:300] for x in digits), *digits)
    assert found["accuracy"] >= 0.95
    assert found["agreement"] >= 0.95


def test_wrong_labels_and_noise_do_not(digits):
    images, labels = (x[:300] for x in digits)
    found = agreement.measure(images, (labels + 1) % 10, *digits)
    assert found["agreement"] < 0.05
    noise = np.random.default_rng(0).uniform(-1, 1, images.shape)
    assert agreement.measure(noise, labels, *digits)["agreement"] < 0.3
