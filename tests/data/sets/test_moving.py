"""Two pictures that bounce in a frame."""

import hashlib

import numpy as np
import pytest

from gans import data
from gans.data.sets import NoSplit, moving


def centres(clips):
    """The centre of brightness of each frame [n, T, 2], in pixels."""
    x = clips[..., 0].astype(float)
    whole = x.sum((2, 3))
    down = (x.sum(3) * np.arange(x.shape[2])).sum(2) / whole
    right = (x.sum(2) * np.arange(x.shape[3])).sum(2) / whole
    return np.stack([down, right], -1)


def test_a_clip_is_a_function_of_its_row_for_ever():
    source = data.load("moving:digits")
    assert source.spec["video"].shape == (16, 64, 64, 1) and len(source) == 20_000
    taken = source.take(np.array([0, 7, 19_999]))
    again = data.load("moving:digits", seed=3).take(np.array([19_999, 0]))
    for key, x in taken.items():
        np.testing.assert_array_equal(again[key], x[[2, 0]])
    motion = np.concatenate([moving._numbers(i, 1).ravel() for i in (0, 7)])
    digest = hashlib.sha256(motion.tobytes()).hexdigest()
    assert digest.startswith("1486370503b0")


def test_stride_is_so_many_times_the_motion():
    rows = np.arange(6)
    every = data.load("moving:digits", resolution=32, frames=13).take(rows)["video"]
    third = data.load("moving:digits", resolution=32, frames=5, stride=3)
    np.testing.assert_array_equal(third.take(rows)["video"], every[:, ::3])


def test_train_and_test_are_apart():
    one, other = (data.load("moving:digits", split=s) for s in ("train", "test"))
    assert len(other) == 2_000
    rows = np.arange(64)
    a, b = (source.take(rows)["video"] for source in (one, other))
    assert not (a == b).all((1, 2, 3, 4)).any()
    with pytest.raises(NoSplit, match="it has train, test"):
        data.load("moving:digits", split="validation")


def test_pictures_move_by_their_speed_and_turn_at_the_edges():
    # 64 pixels a frame, 28 a picture: places are in [0, 36], speeds in [2, 4].
    places = moving._bounced(np.array([-5, 0, 30, 40, 70, 77]), 36)
    np.testing.assert_array_equal(places, [5, 0, 30, 32, 2, 5])
    steps = np.stack(
        [moving._motion(moving._numbers(i, 0), 64, 28)[1] for i in range(500)]
    )
    speeds = np.hypot(*np.moveaxis(steps, -1, 0)) / moving.UNIT
    assert 2 - 0.02 < speeds.min() < 2.1 and 3.9 < speeds.max() < 4 + 0.02
    assert abs(speeds.mean() - 3) < 0.1


def test_a_picture_is_drawn_at_its_place():
    # A square of 4x4 of brightness 255 at (2, 3), then 1/4 pixel down and 1/2 right.
    clip = np.zeros((2, 8, 8, 1), np.uint8)
    square = np.full((4, 4, 1), 255, np.uint8)
    unit = moving.UNIT
    start = np.array([2 * unit, 3 * unit])
    moving._show(clip, square, np.stack([start, start + [unit // 4, unit // 2]]))
    np.testing.assert_array_equal(clip[0, 2:6, 3:7], square)
    assert clip[0].sum() == square.sum()
    assert clip[1, 2:7, 3:8, 0].tolist()[0] == [96, 191, 191, 191, 96]
    (found,) = centres(clip[None])
    np.testing.assert_allclose(found[1] - found[0], [0.25, 0.5], atol=0.01)
    edge = np.zeros((1, 8, 8, 1), np.uint8)
    moving._show(edge, square, np.array([[4 * unit, 4 * unit]]))
    np.testing.assert_array_equal(edge[0, 4:, 4:], square)


def test_labels_say_where_the_two_set_out():
    source = data.load("moving:digits", resolution=64)
    taken = source.take(np.arange(200))
    names = source.spec["label"].names
    assert len(names) == 10 and {*taken["label"].tolist()} == {*range(10)}
    moved = np.diff(centres(taken["video"]), axis=1)[:, 0]  # of both together
    for name, sign in (("ne-ne", (-1, 1)), ("sw-sw", (1, -1)), ("se-se", (1, 1))):
        rows = taken["label"] == names.index(name)
        assert (np.sign(np.median(moved[rows], 0)) == sign).all(), name


def test_what_is_refused():
    with pytest.raises(ValueError, match="^moving:digits: resolution=7: at least 8"):
        data.load("moving:digits", resolution=7)
    with pytest.raises(ValueError, match="^moving:ring8: ring8 is not a set of images"):
        data.load("moving:ring8")
    with pytest.raises(ValueError, match="^frames must be at least 1, got 0"):
        data.load("moving:digits", frames=0)
