"""Random crops: one place for a whole example, by the seed and the row."""

import json
import pathlib

import numpy as np
import pytest
from PIL import Image

from gans import data
from gans.data import pipeline
from gans.data.cropped import Cropped
from gans.data.reading import Reader
from gans.data.source import InMemory, Unpaired

JITTER = (
    pathlib.Path(__file__).parents[3]
    / "shared/reference/parity/image_translation/jitter.npz"
)
N, LARGE, SIZE = 7, 9, 6


def pixels(n=N, offset=0):
    """Images whose pixels tell the element, the row and the column."""
    e, y, x = np.indices((n, LARGE, LARGE), np.uint8)
    return np.stack([e + offset, y, x], -1)


def paired():
    arrays = {"a": pixels(), "b": pixels(offset=100), "label": np.arange(N)}
    return InMemory("pairs", arrays, {"a": "image", "b": "image"})


def places(images):
    """Where squares [B, S, S, 3] were cut out: [B, 2]."""
    y, x = images[:, 0, 0, 1].astype(int), images[:, 0, 0, 2].astype(int)
    whole = np.indices((SIZE, SIZE)) + np.stack([y, x], 1)[:, :, None, None]
    np.testing.assert_array_equal(images[..., 1:], np.moveaxis(whole, 1, -1))
    return np.stack([y, x], 1)


def test_without_draws_it_is_the_centre():
    source = Cropped(paired(), SIZE)
    assert source.spec["a"].shape == (SIZE, SIZE, 3) and source.shape == (6, 6, 3)
    assert source.spec["label"].shape == () and source.groups == (("a", "b", "label"),)
    assert len(source) == N and source.name == "pairs" and not source.streamed
    taken = source.take(np.array([3, 0, 3]))
    # 9 - 6 = 3 pixels are left over, one of them on the upper left.
    assert (places(taken["a"]) == 1).all() and (places(taken["b"]) == 1).all()
    assert taken["a"][:, 0, 0, 0].tolist() == taken["label"].tolist() == [3, 0, 3]
    assert source[2]["a"].shape == (SIZE, SIZE, 3)


def test_one_place_for_a_whole_example_and_another_in_each_epoch():
    batches = pipeline.batches(Cropped(paired(), SIZE), 5, seed=0, flip=True)
    seen = {i: set() for i in range(N)}
    for step in range(70):
        batch = batches[step]
        assert batch.keys() == {"a", "b", "label", "flip/0"}
        at = places(batch["a"])
        np.testing.assert_array_equal(at, places(batch["b"]))
        np.testing.assert_array_equal(batch["b"][..., 0], batch["a"][..., 0] + 100)
        for i, place in zip(batch["label"], at.tolist(), strict=True):
            seen[int(i)].add(tuple(place))
    # 50 draws for each of 7 examples, of 16 places: on average 15.4 of them are seen.
    assert all(len(x) >= 11 for x in seen.values())


def test_every_place_is_equally_likely():
    batches = pipeline.batches(Cropped(paired(), SIZE), 100, seed=1)
    at = np.concatenate([places(batches[step]["a"]) for step in range(100)])
    counts = np.bincount(at[:, 0] * 4 + at[:, 1], minlength=16)
    assert len(counts) == 16 and np.abs(counts - 625).max() < 5 * 25  # sqrt(625)


def test_a_crop_is_a_function_of_seed_and_row():
    source = Cropped(paired(), SIZE)
    one = pipeline.batches(source, 6, seed=3)
    stream = np.concatenate([one[step]["a"] for step in range(700)])  # 4,200 rows
    # Another batch size, a later start, threads, windows and shards: the same rows.
    other = pipeline.batches(source, 4, seed=3, first_row=1200, first_step=10)
    later = np.concatenate([other[step]["a"] for step in range(10, 760)])
    np.testing.assert_array_equal(later, stream[1200:])
    got = next(pipeline.iterate(one, 200, per_call=4, n_threads=2))
    np.testing.assert_array_equal(got["a"].reshape(-1, 6, 6, 3), stream[1200:1224])
    half = pipeline.batches(source, 6, seed=3, shard=(1, 2))[5]["a"]
    np.testing.assert_array_equal(half, stream[33:36])
    seeds = [pipeline.batches(source, 6, seed=seed)[0]["a"] for seed in (3, 4)]
    assert (places(seeds[0]) != places(seeds[1])).any()


def test_it_takes_the_examples_that_are_taken_without_it():
    plain = pipeline.batches(paired(), 5, seed=2, flip=True)
    cropped = pipeline.batches(Cropped(paired(), SIZE), 5, seed=2, flip=True)
    for step in range(9):
        for key in ("label", "flip/0"):
            np.testing.assert_array_equal(plain[step][key], cropped[step][key])


def test_unpaired_sides_have_their_own_places():
    sides = {k: InMemory(k, {"image": pixels()}) for k in "ab"}
    source = Cropped(Unpaired("both", sides), SIZE)
    batch = pipeline.batches(source, 64, seed=0)[0]
    assert (places(batch["a"]) != places(batch["b"])).any(1).mean() > 0.8
    taken = source.take(np.array([1, 2]), np.array([5, 6]))
    assert taken["b"][:, 0, 0, 0].tolist() == [5, 6]


def test_augmented_sources_below_get_the_draws():
    class Noisy(InMemory):
        augmented = True

        def take(self, indices, draws=None):
            taken = super().take(indices)
            shift = 0 if draws is None else (draws[0] % 7).astype(np.uint8)
            taken["image"][..., 0] += 10 * shift[:, None, None] if draws else 0
            return taken

    source = Cropped(Noisy("noisy", {"image": pixels()}), SIZE)
    batch = pipeline.batches(source, 64, seed=0)[0]["image"]
    assert len({int(x) // 10 for x in batch[:, 0, 0, 0]}) == 7
    assert source.take(np.arange(N))["image"][..., 0].max() < 10


def test_videos_are_cut_and_points_are_not():
    clips = np.broadcast_to(pixels()[:, None], (N, 2, LARGE, LARGE, 3))
    taken = Cropped(InMemory("clips", {"video": clips}), SIZE).take(np.arange(3))
    assert taken["video"].shape == (3, 2, SIZE, SIZE, 3)
    points = InMemory("points", {"point": np.zeros((3, 2), np.float32)})
    with pytest.raises(ValueError, match="points has no images that could be cropped"):
        Cropped(points, SIZE)
    with pytest.raises(ValueError, match="10x10 pixels cannot be cut .* of 9x9"):
        Cropped(paired(), 10)
    arrays = {"a": pixels(), "b": pixels()[:, :8]}
    uneven = InMemory("uneven", arrays, {"a": "image", "b": "image"})
    with pytest.raises(ValueError, match="images of 9x8 and 9x9"):
        Cropped(uneven, SIZE)


def test_by_name_for_training_only(tmp_path):
    for i in range(3):
        Image.fromarray(pixels()[i]).save(tmp_path / f"{i}.png")
    name = f"folder:{tmp_path}"
    train = data.load(name, resolution=SIZE, jitter=LARGE - SIZE)
    assert (
        train.shape == (SIZE, SIZE, 3)
        and (places(train.take(np.arange(3))["image"]) == 1).all()
    )
    test = data.load("digits", resolution=16, jitter=2, split="test")
    assert isinstance(test, InMemory) and test.shape == (16, 16, 1)
    with pytest.raises(ValueError, match="jitter=2 needs a resolution"):
        data.load(name, jitter=2)
    with pytest.raises(ValueError, match="must be a number of pixels, got -1"):
        data.load(name, jitter=-1, resolution=8)


@pytest.mark.skipif(not JITTER.exists(), reason="there is no ../shared/reference")
@pytest.mark.parametrize("i", [0, 1])
def test_squashed_crops_are_those_of_the_authors(i, tmp_path):
    kept = np.load(JITTER)
    options = json.loads(str(kept[f"{i}/options"]))
    assert options["preprocess"] == "resize_and_crop"
    image = Image.fromarray(kept["image"])
    large, size = options["load_size"], options["crop_size"]
    (left, top), n = options["crop_pos"], options["load_size"] - options["crop_size"]
    draw = np.array([top * (n + 1) + left], np.uint64)

    def found(squash):
        fitted = Reader("x", large, squash=squash).fit(image)
        source = Cropped(InMemory("one", {"image": fitted[None]}), size)
        x = source.take(np.array([0]), draws=[draw])["image"][0]
        return (x[:, ::-1] if options["flip"] else x).transpose(2, 0, 1)

    expected = kept[f"{i}/out_uint8"]
    np.testing.assert_array_equal(found(squash=True), expected)
    # Negative control: what keeps the proportions differs by far more than rounding.
    assert np.abs(found(squash=False).astype(int) - expected).max() > 20
