"""Ranges that can be told and those that cannot; labels of every form."""

import numpy as np
import pytest

from gans.data.values import NoRange, classes, range_of, to_bytes


@pytest.mark.parametrize(
    "low, high, dtype, expected",
    [
        (0, 1, np.float32, (0, 1)),
        (0.2, 0.6, np.float64, (0, 1)),
        (-1e-7, 1 + 1e-6, np.float32, (0, 1)),  # as computing rounds
        (-1, 1, np.float32, (-1, 1)),
        (-0.9, 0.1, np.float16, (-1, 1)),
        (0, 255, np.float32, (0, 255)),
        (3, 130, np.int32, (0, 255)),
        (0, 65535, np.uint16, (0, 65535)),
        (0, 40000, np.int64, (0, 65535)),
        (0, 90, np.uint8, (0, 255)),
        (0, 1, np.uint8, (0, 1)),  # a mask, not two kinds of black
        (0, 1, bool, (0, 1)),
        (0, 0, np.uint8, (0, 255)),
        (0, 0.5, np.float32, None),
        (0, 0, np.float32, None),
        (-0.5, 0.5, np.float32, None),
        (-0.1, 1.1, np.float32, None),
        (-2, 2, np.float32, None),
        (0, 16, np.float64, None),
        (0, 100, np.int64, None),
        (0, 4095, np.uint16, None),
        (-128, 127, np.int8, None),
    ],
)
def test_a_range_is_recognised_or_refused(low, high, dtype, expected):
    x = np.array([[low], [high], [low]]).astype(dtype)
    if expected is None:
        with pytest.raises(NoRange, match=f"{low:g} to {high:g} can be read"):
            range_of(x)
    else:
        assert range_of(x) == expected


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_refused(wrong):
    x = np.zeros((3, 2, 2), np.float32)
    x[2, 1, 0] = wrong
    for given in (None, (0, 1)):
        with pytest.raises(ValueError, match="example 2 holds NaN or infinity"):
            to_bytes(x, given)


def test_bytes_of_every_value():
    values = np.arange(256, dtype=np.uint8)
    assert to_bytes(values) is values
    for x, given in (
        (values / 255, (0, 1)),
        (values / np.float32(127.5) - 1, (-1, 1)),
        (values.astype(np.uint16) * 257, (0, 65535)),
        (values.astype(int) - 128, (-128, 127)),
    ):
        np.testing.assert_array_equal(to_bytes(x, given), values)
    long = np.tile(values / 255, 5)  # converted in several parts
    np.testing.assert_array_equal(to_bytes(long), np.tile(values, 5))


@pytest.mark.parametrize(
    "label, found, names",
    [
        ([0, 2, 1, 2], [0, 2, 1, 2], None),
        ([1.0, 0.0, 1.0, 0.0], [1, 0, 1, 0], None),
        ([True, False, True, True], [1, 0, 1, 1], None),
        ([[0], [2], [1], [2]], [0, 2, 1, 2], None),
        ([[0, 2, 1, 2]], [0, 2, 1, 2], None),
        (np.eye(3)[[0, 2, 1, 2]], [0, 2, 1, 2], None),
        (np.eye(3)[[0, 2, 2, 2]], [0, 1, 1, 1], ("0", "2")),
        ([10, 2, 2, 1], [2, 1, 1, 0], ("1", "2", "10")),
        (["b10", "b9", "a", "a"], [2, 1, 0, 0], ("a", "b9", "b10")),
        ([b"b", b"a", b"a", b"a"], [1, 0, 0, 0], ("a", "b")),
        (["1", "0", "1", "0"], [1, 0, 1, 0], ("0", "1")),
    ],
)
def test_labels_of_every_form(label, found, names):
    got, given = classes(np.array(label), 4)
    assert got.dtype == np.int32 and got.tolist() == found and given == names


@pytest.mark.parametrize(
    "label, message",
    [
        ([0, 1, 2], "3 labels for 4 images"),
        (np.zeros((4, 4, 1)), r"shape \(4, 4, 1\) for 4 images"),
        (3, r"shape \(\) for 4 images"),
        ([0, 1.5, 2, 0], "the label 1.5; wanted integers"),
        ([0, np.nan, 2, 0], "the label nan"),
        ([0, -1, 2, 0], "the label -1; wanted numbers from 0 on"),
        (np.ones((4, 3)), "not one-hot"),
        (np.zeros(4, complex), "labels of type complex128"),
    ],
)
def test_labels_that_are_none(label, message):
    with pytest.raises(ValueError, match=message):
        classes(np.array(label), 4)
