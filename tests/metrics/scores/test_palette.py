"""Label maps by their colours, against sums by hand and numpy."""

import pathlib

import numpy as np
import pytest
from PIL import Image

from gans.metrics.scores import palette

FACADES = pathlib.Path(__file__).parents[4] / "shared/data/facades/train"
THREE = np.array([[0, 0, 0], [255, 0, 0], [0, 0, 255]])


def painted(classes):
    """Label maps [N, H, W] as pictures."""
    return THREE[np.array(classes)].astype(np.uint8)


def test_the_nearest_colour():
    pixels = np.array([[[[100, 0, 0], [140, 0, 0], [60, 60, 200]]]], np.uint8)
    # |100|^2 < |155|^2; |140|^2 > |115|^2; blue is nearest of (60, 60, 200).
    assert palette.nearest(pixels, THREE).tolist() == [[[0, 1, 2]]]
    far = 100 + 115 + np.sqrt(60**2 + 60**2 + 55**2)
    np.testing.assert_allclose(palette.distance(pixels, THREE), far / 3, rtol=1e-6)


def test_scores_by_hand():
    real, made = painted([[[0, 0, 1, 1]]]), painted([[[0, 1, 1, 2]]])
    counts = np.asarray(palette.confusion(made, real, THREE))
    assert counts.tolist() == [[[1, 1, 0], [0, 1, 1], [0, 0, 0]]]
    found = palette.measure(counts.sum(0))
    assert found["pixel_accuracy"] == 2 / 4
    assert found["class_accuracy"] == (1 / 2 + 1 / 2) / 2  # class 2 is not real
    # 0: 1 of 2; 1: 1 of 3; 2 is made where it is not: 0 of 1.
    assert found["class_iou"] == pytest.approx((1 / 2 + 1 / 3 + 0) / 3)


def test_a_confusion_is_that_of_numpy():
    rng = np.random.default_rng(0)
    real, made = (rng.integers(0, 3, (4, 8, 9)) for _ in range(2))
    noisy = np.clip(painted(made) + rng.integers(-40, 40, (4, 8, 9, 3)), 0, 255)
    counts = np.asarray(palette.confusion(noisy, painted(real), THREE)).sum(0)
    wanted = np.zeros((3, 3), int)
    np.add.at(wanted, (real.ravel(), made.ravel()), 1)
    assert counts.tolist() == wanted.tolist()
    assert counts.tolist() != wanted.T.tolist()  # what is real is not what is made


def test_colours_are_found_despite_noise_and_mixed_edges():
    rng = np.random.default_rng(0)
    maps = painted(np.repeat(rng.integers(0, 3, (20, 8, 8)), 8, axis=2))
    smooth = (maps[:, :, :-1].astype(int) + maps[:, :, 1:]) // 2  # edges are mixed
    noisy = np.clip(smooth + rng.integers(-3, 4, smooth.shape), 0, 255)
    found = palette.found(noisy.astype(np.uint8))
    near = np.linalg.norm(found[:, None] - THREE, axis=-1)
    assert (near.min(0) < 8).all()


@pytest.mark.skipif(not FACADES.exists(), reason="no facades in ../shared/data")
def test_the_labels_of_facades_are_painted_in_the_palette_of_that_name():
    paths = sorted(FACADES.glob("*.jpg"))[::4]
    labels = np.stack([np.asarray(Image.open(x))[:, 256:] for x in paths])
    photos = np.stack([np.asarray(Image.open(x))[:, :256] for x in paths])
    colours = np.array([*palette.KNOWN["facades"].values()])
    assert np.mean(palette.distance(labels, colours)) < 20
    assert np.mean(palette.distance(photos, colours)) > 40
    # All of them are found, and nothing between them.
    found = palette.found(labels)
    near = np.linalg.norm(found[:, None] - colours, axis=-1)
    assert len(found) == 12 and (near.min(1) < 4).all()
