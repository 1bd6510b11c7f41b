"""Image sets: what a name on the command line means, and which images it gives."""

import numpy as np
import pytest
from PIL import Image

from experiments.evaluation import image_sets
from experiments.evaluation.image_sets import BATCH, ImageSet, of_source, open_set
from gans import data
from gans.data.source import InMemory, Streamed, Unpaired


def noise(n, side=8, channels=3, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (n, side, side, channels), np.uint8)


def all_of(images: ImageSet):
    return np.concatenate(list(images.batches()))


def pictures(folder, images):
    folder.mkdir(parents=True)
    for i, image in enumerate(images):
        Image.fromarray(image.squeeze()).save(folder / f"{i:03}.png")
    return str(folder)


def test_a_folder(tmp_path):
    images = noise(5)
    found = open_set(pictures(tmp_path / "a@b", images))
    np.testing.assert_array_equal(all_of(found), images)
    assert (found.n, found.labels, found.n_classes) == (5, None, None)
    assert found.name == str(tmp_path / "a@b")
    explicit = open_set(f"folder:{tmp_path / 'a@b'}/")
    assert explicit.identity == found.identity


def test_folders_in_a_folder_are_classes(tmp_path):
    pictures(tmp_path / "all" / "dog", noise(2))
    pictures(tmp_path / "all" / "cat", noise(1))
    found = open_set(str(tmp_path / "all"))
    assert found.labels.tolist() == [0, 1, 1] and found.n_classes == 2


@pytest.mark.parametrize("prefix", ["", "array:"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays(tmp_path, prefix, order):
    images = np.asarray(noise(BATCH + 1, side=4), order=order)
    labels = np.arange(BATCH + 1) % 3
    np.save(tmp_path / "a.npy", images)
    np.savez(tmp_path / "b.npz", image=images, label=labels)
    bare = open_set(f"{prefix}{tmp_path}/a.npy")
    labelled = open_set(f"{prefix}{tmp_path}/b.npz")
    for found in (bare, labelled):
        assert [len(x) for x in found.batches()] == [BATCH, 1]
        assert all(x.flags.c_contiguous for x in found.batches())
        np.testing.assert_array_equal(all_of(found), images)
        np.testing.assert_array_equal(all_of(found), images)  # a second time
    assert bare.labels is None and bare.identity == labelled.identity
    np.testing.assert_array_equal(labelled.labels, labels)
    assert labelled.n_classes == 3


def test_names_and_splits():
    train, test = open_set("digits"), open_set("digits@test")
    assert (train.n, test.n, train.n_classes) == (1437, 360, 10)
    assert test.name == "digits@test"
    expected = data.load("digits", split="test").take(np.arange(360))
    np.testing.assert_array_equal(all_of(test), expected["image"])
    np.testing.assert_array_equal(test.labels, expected["label"])
    with pytest.raises(ValueError, match="no split 'tset'; it has train, test"):
        open_set("digits@tset")


def test_resize():
    found = open_set("digits@test", resolution=16)
    expected = data.load("digits", split="test", resolution=16)
    np.testing.assert_array_equal(all_of(found), expected.arrays["image"])


def test_some_are_drawn_without_repetition_and_in_order(tmp_path):
    # Each image's number is in its first pixels.
    images = noise(700, side=2)
    images[:, 0, 0, 0], images[:, 0, 0, 1] = np.divmod(np.arange(700), 256)
    source = InMemory("numbered", {"image": images, "label": np.arange(700)})

    def drawn(seed, n=600):
        found = of_source(source, "numbered", n=n, seed=seed)
        numbers = all_of(found)[:, 0, 0, :2].astype(int) @ [256, 1]
        assert numbers.tolist() == found.labels.tolist()
        return numbers

    first = drawn(0)
    assert len(first) == 600 and (np.diff(first) > 0).all()
    assert drawn(0).tolist() == first.tolist() != drawn(1).tolist()
    assert drawn(0, 700).tolist() == drawn(0, None).tolist() == list(range(700))
    # From all of them, not from the first 600: 86 of 700 left over, on average 300 in
    # the middle; a prefix would end at 599.
    assert first[-1] > 650 and first[0] < 50
    with pytest.raises(ValueError, match="numbered holds 700 images, fewer than .*701"):
        of_source(source, "numbered", n=701)


def test_identity_is_that_of_the_content(tmp_path):
    images = noise(5)

    def identity(images, **options):
        return of_source(InMemory("a", {"image": images}), "b", **options).identity

    assert identity(images) == identity(images.copy())
    changed = images.copy()
    changed[4, 7, 7, 2] ^= 1
    assert identity(changed) != identity(images)
    assert identity(images[::-1]) != identity(images)
    assert identity(images[:4]) != identity(images)
    # The same bytes, of another shape.
    assert identity(images.reshape(5, 4, 16, 3)) != identity(images)
    assert identity(images, n=3, seed=0) != identity(images, n=3, seed=1)


def test_a_streamed_set_is_decoded_once_for_labels_and_identity():
    images, taken = noise(600), []

    def take(indices):
        taken.extend(indices)
        return {"image": images[indices], "label": indices % 2}

    held = InMemory("h", {"image": images, "label": np.arange(600) % 2})
    found = of_source(Streamed("s", take, 600, held.spec), "s")
    assert taken == list(range(600))
    assert found.identity == of_source(held, "h").identity
    np.testing.assert_array_equal(found.labels, held.arrays["label"])


@pytest.mark.parametrize("terminal", [True, False])
def test_reading_slowly_is_shown_on_terminals(terminal, monkeypatch, capsys):
    monkeypatch.setattr("sys.stderr.isatty", lambda: terminal)
    monkeypatch.setattr(
        image_sets, "tqdm", _without_delay(monkeypatch, image_sets.tqdm)
    )
    of_source(InMemory("a", {"image": noise(3)}), "slow")
    assert ("reading slow" in capsys.readouterr().err) == terminal


def _without_delay(monkeypatch, bar):
    return lambda *args, **options: bar(*args, **options | {"delay": 0})


@pytest.mark.parametrize(
    "spec, kind, message",
    [
        ("{}/none", FileNotFoundError, "none: no such folder or file, nor a set of "),
        ("{}/n@ne/a", FileNotFoundError, "n@ne/a: no such folder or file"),
        ("digit", FileNotFoundError, "digit: no such .* digits"),
        ("digit@test", FileNotFoundError, "digit@test: no such .* digits"),
        ("{}/none.npy", FileNotFoundError, "none.npy: no such folder or file"),
        ("folder:{}/n@ne/a", FileNotFoundError, "n@ne/a: there is no such folder"),
        ("tfd:cifar10", ValueError, "did you mean tfds:NAME"),
        ("{}", FileNotFoundError, "holds nothing; wanted pictures"),
        ("circle", ValueError, "circle holds point data, not images"),
        ("ring8@test", ValueError, "ring8@test holds point data"),
        ("folder:{}@test", FileNotFoundError, "holds nothing"),
    ],
)
def test_what_is_no_image_set(tmp_path, spec, kind, message):
    with pytest.raises(kind, match=message):
        open_set(spec.format(tmp_path))


def test_mixed_sizes_need_a_size(tmp_path):
    folder = pictures(tmp_path / "a", noise(2))
    Image.fromarray(noise(1, side=9)[0]).save(tmp_path / "a" / "x.png")
    with pytest.raises(ValueError, match="000.png is 8x8.*x.png is 9x9.*--resize=64"):
        open_set(folder)
    assert all_of(open_set(folder, resolution=8)).shape == (3, 8, 8, 3)


def test_a_corrupt_file_is_named(tmp_path):
    folder = pictures(tmp_path / "a", noise(3))
    path = tmp_path / "a" / "001.png"
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(ValueError, match="cannot read .*001.png"):
        open_set(folder)
    (tmp_path / "b.npz").write_bytes(b"PK")
    with pytest.raises(ValueError, match="b.npz is not a readable"):
        open_set(str(tmp_path / "b.npz"))


def test_values_out_of_range(tmp_path):
    np.save(tmp_path / "a.npy", np.full((2, 8, 8, 3), 1.5))
    with pytest.raises(ValueError, match="a.npy.*from 1.5 to 1.5 can be read in"):
        open_set(str(tmp_path / "a.npy"))


def test_floats_and_bytes_of_the_same_images_are_the_same(tmp_path):
    images = noise(5)
    named = {"bytes": images, "unit": images / 255, "signed": images / 127.5 - 1}
    for name, x in named.items():
        np.save(tmp_path / f"{name}.npy", x)
    np.save(tmp_path / "dim.npy", images / 1024)
    specs = [f"{tmp_path}/{name}.npy" for name in named]
    specs += [f"{tmp_path}/unit.npy:range=0..1", pictures(tmp_path / "png", images)]
    for spec in specs:
        np.testing.assert_array_equal(all_of(open_set(spec)), images)
    with pytest.raises(ValueError, match="dim.npy:range=0..1"):
        open_set(f"{tmp_path}/dim.npy")


def test_a_split_of_a_folder(tmp_path):
    pictures(tmp_path / "a" / "train", noise(3))
    held_out = noise(2, seed=1)
    pictures(tmp_path / "a" / "test", held_out)
    for spec in (f"{tmp_path}/a@test", f"folder:{tmp_path}/a@test"):
        np.testing.assert_array_equal(all_of(open_set(spec)), held_out)


def unpaired():
    """b has labels and fewer images than a."""
    labelled = InMemory("b", {"image": noise(14), "label": np.arange(14) % 3})
    return Unpaired("ab", {"a": InMemory("a", {"image": noise(20)}), "b": labelled})


def test_a_side_of_unpaired_data_has_its_own_length_and_labels():
    a, b = (of_source(unpaired(), "ab", field=x) for x in "ab")
    assert (a.n, len(all_of(a)), a.labels, a.n_classes) == (20, 20, None, None)
    assert (b.n, len(all_of(b)), b.n_classes) == (14, 14, 3)
    np.testing.assert_array_equal(b.labels, np.arange(14) % 3)
    assert of_source(unpaired(), "ab", field="b", n=10).n == 10
    with pytest.raises(ValueError, match="holds 14 images, fewer than the 15"):
        of_source(unpaired(), "ab", field="b", n=15)
