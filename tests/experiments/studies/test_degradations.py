"""The study of degraded images: the degradations, and how the scores respond."""

import numpy as np
import pytest

from experiments.studies import degradations
from gans.data.source import InMemory


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (6, 16, 16, 3), np.uint8)


def test_blur_lowers_the_contrast_and_keeps_the_mean(images):
    spread = [degradations.blur(images, s).std() for s in (0.5, 1.0, 2.0)]
    assert images.std() > spread[0] > spread[1] > spread[2]
    assert degradations.blur(images, 1.0).mean() == pytest.approx(images.mean(), abs=3)


def test_noise_has_the_given_deviation_and_is_a_function_of_the_images():
    grey = np.full((6, 32, 32, 3), 128, np.uint8)
    noisy = degradations.noise(grey, 16)
    assert (noisy.astype(float) - grey).std() == pytest.approx(16, rel=0.05)
    np.testing.assert_array_equal(noisy, degradations.noise(grey, 16))
    assert (noisy != degradations.noise(grey + 1, 16) - 1).any()


@pytest.mark.slow
def test_degraded_digits(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("experiments.evaluation.extractors.CLASSIFIER_STEPS", 60)
    for name, strengths in (("BLUR", (2.0,)), ("NOISE", (8, 32)), ("N_DROPPED", (8,))):
        monkeypatch.setattr(degradations, name, strengths)
    report = degradations.study("digits", "classifier", n=300)
    fd = {k: v["fd_classifier"]["value"] for k, v in report["conditions"].items()}
    assert fd["noise 32"] > fd["other training images"]
    assert fd["8 classes dropped"] > 10 * fd["other training images"]
    counts = report["protocol"]["n_each"]
    assert counts["test images"] == 300 and counts["8 classes dropped"] < 300
    degradations.draw(tmp_path / "study.png", report)
    assert (tmp_path / "study.png").read_bytes()[:4] == b"\x89PNG"


def test_too_few_images():
    with pytest.raises(ValueError, match="digits has 1437 training and 360 test"):
        degradations.study("digits", "classifier", n=700)


def test_examples_are_changed_whatever_their_field_is_called(images):
    labels = np.arange(6)
    held = InMemory("x", {"photo": images, "label": labels}, {"photo": "image"})
    changed = degradations._Changed(held, np.array([4, 1]), change=lambda x: x // 2)
    assert len(changed) == changed.length_of("photo") == 2
    taken = changed.take(np.array([1, 0]))
    np.testing.assert_array_equal(taken["photo"], images[[1, 4]] // 2)
    assert taken["label"].tolist() == [1, 4]
