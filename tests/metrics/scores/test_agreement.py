"""The classifier that looks at conditional samples."""

import numpy as np
import pytest

from gans import data
from gans.metrics.scores import agreement


@pytest.fixture(scope="module")
def digits():
    return data.load("digits", resolution=16)


def samples_of(source, n=300):
    real = source.take(np.arange(n))
    image = (real["image"] / 127.5 - 1).astype(np.float32)
    return {"image": image, "label": real["label"]}


def test_real_digits_agree_with_their_labels(digits):
    found = agreement.measure(samples_of(digits), digits)
    assert found["accuracy"] >= 0.95
    assert found["agreement"] >= 0.95


def test_wrong_labels_and_noise_do_not(digits):
    samples = samples_of(digits)
    wrong = {**samples, "label": (samples["label"] + 1) % 10}
    assert agreement.measure(wrong, digits)["agreement"] < 0.05
    noise = np.random.default_rng(0).uniform(-1, 1, samples["image"].shape)
    assert agreement.measure({**samples, "image": noise}, digits)["agreement"] < 0.3


def test_samples_without_labels(digits):
    with pytest.raises(ValueError, match="conditional GAN"):
        agreement.measure({"image": np.zeros((2, 16, 16, 1))}, digits)
