"""Samples of a run in files: a grid, arrays, single pictures."""

import functools
import os
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from experiments import config as configs
from experiments.rundir.checkpoint import CheckpointError, Checkpoints
from experiments.sampling import pictures
from experiments.sampling.draw import draw
from experiments.sampling.pictures import point
from gans import core
from gans.data.kinds.image import encode

NAMES = ("cat", "big dog", "cow")


def train(workdir, config):
    """A run's config and its checkpoints of steps 7 and 9, of two different states."""
    workdir.mkdir(exist_ok=True)
    (workdir / "config.json").write_text(configs.to_json(config))
    gan = configs.build(config)
    checkpoints = Checkpoints(workdir, keep=None)
    states = {}
    for step in (7, 9):
        state = jax.jit(functools.partial(core.init, gan))(jax.random.key(step))
        states[step] = state.replace(step=np.int32(step))
        checkpoints.save(step, states[step], {})
    checkpoints.close()
    return gan, states


@pytest.fixture(scope="module")
def images(tiny, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("images")
    config = tiny("cgan", "digits")
    with config.unlocked(), config.ignore_type():
        config.spec.label.names = NAMES
    for player in ("generator", "discriminator"):
        config[player] = {
            "network": "mlp",
            "widths": (8,),
            "condition": "concat",
            "optimizer": config[player].optimizer,
        }
    return workdir, *train(workdir, config)


@pytest.fixture(scope="module")
def points(tiny, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("points")
    return workdir, *train(workdir, tiny("gan", "ring8"))


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(pathlib.Path(__file__).parents[2])
        from systems import solids  # the variant, from now on
    config = solids.get_config("clips")
    config = configs.resolve(config, configs.load_data(config))
    workdir = tmp_path_factory.mktemp("clips")
    return workdir, *train(workdir, config)


def expected(gan, state, *, n, seed=0, **changed):
    key = jax.random.key(seed)
    inputs = {**gan.inputs(key, {"": jnp.zeros(n)}), **changed}
    made = jax.jit(functools.partial(core.sample, gan))(state, inputs, key)
    (examples,) = (x for name, x in made.items() if name != "label")
    return np.asarray(examples)


def assert_same(a, b):
    """uint8 images, equal but for rounding."""
    assert a.shape == b.shape and a.dtype == b.dtype == np.uint8
    np.testing.assert_allclose(a.astype(int), b.astype(int), atol=1)


def test_arrays(images, tmp_path):
    workdir, gan, states = images
    path = draw(workdir, n=5, out=tmp_path / "new" / "x.npz", seed=3)
    with np.load(path) as arrays:
        assert sorted(arrays) == ["image", "label", "label_names"]
        assert tuple(arrays["label_names"]) == NAMES
        wanted = encode(expected(gan, states[9], n=5, seed=3))
        assert wanted.std() > 1  # control: not all one grey
        assert_same(arrays["image"], wanted)
        np.testing.assert_array_equal(arrays["label"], [0, 1, 2, 0, 1])
        assert arrays["label"].dtype == np.int32


def test_samples_do_not_depend_on_the_batch_size(images, tmp_path):
    workdir, _, _ = images
    found = {}
    for name, seed, size in (("a", 0, 3), ("b", 0, 64), ("c", 1, 3)):
        path = tmp_path / f"{name}.npz"
        draw(workdir, n=7, out=path, seed=seed, batch_size=size)
        found[name] = np.load(path)["image"]
    assert_same(found["a"], found["b"])
    with pytest.raises(AssertionError):  # control: another seed is another sample
        assert_same(found["a"], found["c"])


def test_a_grid_beside_the_run_by_default(images):
    workdir, gan, states = images
    path = draw(workdir, n=5)
    assert path == str(workdir / "samples" / "drawn_00000009.png")
    # Each column has a class, whose name is above it.
    wanted = pictures.grid(expected(gan, states[9], n=5), columns=3)
    found = np.array(Image.open(path))
    assert_same(found[18:, :, :1], wanted)
    above = found[:18, :66], found[:18, 66:132], found[:18, 132:]
    assert all(50 < (255 - strip).sum() for strip in above)
    assert np.array(Image.open(draw(workdir))).shape[:2] == (
        18 + 8 * 66 - 2,
        9 * 66 - 2,
    )
    assert np.array(Image.open(draw(workdir, label="cow"))).shape == (8 * 66 - 2,) * 2


def test_single_pngs(images, tmp_path):
    workdir, gan, states = images
    out = tmp_path / "singly"
    assert draw(workdir, n=5, out=out, batch_size=2) == str(out)
    files = sorted(os.listdir(out))
    assert files[:3] == ["00000_cat.png", "00001_big-dog.png", "00002_cow.png"]
    found = [np.array(Image.open(out / file))[..., None] for file in files]
    assert_same(np.stack(found), encode(expected(gan, states[9], n=5)))
    with pytest.raises(FileExistsError, match="singly"):
        draw(workdir, n=2, out=out)


def test_class_and_checkpoint(images, tmp_path):
    workdir, gan, states = images
    path = tmp_path / "x.npz"
    draw(workdir, n=4, out=path, label=2, checkpoint=7)
    label = np.full(4, 2, np.int32)
    arrays = np.load(path)
    np.testing.assert_array_equal(arrays["label"], label)
    assert_same(arrays["image"], encode(expected(gan, states[7], n=4, label=label)))


def test_interpolation(images, tmp_path):
    workdir, gan, states = images
    path = tmp_path / "x.png"
    draw(workdir, n=2, out=path, interpolate=4, label=1)
    picture = np.array(Image.open(path))[..., None]
    assert picture.shape == (2 * 66 - 2, 4 * 66 - 2, 1)
    # The ends of the rows: latents 0 and 1 of four on the left, 2 and 3 on the right.
    ends = expected(gan, states[9], n=4, label=np.ones(4, np.int32))
    assert_same(picture[:, :64], pictures.grid(ends[:2], columns=1))
    assert_same(picture[:, -64:], pictures.grid(ends[2:], columns=1))
    draw(workdir, out=path, interpolate=3)
    assert np.array(Image.open(path)).shape == (8 * 66 - 2, 3 * 66 - 2)


def test_classes_by_name(images, tmp_path):
    workdir, gan, states = images
    path = tmp_path / "x.npz"
    for given, wanted in [
        ("big dog", [1, 1, 1]),
        ("1", [1, 1, 1]),
        ("cow,cat", [2, 0, 2]),
        ("cow, 0", [2, 0, 2]),
    ]:
        draw(workdir, n=3, out=path, label=given)
        assert np.load(path)["label"].tolist() == wanted
    label = np.array([2, 0, 2], np.int32)
    wanted = encode(expected(gan, states[9], n=3, label=label))
    assert_same(np.load(path)["image"], wanted)


def test_several_seeds(images, tmp_path):
    workdir, gan, states = images
    path = tmp_path / "x.npz"
    draw(workdir, n=3, out=path, seed="4,7-8", batch_size=2)
    arrays = np.load(path)
    draw(workdir, n=3, out=path, seed="4,7-8")  # its own is replaced
    assert arrays["seed"].tolist() == [4] * 3 + [7] * 3 + [8] * 3
    wanted = [expected(gan, states[9], n=3, seed=seed) for seed in (4, 7, 8)]
    assert_same(arrays["image"], encode(np.concatenate(wanted)))
    # A row each; of more samples of one seed these are the first.
    draw(workdir, out=tmp_path / "x.png", seed="4,7")
    picture = np.array(Image.open(tmp_path / "x.png"))
    rows = [expected(gan, states[9], n=20, seed=seed)[:8] for seed in (4, 7)]
    assert_same(picture[18:, :, :1], pictures.grid(np.concatenate(rows), columns=8))
    out = tmp_path / "folder"
    draw(workdir, n=1, out=out, seed="4,7")
    assert sorted(os.listdir(out)) == [
        "seed0004_00000_cat.png",
        "seed0007_00000_cat.png",
    ]


@pytest.mark.parametrize("suffix", ["gif", "webp"])
def test_an_interpolation_moves_through_four_latents_and_back(images, tmp_path, suffix):
    workdir, gan, states = images
    path = tmp_path / "new" / f"x.{suffix}"
    draw(workdir, n=2, out=path, interpolate=3, label="cow,cat", fps=20)
    with Image.open(path) as file:
        assert file.info["loop"] == 0 and file.n_frames == 4 * 3
        frames = []
        for i in range(file.n_frames):
            file.seek(i)
            frames.append(np.array(file.convert("RGB"))[..., :1].astype(int))
            assert file.info["duration"] == 50
    draw(workdir, n=2, out=path, interpolate=3, label="cow,cat")  # its own is replaced
    other = tmp_path / f"other.{suffix}"
    Image.fromarray(frames[0][..., 0].astype(np.uint8)).save(other)
    with pytest.raises(FileExistsError, match="not drawn by this command"):
        draw(workdir, n=2, out=other, interpolate=3)
    label = np.array([2, 0] * 4, np.int32)
    ends = expected(gan, states[9], n=8, label=label)
    for k in range(4):
        wanted = pictures.grid(ends[2 * k : 2 * k + 2])
        wanted = wanted.repeat(3, 0).repeat(3, 1)  # 3 * 130 pixels, up to 512
        np.testing.assert_allclose(frames[3 * k], wanted, atol=2)
    steps = [
        np.abs(a - b).mean()
        for a, b in zip(frames, frames[1:] + frames[:1], strict=True)
    ]
    assert min(steps) > 0 and max(steps) < 6 * min(steps)  # the last too: it is closed


@pytest.mark.parametrize("suffix", ["gif", "webp"])
def test_clips_move_by_themselves(clips, tmp_path, suffix):
    workdir, gan, states = clips
    path = tmp_path / f"x.{suffix}"
    draw(workdir, n=4, out=path, fps=10)
    wanted = expected(gan, states[9], n=4)  # [4, 6, 8, 8, 3]
    with Image.open(path) as file:
        assert file.n_frames == 6 and file.info["loop"] == 0
        for t in range(6):
            file.seek(t)
            grid = pictures.grid(wanted[:, t])  # 130 pixels, up to 512
            found = np.array(file.convert("RGB"), int)
            assert file.info["duration"] == 100
            atol = 2 if suffix == "webp" else 64  # of 256 colours
            np.testing.assert_allclose(found, grid.repeat(3, 0).repeat(3, 1), atol=atol)


def test_clips_one_by_one(clips, tmp_path):
    workdir, gan, states = clips
    draw(workdir, n=2, out=tmp_path / "all")
    wanted = encode(expected(gan, states[9], n=2))
    for i, clip in enumerate(wanted):
        with Image.open(tmp_path / "all" / f"0000{i}.webp") as file:
            found = []
            for t in range(file.n_frames):
                file.seek(t)
                found.append(np.array(file.convert("RGB")))
        assert_same(np.stack(found), clip)
    with pytest.raises(FileExistsError, match="this folder holds pictures already"):
        draw(workdir, n=2, out=tmp_path / "all")
    with np.load(draw(workdir, n=2, out=tmp_path / "x.npz")) as arrays:
        assert_same(arrays["clip"], wanted)
    strips = Image.open(draw(workdir, out=tmp_path / "x.png"))
    assert strips.size == (6 * 66 - 2, 8 * 66 - 2)  # eight clips, of six frames
    assert (tmp_path / "x.webp").exists()


def test_the_pictures_of_a_training_as_an_animation(images, tmp_path):
    workdir, *_ = images
    run = tmp_path / "run"
    (run / "samples").mkdir(parents=True)
    (run / "config.json").write_text((workdir / "config.json").read_text())
    for step, grey in [(0, 0), (100, 100), (2000, 200)]:
        picture = np.full((40, 60, 1), grey, np.uint8)
        pictures.save_png(run / "samples" / f"step_{step:08d}.png", picture)
    for other in ("step_00000000_score.png", "real.png", "drawn_00000009.png"):
        pictures.save_png(run / "samples" / other, picture)
    path = draw(run, training=True, fps=4)
    assert path == str(run / "samples" / "training.gif")
    with Image.open(path) as file:
        assert file.n_frames == 3 and file.size == (60, 58)
        found = []
        for i, grey in enumerate((0, 100, 200)):
            file.seek(i)
            frame = np.array(file.convert("RGB"))
            assert abs(int(frame[5, 5, 0]) - grey) <= 4
            found.append(frame[40:])
            assert file.info["duration"] == (2000 if i == 2 else 250)
    assert not np.array_equal(found[1], found[2])  # the steps


def test_points(points, tmp_path):
    workdir, gan, states = points
    path = draw(workdir, n=6, out=tmp_path / "x.npz")
    with np.load(path) as arrays:
        assert list(arrays) == ["point"] and arrays["point"].dtype == np.float32
        wanted = expected(gan, states[9], n=6)
        np.testing.assert_allclose(arrays["point"], wanted, rtol=1e-5, atol=1e-6)
    path = draw(workdir, n=6, out=tmp_path / "x.png")
    assert Image.open(path).size == (640, 640)


@pytest.mark.parametrize(
    "arguments, error, message",
    [
        ({"n": 0}, ValueError, "--n=0: wanted at least 1"),
        ({"batch_size": 0}, ValueError, "--batch_size=0: wanted at least 1"),
        ({"interpolate": 1}, ValueError, "--interpolate=1: wanted at least 2"),
        ({"out": "x.jpg"}, ValueError, r"'\.jpg'; wanted \.png .* \.npz .* \.webp"),
        ({"label": 3}, ValueError, "class 3: the classes are cat, big dog, cow"),
        ({"label": -1}, ValueError, "class -1: the classes are"),
        ({"label": "-1"}, ValueError, "class -1: the classes are"),
        ({"label": "dig dog"}, ValueError, "did you mean 'big dog'"),
        ({"seed": "1-"}, ValueError, "--seed=1-: wanted a number, 0,1,2 or 0-15"),
        ({"seed": "3-1"}, ValueError, "--seed=3-1: wanted"),
        ({"seed": "1,0-2"}, ValueError, "--seed=1,0-2 names a seed twice"),
        ({"seed": "0,1", "interpolate": 3}, ValueError, "--interpolate takes one seed"),
        ({"n": 10_001}, ValueError, "one picture holds at most 10,000"),
        ({"out": "x.gif"}, ValueError, "needs --interpolate or --training"),
        ({"fps": 9}, ValueError, "--fps=9 is for animations"),
        ({"fps": 90, "out": "x.gif"}, ValueError, "--fps=90: wanted at most 50"),
        ({"training": True, "out": "x.png"}, ValueError, "--training needs a name in"),
        ({"training": True, "n": 3}, ValueError, "--training .* --n has no effect"),
        ({"training": True, "label": 1}, ValueError, "--training .* --class has no"),
        ({"training": True}, FileNotFoundError, "no pictures there"),
        ({"recalibrate": True}, ValueError, "cgan has no batch statistics"),
        ({"checkpoint": "best"}, ValueError, "steps 7, 9: take one of them, or 'last'"),
        ({"checkpoint": 8}, CheckpointError, r"no checkpoint of step 8.*\[7, 9\]"),
    ],
)
def test_wrong_arguments(images, arguments, error, message):
    with pytest.raises(error, match=message):
        draw(images[0], **arguments)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"label": 0}, "class 0: gan has no classes"),
        ({"interpolate": 3, "out": "x.gif"}, "ring8 has point data, not images"),
        ({"interpolate": 3}, "ring8 has point data, not images"),
        ({"out": "folder/"}, "ring8 has point data, not images"),
    ],
)
def test_wrong_arguments_for_points(points, arguments, message):
    with pytest.raises(ValueError, match=message):
        draw(points[0], **arguments)


def test_no_run_and_no_checkpoint(tiny, tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere: no run there"):
        draw(tmp_path / "nowhere")
    (tmp_path / "config.json").write_text(configs.to_json(tiny("gan", "ring8")))
    with pytest.raises(FileNotFoundError, match="no checkpoint there yet"):
        draw(tmp_path)
    assert os.listdir(tmp_path) == ["config.json"]


def test_a_file_of_another_kind_is_not_replaced(images, points, tmp_path):
    workdir = images[0]
    for name in ("photo.png", "broken.png", "data.npz", "text.npz"):
        path = tmp_path / name
        if name == "photo.png":
            Image.new("RGB", (8, 8)).save(path)
        elif name == "data.npz":
            np.savez(path, x_train=np.zeros(3), image=np.zeros(3))
        else:
            path.write_text("mine")
        before = path.read_bytes()
        with pytest.raises(FileExistsError, match=f"--out=.*{name}: this file was not"):
            draw(workdir, n=4, out=path)
        assert path.read_bytes() == before
    for name in ("a.png", "a.npz"):
        for n in (4, 8):  # those that it has drawn itself it draws again
            draw(workdir, n=n, out=tmp_path / name)
    draw(points[0], n=4, out=tmp_path / "points.png")
    draw(points[0], n=8, out=tmp_path / "points.png")


def test_a_picture_of_points_has_as_many_as_in_training(points, tmp_path, monkeypatch):
    seen, scatter = [], point.scatter

    def counted(path, real, fake, modes):
        seen.append(len(fake))
        return scatter(path, real, fake, modes)

    monkeypatch.setattr(point, "scatter", counted)
    draw(points[0], out=tmp_path / "x.png")
    draw(points[0], out=tmp_path / "y.png", n=5)
    assert seen == [point.N, 5]
    draw(points[0], out=tmp_path / "x.npz")
    with np.load(tmp_path / "x.npz") as file:
        assert len(file["point"]) == 64
