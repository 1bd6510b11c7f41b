"""Generators of PyTorch's state dicts: what their authors' code makes comes out."""

import pathlib
import subprocess
import sys

import jax
import numpy as np
import pytest
from PIL import Image

import experiments
from configs import cyclegan, pix2pix, srgan
from experiments.exchange.importing import models
from experiments.rundir.folder import WorkdirError
from experiments.translation.folder import translate
from gans.data.kinds.image import encode
from gans.networks import msrresnet

FIXTURES = pathlib.Path(__file__).parents[4] / "shared/reference/parity"
FIXTURES = FIXTURES / "image_translation"
pytestmark = pytest.mark.skipif(
    not FIXTURES.is_dir(), reason="no fixtures in ../shared/reference/parity"
)


@pytest.fixture(autouse=True)
def writer(written):
    global save
    save = written.save


def fixture(name):
    """(state dict, arrays) of a fixture."""
    with np.load(FIXTURES / f"{name}.npz") as file:
        arrays = {x: file[x] for x in file.files}
    state = {x.removeprefix("w/"): y for x, y in arrays.items() if x.startswith("w/")}
    return state, arrays


def imported(state, folder, resolution=64, config=None, **options):
    """The model of a state dict, by way of a file and a workdir."""
    path = save(state, folder / "net.pth")
    config = config or pix2pix.get_config("folder")
    config.resolution, config.gan_weight = resolution, 0.0
    said = models([path], folder / "run", config, **options)
    assert len(said) >= 1 and said[0].startswith("g")
    return experiments.load(folder / "run")


def floats(x):
    """[C, H, W] of torch as ours."""
    return np.moveaxis(x, 0, -1).astype(np.float32)


def far(found, wanted):
    """The largest difference, as a share of the largest value."""
    return np.abs(found - wanted).max() / np.abs(wanted).max()


CASES = {
    "unet128_dropout": ("eval/out", {"evaluating": True}),
    "unet64_batch": ("eval/out", {"evaluating": True}),
    "unet64_batch alone": ("train_batch1/out", {"dropout": False}),
    "unet64_instance": ("eval/out", {"dropout": False}),
    "resnet6_instance": ("eval/out", {"resolution": 32}),
    "resnet9_batch": ("eval/out", {"resolution": 8, "evaluating": True}),
}


# Each kind of network, norm and statistics by default; the others are deeper, or both.
QUICK = "unet128_dropout", "unet64_batch", "resnet6_instance"
SOME = [
    case if case in QUICK else pytest.param(case, marks=pytest.mark.slow)
    for case in CASES
]


@pytest.mark.parametrize("case", SOME)
def test_the_outputs_of_the_fixtures(case, tmp_path):
    (name, *_), (output, options) = case.split(), CASES[case]
    state, arrays = fixture(name)
    model = imported(state, tmp_path, **options)
    assert model.outputs == ("sample",)
    x, wanted = floats(arrays["x"][0]), floats(arrays[output][0])
    (made,) = model.translate([x], size="full")
    assert far(made, wanted) < 3e-5
    # With other statistics, or of channels in another order, it is another picture.
    (wrong,) = model.translate([x[..., ::-1]], size="full")
    assert far(wrong, wanted) > 0.01
    if name == "unet64_batch":
        output = {"eval/out": "train_batch1/out"}.get(output, "eval/out")
        assert far(made, floats(arrays[output][0])) > 0.01


def test_the_output_as_a_file(tmp_path):
    """The network is given the picture rounded to bytes, and so is what it makes."""
    state, arrays = fixture("unet64_instance")
    model = imported(state, tmp_path, dropout=False)
    x, wanted = floats(arrays["x"][0]), floats(arrays["eval/out"][0])
    Image.fromarray(encode(x)).save(tmp_path / "x.png")
    source, out = str(tmp_path / "x.png"), str(tmp_path / "y.png")
    translate(tmp_path / "run", source=source, out=out, size="full")
    (bytes_of,) = model.translate([encode(x)], size="full")
    np.testing.assert_array_equal(np.asarray(Image.open(out)), bytes_of)
    assert np.abs(bytes_of - encode(wanted).astype(int)).mean() < 4


def test_dropout_remains_unless_it_is_switched_off(tmp_path):
    state, arrays = fixture("unet128_dropout")
    model, x = imported(state, tmp_path), floats(arrays["x"][0])
    one, two = (model.translate([x], seed=seed)[0] for seed in (0, 1))
    assert far(one, two) > 0.01
    assert model.spec["a"].shape == (128, 128, 3)  # its depth says so


def test_older_files(tmp_path):
    """With statistics that instance norm never used, and of several devices."""
    state, arrays = fixture("resnet6_instance")
    older = {}
    for name, x in state.items():
        older[f"module.{name}"] = x
        if name.endswith("bias") and len(x) > 3:
            place = name.rpartition(".")[0].rpartition(".")
            norm = f"module.{place[0]}.{int(place[2]) + 1}"
            older[f"{norm}.running_mean"] = np.full(len(x), 7.0)
            older[f"{norm}.running_var"] = np.full(len(x), 9.0)
            older[f"{norm}.num_batches_tracked"] = np.array([3.0])
    model = imported(older, tmp_path, resolution=32)
    (made,) = model.translate([floats(arrays["x"][0])], size="full")
    assert far(made, floats(arrays["eval/out"][0])) < 3e-5


@pytest.mark.slow  # it compiles first discriminators
def test_both_directions(tmp_path):
    state, _ = fixture("cyclegan_two_steps")
    paths, alone = [], []
    x = np.random.default_rng(0).uniform(-1, 1, (32, 32, 3)).astype(np.float32)
    for name in ("G_A", "G_B"):
        own = {k.removeprefix(f"{name}/"): v for k, v in state.items()}
        own = {k: v for k, v in own.items() if "/" not in k}
        (tmp_path / name).mkdir()
        alone.append(imported(own, tmp_path / name, 32).translate([x])[0])
        paths.append(tmp_path / name / "net.pth")
    config = cyclegan.get_config("folder")
    config.resolution, config.discriminator.width = 32, 4
    said = models(paths, tmp_path / "run", config)
    assert [line.split(":")[0] for line in said] == ["g_ab", "g_ba", "untrained"]
    model = experiments.load(tmp_path / "run")
    for output, wanted in zip(("a_to_b", "b_to_a"), alone, strict=True):
        (made,) = model.translate([x], output=output)
        np.testing.assert_allclose(made, wanted, atol=1e-5)
    (back,) = model.translate([x], output="cycle_a")
    (wanted,) = model.translate([alone[0]], output="b_to_a")
    np.testing.assert_allclose(back, wanted, atol=1e-4)
    said = models(paths[:1], tmp_path / "half", config)
    assert said[-1] == "untrained: d_a, d_b, g_ba"


def test_other_channels_and_directions(tmp_path):
    state, _ = fixture("resnet6_instance")
    first, last = [name for name, x in state.items() if x.shape[-1] == 7]
    grey = state | {first: state[first][:, :1]}
    model = imported(grey, tmp_path, 32)
    assert [x.shape[2] for x in model.spec.values()] == [1, 3]
    config = pix2pix.get_config("folder")
    config.direction = "b_to_a"
    (tmp_path / "back").mkdir()
    model = imported(grey, tmp_path / "back", 32, config)
    assert {name: x.shape[2] for name, x in model.spec.items()} == {"a": 3, "b": 1}
    assert model.translator().given == "b"


def test_pictures_become_larger(tmp_path):
    """BasicSR's MSRResNet; `tests/networks` compares what it makes."""
    with np.load(FIXTURES.parent / "super_resolution/msrresnet_x4.npz") as file:
        arrays = {x: file[x] for x in file.files}
    state = {x.removeprefix("w/"): y for x, y in arrays.items() if x.startswith("w/")}
    path = save(state, tmp_path / "net.pth")
    said = models([path], tmp_path / "run", srgan.get_config("folder_small"))
    assert said[0].startswith("g: ") and "msrresnet (width=8, blocks=16)" in said[0]
    model = experiments.load(tmp_path / "run")
    assert {k: x.shape for k, x in model.spec.items()} == {
        "a": (24, 24, 3),
        "b": (96, 96, 3),
    }
    wanted = msrresnet.from_torch(state)[1]["params"]
    for found in (model.state.params["g"], model.state.ema["g"]["params"]):
        jax.tree.map(np.testing.assert_array_equal, found, wanted)
    (made,) = model.translate([np.zeros((20, 26, 3), np.uint8)])
    assert made.shape == (80, 104, 3)


def test_what_is_no_generator(tmp_path):
    state, _ = fixture("patchgan70_batch")
    config = pix2pix.get_config("folder")

    def error(path):
        with pytest.raises(ValueError) as caught:
            models([path], tmp_path / "run", config)
        assert str(path.name) in str(caught.value)
        return str(caught.value)

    alone = error(save(state, tmp_path / "net_D.pth"))
    assert "net_D.pth: a Discriminator without a generator" in alone
    assert "belongs to no convolution" in error(
        save({"x": np.zeros(3)}, tmp_path / "x.pth")
    )
    (tmp_path / "y.pth").write_text("y")
    assert "not a readable .pth file" in error(tmp_path / "y.pth")
    (tmp_path / "z.zip").write_text("z")
    assert "'.zip' is not one of .bin, .npz, .pkl" in error(tmp_path / "z.zip")
    assert not (tmp_path / "run").exists()


def test_a_workdir_that_is_taken(tmp_path):
    state, _ = fixture("resnet6_instance")
    imported(state, tmp_path, 32)
    config = pix2pix.get_config("folder")
    with pytest.raises(WorkdirError, match="holds a run"):
        models([tmp_path / "net.pth"], tmp_path / "run", config)


@pytest.mark.slow
def test_command(tmp_path):
    state, _ = fixture("unet64_instance")
    path = save(state, tmp_path / "net.pth")
    command = [sys.executable, "-m", "experiments.import_weights", f"--file={path}"]
    command += [f"--workdir={tmp_path / 'run'}"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    first, last = done.stdout.splitlines()
    assert first.startswith("g: ") and "unet (width=4, depth=6" in first
    assert last == str(tmp_path / "run")
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("error: workdir") and done.stderr.count("\n") == 1
