"""Batches are a pure function of the seed and the step."""

import itertools

import jax
import numpy as np
import pytest

from gans.data import pipeline
from gans.data.kinds.image import encode
from gans.data.source import InMemory, Streamed, Unpaired

N = 10


def to_float(images):
    """uint8 in 0 .. 255 -> float32 in [-1, 1], by NumPy."""
    return images.astype(np.float32) / np.float32(127.5) - np.float32(1)


def numbered(n=N):
    """Images whose two columns tell the element (left) and its side (right)."""
    image = np.zeros((n, 1, 2, 1), np.uint8)
    image[:, 0, 0, 0] = np.arange(n)
    image[:, 0, 1, 0] = 255
    labels = np.arange(n, dtype=np.int32)
    return InMemory("numbered", {"image": image, "label": labels})


def prepared(dataset, step):
    """Batch `step` as losses see it, decoded under jit."""
    source = dataset.source
    prepare = jax.jit(pipeline.prepare(source.spec, source.groups))
    return {k: np.asarray(x) for k, x in prepare(dataset[step]).items()}


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


def test_batches_are_as_stored_and_are_decoded_on_the_device():
    dataset = pipeline.batches(numbered(), 4, seed=0)
    raw, batch = dataset[0], prepared(dataset, 0)
    assert raw.keys() == batch.keys() == {"image", "label"}
    assert raw["image"].dtype == np.uint8 and raw["image"].shape == (4, 1, 2, 1)
    assert batch["image"].dtype == np.float32 and batch["image"].shape == (4, 1, 2, 1)
    assert batch["label"].dtype == np.int32 and batch["label"].shape == (4,)
    # Unflipped: the left column is the element's number, and the right one 255 -> 1.
    np.testing.assert_allclose(
        batch["image"][:, 0, 0, 0], batch["label"] / 127.5 - 1, atol=1e-6
    )
    assert (batch["image"][:, 0, 1, 0] == 1).all()


def test_draws_are_those_of_every_earlier_run():
    # Recorded: labels and coins of six batches. A checkpoint of then goes on here.
    dataset = pipeline.batches(numbered(), 4, seed=7, flip=True)
    found = [dataset[step] for step in range(6)]
    assert [batch["label"].tolist() for batch in found] == [
        [8, 0, 7, 1],
        [3, 6, 2, 4],
        [5, 9, 8, 2],
        [4, 1, 3, 7],
        [9, 0, 6, 5],
        [6, 8, 1, 3],
    ]
    assert [batch["flip/0"].astype(int).tolist() for batch in found] == [
        [0, 1, 1, 1],
        [0, 0, 1, 0],
        [0, 0, 1, 0],
        [0, 1, 1, 1],
        [0, 0, 1, 1],
        [0, 1, 0, 0],
    ]
    for step, batch in enumerate(found):
        mirrored = prepared(dataset, step)["image"][:, 0, 0, 0] == 1
        np.testing.assert_array_equal(mirrored, batch["flip/0"])
    large = pipeline.batches(numbered(), 4, seed=2**33 + 5, flip=True)
    assert large[0]["label"].tolist() == [2, 4, 0, 9]
    assert large[0]["flip/0"].astype(int).tolist() == [0, 0, 1, 0]


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
        coins = flipped[step].pop("flip/0")
        assert coins.dtype == bool and coins.shape == (64,)
        assert equal(
            plain[step], {k: flipped[step][k] for k in plain[step]}
        )  # on the host
        n_mirrored += coins.sum()
    # 6,400 coins: 3,200 +- 40.
    assert abs(n_mirrored - 3200) < 200
    a, b = prepared(plain, 99), prepared(flipped, 99)
    assert a.keys() == b.keys() == {"image", "label"}
    np.testing.assert_array_equal(a["label"], b["label"])
    mirrored = (a["image"] != b["image"]).any((1, 2, 3))
    np.testing.assert_array_equal(mirrored, coins)
    np.testing.assert_array_equal(b["image"][coins], a["image"][coins][:, :, ::-1])


def test_flips_differ_between_steps_and_seeds():
    def coins(seed, step):
        return pipeline.batches(numbered(), 64, seed=seed, flip=True)[step]["flip/0"]

    assert (coins(0, 0) != coins(0, 1)).any()
    assert (coins(0, 0) != coins(1, 0)).any()


@pytest.mark.parametrize("size", [16, 25])
def test_decoded_bits_are_those_of_the_host(size):
    # Old arithmetic: mirrored as bytes, then x / 127.5 - 1 in numpy's float32.
    images = np.random.default_rng(0).integers(0, 256, (N, 5, 4, 3), np.uint8)
    images[0].flat, images[1].flat = np.arange(60), np.arange(196, 256)
    source = InMemory("noise", {"image": images})
    dataset = pipeline.batches(source, size, seed=0, flip=True)
    for step in range(3):
        raw = dataset[step]
        expected = pipeline.batches(source, size, seed=0)[step]["image"]
        coins = raw["flip/0"]
        expected[coins] = expected[coins, :, ::-1]
        np.testing.assert_array_equal(
            prepared(dataset, step)["image"], to_float(expected)
        )
        assert coins.any() and not coins.all()


def two_fields(n=N):
    """Paired images "a" and "b" of the same number, in their left columns."""
    image = numbered(n).arrays["image"]
    right = image.copy()
    right[:, 0, 1, 0] = 200
    return InMemory("pairs", {"a": image, "b": right}, {"a": "image", "b": "image"})


def test_paired_fields_are_decoded_and_mirrored_together():
    source = two_fields()
    assert source.groups == (("a", "b"),)
    dataset = pipeline.batches(source, 64, seed=0, flip=True)
    raw, batch = dataset[0], prepared(dataset, 0)
    assert raw.keys() == {"a", "b", "flip/0"} and batch.keys() == {"a", "b"}
    coins = raw["flip/0"]
    np.testing.assert_array_equal(raw["a"][:, 0, 0], raw["b"][:, 0, 0])
    for name, bright in (("a", 1.0), ("b", 200 / 127.5 - 1)):
        x = batch[name]
        # Negative control: bytes, as such a source once passed, are far out of range.
        assert x.dtype == np.float32 and x.min() >= -1 and x.max() <= 1
        assert raw[name].max() > 100
        np.testing.assert_allclose(x[coins, 0, 0, 0], bright, atol=1e-6)
        np.testing.assert_allclose(x[~coins, 0, 1, 0], bright, atol=1e-6)
        assert (x[coins, 0, 1] < -0.9).all() and (x[~coins, 0, 0] < -0.9).all()
    assert coins.any() and not coins.all()


def test_unpaired_sets_have_their_own_permutations_and_flips():
    a, b = numbered(), numbered(7)
    both = Unpaired("both", {"a": a, "b": b})
    dataset = pipeline.batches(both, 5, seed=7, flip=True)
    found = [dataset[step] for step in range(14)]
    # Each comes once in each epoch of its own: 7 of 10 elements, and 10 of 7.
    rows = {k: np.concatenate([x[k][:, 0, 0, 0] for x in found]) for k in "ab"}
    for key, n in (("a", 10), ("b", 7)):
        epochs = np.sort(rows[key].reshape(-1, n), 1)
        np.testing.assert_array_equal(epochs, np.tile(np.arange(n), (70 // n, 1)))
    # The first set draws what it draws alone; the second, of one length too, does not.
    alone = pipeline.batches(a, 5, seed=7, flip=True)
    for step, batch in enumerate(found):
        np.testing.assert_array_equal(batch["a"], alone[step]["image"])
        np.testing.assert_array_equal(batch["flip/0"], alone[step]["flip/0"])
    same = pipeline.batches(Unpaired("same", {"a": a, "b": a}), 64, seed=7, flip=True)
    assert (same[0]["a/label"] != same[0]["b/label"]).any()
    assert (same[0]["flip/0"] != same[0]["flip/1"]).any()
    # Each field is mirrored by the coins of its own group.
    batch, raw = prepared(same, 0), same[0]
    for i, key in enumerate("ab"):
        mirrored = batch[key][:, 0, 0, 0] == 1
        np.testing.assert_array_equal(mirrored, raw[f"flip/{i}"])


def test_stages_continue_the_permutation():
    # 3 steps of 4, then steps of 7 from row 12 on, then of 2 from row 40 on.
    stages = [
        pipeline.batches(numbered(), 4, seed=1, flip=True),
        pipeline.batches(numbered(), 7, seed=1, first_row=12, first_step=3),
        pipeline.batches(numbered(), 2, seed=1, first_row=40, first_step=7),
    ]
    steps = [range(3), range(3, 7), range(7, 17)]
    stream = np.concatenate([labels(*x) for x in zip(stages, steps, strict=True)])
    assert len(stream) == 60
    epochs = np.sort(stream.reshape(6, N), 1)
    np.testing.assert_array_equal(epochs, np.tile(np.arange(N), (6, 1)))
    # The elements are those of a run without stages.
    np.testing.assert_array_equal(stream, labels(stages[0], range(15)))
    # Negative control: rows as steps times the batch size repeat and leave out.
    wrong = pipeline.batches(numbered(), 7, seed=1)
    stream = np.concatenate([labels(stages[0], range(3)), labels(wrong, range(3, 7))])
    assert len(set(stream[10:20].tolist())) < N
    # Windows and threads do the same.
    window = stages[1].window(4, 2)
    assert equal({k: x[1] for k, x in window.items()}, stages[1][5])
    got = pipeline.iterate(stages[1], 4, n_threads=2)
    assert equal(next(got), stages[1][4])


def test_coins_go_on_with_the_step():
    # A stage of the same batch size draws the coins of a run without stages.
    one = pipeline.batches(numbered(), 4, seed=1, flip=True)
    two = pipeline.batches(numbered(), 4, seed=1, flip=True, first_row=12, first_step=3)
    assert all(equal(one[step], two[step]) for step in range(3, 9))


def test_kinds_without_a_mirror_image_have_no_coins():
    random = np.random.default_rng(0)
    arrays = {
        "series": random.standard_normal((N, 6, 2), np.float32),
        "voxels": random.integers(0, 256, (N, 3, 4, 5, 1), np.uint8),
        "tokens": random.integers(0, 9, (N, 6), np.int32),
    }
    dataset = pipeline.batches(InMemory("many", arrays), 5, seed=0, flip=True)
    assert dataset[0].keys() == arrays.keys()
    clips = random.integers(0, 256, (N, 3, 4, 5, 3), np.uint8)
    both = {"video": clips, "series": arrays["series"], "label": np.zeros(N, int)}
    with pytest.raises(ValueError, match="mirror video, but not series of the same"):
        pipeline.batches(InMemory("clips", both), 32, seed=0, flip=True)
    assert (
        pipeline.batches(InMemory("clips", both), 32, seed=0)[0].keys() == both.keys()
    )
    del both["series"]
    source = InMemory("clips", both)
    dataset = pipeline.batches(source, 32, seed=0, flip=True)
    plain = to_float(pipeline.batches(source, 32, seed=0)[0]["video"])
    coins, batch = dataset[0]["flip/0"], prepared(dataset, 0)
    np.testing.assert_array_equal(batch["video"][coins], plain[coins][..., ::-1, :])
    np.testing.assert_array_equal(batch["video"][~coins], plain[~coins])


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
    streamed = Streamed("streamed", source.take, N, source.spec)
    a = pipeline.iterate(pipeline.batches(source, 4, seed=0, flip=True), 3)
    b = pipeline.iterate(pipeline.batches(streamed, 4, seed=0, flip=True), 3)
    for _ in range(10):
        assert equal(next(a), next(b))

    def broken(indices):
        raise ValueError("cannot decode cat.png")

    dataset = pipeline.batches(Streamed("s", broken, N, source.spec), 4, seed=0)
    with pytest.raises(ValueError, match="cat.png"):
        next(pipeline.iterate(dataset, 0))


def test_round_trip_of_every_value():
    values = np.arange(256, dtype=np.uint8)
    floats = to_float(values)
    assert floats.dtype == np.float32 and floats[0] == -1 and floats[255] == 1
    np.testing.assert_allclose(floats, np.linspace(-1, 1, 256), atol=1e-6)
    np.testing.assert_array_equal(encode(floats), values)
    # Beyond the range it clips, between two values it rounds: 127.9 -> 128, 0.4 -> 0.
    between = np.array([-1.5, 1.01, 0.4 / 127.5, -1 + 0.4 / 127.5], np.float32)
    np.testing.assert_array_equal(encode(between), [0, 255, 128, 0])


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


@pytest.mark.parametrize("first_step, step", [(0, -1), (5, 4)])
def test_steps_before_the_first(first_step, step):
    dataset = pipeline.batches(numbered(), 4, seed=0, first_step=first_step)
    with pytest.raises(IndexError, match=f"from {first_step} on, got {step}"):
        dataset[step]


def test_negative_rows():
    with pytest.raises(ValueError, match="first_row=-1"):
        pipeline.batches(numbered(), 4, seed=0, first_row=-1)


def test_small_batches_in_memory_need_no_thread():
    def threads(source, size):
        return pipeline._n_threads(pipeline.batches(source, size, seed=0))

    points = InMemory("points", {"point": np.zeros((9, 2), np.float32)})
    images = InMemory("images", {"image": np.zeros((9, 32, 32, 3), np.uint8)})
    streamed = Streamed("streamed", images.take, 9, images.spec)
    assert threads(points, 256) == 0 and threads(images, 64) == 1
    assert threads(streamed, 1) > 1
    assert threads(Unpaired("u", {"a": points, "b": streamed}), 1) > 1
