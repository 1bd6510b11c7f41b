"""Both kinds of source answer alike, and one is made into the other."""

import numpy as np
import pytest

from gans.data.source import InMemory, Streamed, hold

IMAGES = np.arange(5 * 2 * 3 * 1, dtype=np.uint8).reshape(5, 2, 3, 1)
LABELS = np.arange(5, dtype=np.int32) % 2


def read(indices):
    return {"image": IMAGES[indices], "label": LABELS[indices]}


SOURCES = [
    InMemory("set", {"image": IMAGES, "label": LABELS}, 2),
    Streamed("set", read, 5, (2, 3, 1), 2),
]


@pytest.mark.parametrize("source", SOURCES)
def test_random_access(source):
    assert len(source) == 5 and source.shape == (2, 3, 1) and source.n_classes == 2
    item = source[-1]
    np.testing.assert_array_equal(item["image"], IMAGES[4])
    assert item["label"] == 0 and item["label"].shape == ()
    with pytest.raises(IndexError):
        source[5]


@pytest.mark.parametrize("source", SOURCES)
def test_take_keeps_order_and_repeats_and_is_a_copy(source):
    taken = source.take(np.array([3, 0, 3]))
    np.testing.assert_array_equal(taken["image"], IMAGES[[3, 0, 3]])
    np.testing.assert_array_equal(taken["label"], [1, 0, 1])
    assert taken["label"].dtype == np.int32
    taken["image"][:] = 0
    assert source[3]["image"].any()


def test_hold_decodes_what_fits():
    n = 600  # more than two of the parts that are decoded at once
    images = np.random.default_rng(0).integers(0, 256, (n, 2, 2, 1), np.uint8)
    labels = np.arange(n, dtype=np.int32)
    streamed = Streamed(
        "set", lambda i: {"image": images[i], "label": labels[i]}, n, (2, 2, 1), n
    )
    held = hold(streamed, limit=4 * n)
    assert isinstance(held, InMemory) and held.name == "set" and held.n_classes == n
    np.testing.assert_array_equal(held.arrays["image"], images)
    np.testing.assert_array_equal(held.arrays["label"], labels)
    assert hold(streamed, limit=4 * n - 1) is streamed


def test_hold_passes_errors_on():
    def broken(indices):
        if 300 in indices:
            raise ValueError("cannot read cat.png")
        return {"image": np.zeros((len(indices), 1, 1, 1), np.uint8)}

    with pytest.raises(ValueError, match="cat.png"):
        hold(Streamed("set", broken, 600, (1, 1, 1)))
