"""Tasks made of any pictures: colour from grey, drawings, pictures with holes."""

import jax
import numpy as np
import pytest
from PIL import Image

from gans import data
from gans.data import pipeline
from gans.data.kinds.image import encode
from gans.data.sets import NoSplit, OptionWanted, colourise, edges, inpaint
from gans.data.source import InMemory

TASKS = ["colourise", "edges", "inpaint"]


@pytest.fixture
def pets(tmp_path):
    random = np.random.default_rng(0)
    for i, name in enumerate(("cat/1", "cat/2", "dog/3")):
        path = tmp_path / f"{name}.png"
        path.parent.mkdir(exist_ok=True)
        x = random.integers(0, 256, (6, 5, 3), np.uint8)
        Image.fromarray(x).resize((40, 30 + i)).save(path)
    return tmp_path


@pytest.mark.parametrize("task", TASKS)
def test_of_a_folder(task, pets, capsys):
    source = data.load(f"{task}:{pets}", resolution=16)
    assert source.name == f"{task}:{pets}" and len(source) == 3
    assert source.groups == (("a", "b"),) and source.spec["b"].shape == (16, 16, 3)
    taken = source.take(np.array([2, 0, 2]))
    assert taken["a"].dtype == np.uint8
    assert taken["a"].shape == (3, *source.spec["a"].shape)
    pictures = data.load(f"folder:{pets}", resolution=16).arrays["image"]
    np.testing.assert_array_equal(taken["b"], pictures[[2, 0, 2]])
    assert "class" not in capsys.readouterr().err
    # The same by its full name, and as an array.
    again = data.load(f"{task}:folder:{pets}", resolution=16)
    np.testing.assert_array_equal(again.take(np.array([2, 0, 2]))["a"], taken["a"])
    np.save(pets / "x.npy", pictures)
    again = data.load(f"{task}:{pets}/x.npy").take(np.array([2, 0, 2]))
    np.testing.assert_array_equal(again["a"], taken["a"])


@pytest.mark.parametrize("task", TASKS)
def test_of_another_set(task):
    source = data.load(f"{task}:digits", resolution=16, split="test")
    digits = data.load("digits", resolution=16, split="test").arrays["image"]
    assert len(source) == 360 and source.spec.keys() == {"a", "b"}
    np.testing.assert_array_equal(source[7]["b"][..., :1], digits[7])
    with pytest.raises(NoSplit):
        data.load(f"{task}:digits", split="val")


@pytest.mark.parametrize("task", TASKS)
def test_what_has_no_images(task, pets):
    with pytest.raises(
        ValueError, match=r"ring8: wanted a set of images, .* \(point\)"
    ):
        data.load(f"{task}:ring8")
    with pytest.raises(ValueError, match="unknown data set 'digit'; did you mean dig"):
        data.load(f"{task}:digit")
    with pytest.raises(ValueError, match="there is no such folder or file"):
        data.load(f"{task}:no/such")
    with pytest.raises(OptionWanted, match="several sizes"):
        data.load(f"{task}:{pets}")


@pytest.mark.parametrize("task", TASKS)
def test_messages_name_what_the_user_wrote(task, pets, capsys):
    (pets / "notes.txt").write_text("x")
    data.load(f"{task}:{pets}", resolution=16)
    said = capsys.readouterr().err
    assert f"{task}:{pets}: not read: " in said and "folder:" not in said
    with pytest.raises(NoSplit, match=f"^{task}:{pets} has no split 'test'"):
        data.load(f"{task}:{pets}", resolution=16, split="test")
    data.load(f"folder:{pets}", resolution=16)
    assert f"folder:{pets}: not read: " in capsys.readouterr().err


def test_grey_is_luma_and_its_lightness_comes_back(pets):
    source = data.load(f"colourise:{pets}", resolution=16)
    taken = source.take(np.arange(3))
    luma = taken["b"] @ np.array([0.299, 0.587, 0.114])
    np.testing.assert_allclose(taken["a"][..., 0], luma, atol=0.51)
    a, b = taken["a"][0], taken["b"][0]
    assert data.given("colourise:x") is colourise.given
    np.testing.assert_array_equal(colourise.given(b), a)
    np.testing.assert_array_equal(colourise.given(a), a)
    # A grey output stays the picture that was given; true colours stay near.
    finished = data.finished("colourise:x")
    grey = finished(a / 127.5 - 1, np.full(b.shape, -0.4))
    np.testing.assert_allclose(grey, (a / 127.5 - 1).repeat(3, -1), atol=1e-3)
    with pytest.raises(ValueError, match="needs channels=3, got 1"):
        data.load(f"colourise:{pets}", channels=1)


def test_drawings_are_dark_lines_on_white():
    picture = np.full((24, 24, 3), 200, np.uint8)
    picture[:, 12:] = 100
    drawing = edges.given(picture)[..., 0]
    assert drawing.dtype == np.uint8 and drawing.shape == (24, 24)
    assert (drawing[:, :11] == 255).all() and (drawing[:, 15:] == 255).all()
    assert (drawing[:, 12] == 0).all()  # on the dark side
    assert (edges.given(np.full((9, 9, 1), 40, np.uint8)) == 255).all()
    assert data.finished("edges:x") is None and data.given("edges:x") is edges.given


def test_a_part_of_a_picture_gives_a_part_of_its_drawing():
    random = np.random.default_rng(0)
    picture = np.asarray(
        Image.fromarray(random.integers(0, 256, (30, 30, 3), np.uint8)).resize((60, 60))
    )
    whole, part = edges.given(picture), edges.given(picture[20:, 10:])
    np.testing.assert_array_equal(part[4:, 4:], whole[24:, 14:])
    assert (whole < 128).mean() > 0.02


def test_holes_are_a_function_of_their_number():
    masks = np.stack([inpaint.holes((32, 48), i) for i in range(300)])
    assert masks.shape == (300, 32, 48) and masks.dtype == bool
    np.testing.assert_array_equal(masks[7], inpaint.holes((32, 48), 7))
    shares = masks.mean((1, 2))
    assert shares.min() > 0.01 and shares.max() < 0.75 and 0.15 < shares.mean() < 0.35
    where = masks.mean(0)  # every place is known sometimes, and is a hole sometimes
    assert where[4:-4, 4:-4].min() > 0 and where.max() < 0.6


def test_given_and_finished_pictures_with_holes():
    picture = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    mask = np.zeros((4, 4), bool)
    mask[1:3, 2] = True
    a = data.given("inpaint:x")(picture, mask)
    assert a.shape == (4, 4, 4) and (a[mask] == [128, 128, 128, 0]).all()
    np.testing.assert_array_equal(a[~mask][:, :3], picture[~mask])
    assert (a[~mask][:, 3] == 255).all()
    # Transparent pixels are holes, too.
    opacity = np.where(mask, 100, 200).astype(np.uint8)[..., None]
    np.testing.assert_array_equal(
        inpaint.given(np.concatenate([picture, opacity], -1)), a
    )
    known, output = (np.float32(x / 127.5 - 1) for x in (a, np.full_like(picture, 9)))
    for finished in (data.finished("inpaint:x"), jax.jit(data.finished("inpaint:x"))):
        whole = encode(finished(known, output))
        assert (whole[mask] == 9).all() and (whole[~mask] == picture[~mask]).all()


def test_holes_are_new_in_each_epoch_of_training_and_fixed_in_tests(pets):
    source = data.load(f"inpaint:{pets}", resolution=16)
    assert source.augmented and source.spec["a"].shape == (16, 16, 4)
    fixed = source.take(np.arange(3))["a"][..., 3]
    np.testing.assert_array_equal(fixed, source.take(np.arange(3))["a"][..., 3])
    batches = pipeline.batches(source, 3, seed=0)
    epochs = [batches[step] for step in range(8)]
    seen = {
        (x["b"][i].tobytes(), x["a"][i].tobytes()) for x in epochs for i in range(3)
    }
    assert len(seen) == 24 and len({b for b, _ in seen}) == 3
    for batch in epochs:
        known = batch["a"][..., 3] > 0
        assert (batch["a"][..., :3][known] == batch["b"][known]).all()
    # Exact after a resume, in another order for another seed.
    later = pipeline.batches(source, 3, seed=0, first_row=12, first_step=4)[5]
    np.testing.assert_array_equal(later["a"], epochs[5]["a"])
    assert (pipeline.batches(source, 3, seed=1)[0]["a"] != epochs[0]["a"]).any()


@pytest.mark.parametrize("task", TASKS)
def test_crops_of_both_sides_are_one(task):
    source = data.load(f"{task}:photos", resolution=24, jitter=8)
    assert source.spec["b"].shape == (24, 24, 3)
    batch = pipeline.batches(source, 4, seed=0)[0]
    given = data.given(f"{task}:photos")
    for a, b in zip(batch["a"], batch["b"], strict=True):
        if task == "inpaint":
            known = a[..., 3] > 0
            np.testing.assert_array_equal(a[known][:, :3], b[known])
        else:  # inside, where a drawing does not look across the border
            inner = (slice(4, -4), slice(4, -4))
            np.testing.assert_array_equal(given(b)[inner], a[inner])


@pytest.mark.parametrize("task", ["colourise", "edges"])
def test_what_is_small_is_held_and_the_rest_streamed(task, monkeypatch):
    assert isinstance(data.load(f"{task}:digits", resolution=8), InMemory)
    held = data.load(f"{task}:digits", resolution=8).take(np.arange(5))
    monkeypatch.setattr("gans.data.originals.hold", lambda source: source)
    streamed = data.load(f"{task}:digits", resolution=8)
    assert streamed.streamed
    for key, x in streamed.take(np.arange(5)).items():
        np.testing.assert_array_equal(x, held[key])


def test_sets_without_a_task():
    for name in ("digits", "pairs:x", "folder:x", "nothing"):
        assert data.given(name) is None and data.finished(name) is None
