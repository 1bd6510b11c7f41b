"""Batches are a pure function of the seed and the step."""

import itertools

import numpy as np
import pytest

from gans.data import pipeline
from gans.data.source import InMemory, Streamed

N = 10


def numbered(n=N):
    """Images whose two columns tell the element (left) and its side (right)."""
    image = np.zeros((n, 1, 2, 1), np.uint8)
    image[:, 0, 0, 0] = np.arange(n)
    image[:, 0, 1, 0] = 255
    labels = np.arange(n, dtype=np.int32)
    return InMemory("numbered", {"image": image, "label": labels}, n)


def equal(a, b):
    return a.keys() == b.keys() and all(np.array_equal(a[k], b[k]) for k in a)


def labels(dataset, steps):
    return np.concatenate([dataset[s]["label"] for s in steps])


def test_same_seed_and_step_same_batch_in_any_order():
    first = pipeline.batches(numbered(), 4, seed=1, flip=True)
    again = pipeline.batches(numbered(), 4, seed=1, flip=True)
    forward = [first[s] for s in range(20)]
    for step in reversed(range(20)):
        assert equal(again[step], forward[step])
    other = pipeline.batches(numbered(), 4, seed=2, flip=True)
    assert not all(equal(other[s], forward[s]) for s in range(20))


def test_contents_dtypes_and_range():
    batch = pipeline.batches(numbered(), 4, seed=0)[0]
    assert batch["image"].dtype == np.float32 and batch["image"].shape == (4, 1, 2, 1)
    assert batch["label"].dtype == np.int32 and batch["label"].shape == (4,)
    # Unflipped: the left column is the element's number, and the right one 255 -> 1.
    np.testing.assert_allclose(
        batch["image"][:, 0, 0, 0], batch["label"] / 127.5 - 1, atol=1e-6
    )
    assert (batch["image"][:, 0, 1, 0] == 1).all()


@pytest.mark.parametrize("size", [1, 4, 10, 25])  # within, across and over an epoch
def test_each_element_once_per_epoch(size):
    dataset = pipeline.batches(numbered(), size, seed=0)
    stream = labels(dataset, range(-(-4 * N // size)))[: 4 * N].reshape(4, N)
    np.testing.assert_array_equal(np.sort(stream, 1), np.tile(np.arange(N), (4, 1)))
    assert len({tuple(epoch) for epoch in stream}) == 4  # shuffled anew each time


def test_every_first_element_is_equally_likely():
    # The first of 2,000 epochs' permutations: 200 +- 13.4 of each of 10 elements.
    dataset = pipeline.batches(numbered(), N, seed=0)
    firsts = [dataset[s]["label"][0] for s in range(2000)]
    assert np.abs(np.bincount(firsts, minlength=N) - 200).max() < 5 * 13.4


@pytest.mark.parametrize("flip", [False, True])
def test_shards_concatenate_to_the_whole(flip):
    whole = pipeline.batches(numbered(), 12, seed=0, flip=flip)
    parts = [
        pipeline.batches(numbered(), 12, seed=0, flip=flip, shard=(i, 3))
        for i in range(3)
    ]
    for step in (0, 1, 7):
        pieces = [part[step] for part in parts]
        assert [len(p["label"]) for p in pieces] == [4, 4, 4]
        joined = {k: np.concatenate([p[k] for p in pieces]) for k in pieces[0]}
        assert equal(joined, whole[step])


def test_flip_mirrors_half_of_the_images_and_nothing_else():
    plain = pipeline.batches(numbered(), 64, seed=0)
    flipped = pipeline.batches(numbered(), 64, seed=0, flip=True)
    n_mirrored = 0
    for step in range(100):
        a, b = plain[step]["image"], flipped[step]["image"]
        np.testing.assert_array_equal(plain[step]["label"], flipped[step]["label"])
        mirrored = (a != b).any((1, 2, 3))
        np.testing.assert_array_equal(b[mirrored], a[mirrored][:, :, ::-1])
        n_mirrored += mirrored.sum()
    # 6,400 coins: 3,200 +- 40.
    assert abs(n_mirrored - 3200) < 200
    assert (numbered().arrays["image"] == plain.source.arrays["image"]).all()


def test_flips_differ_between_steps_and_seeds():
    one = InMemory("one", {"image": np.array([[[[0], [255]]]], np.uint8)})

    def coins(seed, step):
        image = pipeline.batches(one, 64, seed=seed, flip=True)[step]["image"]
        return image[:, 0, 0, 0] > 0

    assert (coins(0, 0) != coins(0, 1)).any()
    assert (coins(0, 0) != coins(1, 0)).any()


@pytest.mark.parametrize("n_threads", [None, 0, 1, 3])
def test_iterate_is_indexing_from_any_start(n_threads):
    dataset = pipeline.batches(numbered(), 4, seed=0, flip=True)
    for start in (0, 7):
        got = pipeline.iterate(dataset, start, n_threads=n_threads)
        for step, batch in enumerate(itertools.islice(got, 30), start):
            assert equal(batch, dataset[step])


@pytest.mark.parametrize("n_threads", [0, 2])
def test_iterate_stacks_batches(n_threads):
    dataset = pipeline.batches(numbered(), 4, seed=0, flip=True, shard=(1, 2))
    got = pipeline.iterate(dataset, 5, per_call=3, n_threads=n_threads, prefetch=2)
    for first in (5, 8, 11):
        stacked = next(got)
        assert stacked["image"].shape == (3, 2, 1, 2, 1)
        for k in range(3):
            assert equal({n: x[k] for n, x in stacked.items()}, dataset[first + k])


def test_points_pass_unchanged():
    points = np.random.default_rng(0).normal(size=(N, 2)).astype(np.float32)
    dataset = pipeline.batches(InMemory("points", {"point": points}), 5, seed=0)
    batch = next(pipeline.iterate(dataset, 0))
    assert batch.keys() == {"point"} and batch["point"].dtype == np.float32
    both = np.concatenate([dataset[0]["point"], dataset[1]["point"]])
    np.testing.assert_array_equal(np.sort(both, 0), np.sort(points, 0))


def test_streamed_equals_in_memory_and_its_errors_arrive():
    source = numbered()
    streamed = Streamed("streamed", source.take, N, source.shape, N)
    a = pipeline.iterate(pipeline.batches(source, 4, seed=0, flip=True), 3)
    b = pipeline.iterate(pipeline.batches(streamed, 4, seed=0, flip=True), 3)
    for _ in range(10):
        assert equal(next(a), next(b))

    def broken(indices):
        raise ValueError("cannot decode cat.png")

    dataset = pipeline.batches(Streamed("s", broken, N, (1, 2, 1)), 4, seed=0)
    with pytest.raises(ValueError, match="cat.png"):
        next(pipeline.iterate(dataset, 0))


def test_round_trip_of_every_value():
    values = np.arange(256, dtype=np.uint8)
    floats = pipeline.to_float(values)
    assert floats.dtype == np.float32 and floats[0] == -1 and floats[255] == 1
    np.testing.assert_allclose(floats, np.linspace(-1, 1, 256), atol=1e-6)
    np.testing.assert_array_equal(pipeline.to_uint8(floats), values)
    # Beyond the range it clips, between two values it rounds: 127.9 -> 128, 0.4 -> 0.
    between = np.array([-1.5, 1.01, 0.4 / 127.5, -1 + 0.4 / 127.5], np.float32)
    np.testing.assert_array_equal(pipeline.to_uint8(between), [0, 255, 128, 0])


@pytest.mark.parametrize(
    "source, size, shard, message",
    [
        (numbered(0), 4, (0, 1), "numbered holds no elements"),
        (numbered(), 0, (0, 1), "at least 1, got 0"),
        (numbered(), 4, (0, 3), r"shard \(0, 3\) of batch_size 4"),
        (numbered(), 4, (2, 2), r"shard \(2, 2\)"),
    ],
)
def test_bad_sizes(source, size, shard, message):
    with pytest.raises(ValueError, match=message):
        pipeline.batches(source, size, seed=0, shard=shard)


def test_negative_step():
    with pytest.raises(IndexError, match="-1"):
        pipeline.batches(numbered(), 4, seed=0)[-1]
