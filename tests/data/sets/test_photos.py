"""Crops of two photographs."""

import numpy as np
import pytest

from gans import data
from gans.data.sets import NoSplit, photos
from gans.data.source import Streamed


def test_shapes_and_splits():
    train, test = (data.load("photos", resolution=32, split=x) for x in photos.SPLITS)
    assert len(train) == 2000 and len(test) == 200
    assert train.spec.keys() == {"image"} and train.shape == (32, 32, 3)
    assert data.load("photos", split="test").shape == (64, 64, 3)
    grey = data.load("photos", resolution=16, channels=1, split="test")
    assert grey.shape == (16, 16, 1)
    with pytest.raises(NoSplit, match="photos has no split 'val'; it has train, test"):
        data.load("photos", split="val")
    # They are pictures: of the sky, of petals, of the dark behind them.
    means = train.arrays["image"].mean((1, 2, 3))
    assert means.min() < 60 and means.max() > 180
    assert len({x.tobytes() for x in train.arrays["image"]}) > 1990


def test_a_crop_is_a_function_of_its_index(monkeypatch):
    held = data.load("photos", resolution=16, split="test")
    monkeypatch.setattr(photos, "hold", lambda source: source)
    streamed = data.load("photos", resolution=16, split="test")
    assert isinstance(streamed, Streamed)
    rows = np.array([150, 3, 150])
    np.testing.assert_array_equal(
        streamed.take(rows)["image"], held.take(rows)["image"]
    )


def test_the_splits_share_no_pixel():
    (_, train), (_, test) = photos.SPLITS["train"], photos.SPLITS["test"]
    for name in train:
        (left, _, right, _), (other_left, _, other_right, _) = train[name], test[name]
        assert other_right <= left or right <= other_left
        for box in (train[name], test[name]):
            width, height = photos.photograph(name).size
            assert 0 <= box[0] and box[2] <= width and 0 <= box[1] and box[3] <= height
            assert min(box[2] - box[0], box[3] - box[1]) >= photos.SIDES[1]


def test_crops_lie_inside():
    image = photos.photograph("china").crop((0, 0, 90, 100))
    for i in range(200):
        crop = photos.crop(image, i, 80, 90)
        assert crop.width == crop.height and 80 <= crop.width <= 90
        pixels = np.asarray(crop)
        # Beyond the edge, Pillow fills with black; the sky is bright.
        assert pixels[:, 0].max() > 0 and pixels[:, -1].max() > 0
