"""Weights of the public StyleGAN2 in and out: the fixtures' images come of them."""

import functools
import json
import subprocess
import sys

import jax
import numpy as np
import pytest
import safetensors.numpy

import experiments
from configs import stylegan2
from experiments.exchange import exporting, importing
from gans import core


@pytest.fixture(scope="module")
def style(written):
    """style(name) -> (state dicts by network, in and out, hyper) of a fixture."""
    folder = written.PARITY / "style"

    def read(name):
        if not folder.is_dir():
            pytest.skip("no fixtures in ../shared/reference/parity")
        with np.load(folder / f"{name}.npz") as file:
            arrays = {x: file[x] for x in file.files}
        states = {"G": {}, "D": {}}
        for x, y in arrays.items():
            if x[0] in states and x[1] == "/":
                states[x[0]][x[2:]] = y
        return states, arrays, json.loads(str(arrays["hyper"]))

    read.path = lambda name: folder / f"{name}.npz"
    return read


def small():
    """A config of which only the discriminator counts, a narrow one."""
    config = stylegan2.get_config("folder")
    config.discriminator.channel_base, config.discriminator.channel_max = 256, 8
    config.augment = ()
    return config


def painter(model):
    """call(z, label, truncation) of the averaged generator, [n, H, W, C]."""

    @functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})
    def made(state, z, label, truncation):
        g = core.bind(model.gan, state, train=False, ema=True)["g"]
        ws = g(z, label, method="mapping")
        average = g.stats["style"]["w_avg"]
        ws = average + truncation * (ws - average)
        return g(ws, method="synthesis", noise="const")

    def call(z, label=None, truncation=1.0):
        return np.asarray(made(model.state, z, label, truncation))

    return call


def far(found, wanted):
    """The largest difference from images of torch, as a share of the largest value."""
    wanted = np.moveaxis(wanted, 1, -1)
    return np.abs(found[: len(wanted)] - wanted).max() / np.abs(wanted).max()


def test_the_images_of_the_fixture(style, tmp_path):
    states, arrays, _ = style("sg2_G_32")
    config = small()
    said = importing.models([style.path("sg2_G_32")], tmp_path / "run", config)
    g, untrained, left = said
    assert g.startswith("g: ") and "channel_base=512, channel_max=32" in g
    assert untrained == "untrained: d" and left.startswith("left out: hyper, in, out")
    model = experiments.load(tmp_path / "run")
    assert model.spec["image"].shape == (32, 32, 3) and model.config.latent == 16
    z, images = arrays["in/z"], painter(model)
    assert far(images(z), arrays["out/img"]) < 1e-4
    assert far(images(z, truncation=0.7), arrays["out/img_psi0.7"]) < 1e-4
    assert far(images(z[::-1]), arrays["out/img"]) > 0.01
    # `sample` draws noise of its own; without any of it, it gives the image clipped.
    flat = safetensors_without_noise(states["G"], tmp_path / "quiet.safetensors")
    importing.models([flat], tmp_path / "quiet", small())
    model = experiments.load(tmp_path / "quiet")
    inputs = {**model.inputs(len(z)), "z": z}
    (made,) = model.batches(inputs)
    wanted = np.clip(arrays["out/img_noise_none"], -1, 1)
    assert far(made["image"], wanted) < 1e-4
    inputs["truncation"] = np.full(len(z), 0.7, np.float32)
    (made,) = model.batches(inputs)
    assert far(made["image"], wanted) > 0.01


def safetensors_without_noise(state, path):
    quiet = {
        name: np.zeros_like(x) if name.endswith("noise_strength") else x
        for name, x in state.items()
    }
    safetensors.numpy.save_file(quiet, path)
    return path


def test_objects_of_a_pickle(style, written, tmp_path):
    """G_ema is the average, G and D are as trained; arguments have the clamp."""
    states, arrays, hyper = style("sg2_G_16_clamp")
    d, *_ = style("sg2_D_16_clamp")
    average = states["G"]
    trained = {name: 2 * x for name, x in average.items()}
    easy = written.EasyDict
    given = {"z_dim": 16, "synthesis_kwargs": easy(hyper["synthesis_kwargs"])}
    content = {
        "G": written.nested(trained, "Generator", **given),
        "D": written.nested(
            d["D"], "Discriminator", epilogue_kwargs=easy(mbstd_group_size=2)
        ),
        "G_ema": written.nested(average, "Generator", **given),
        "training_set_kwargs": easy(),
    }
    path = tmp_path / "x.pkl"
    path.write_bytes(written.dumps(content))
    said = importing.models([path], tmp_path / "run", small())
    assert said[-1] == "left out: training_set_kwargs"
    model = experiments.load(tmp_path / "run")
    assert model.config.generator.clamp == 1.0
    assert model.config.discriminator.group == 2
    assert far(painter(model)(arrays["in/z"]), arrays["out/img"]) < 1e-4
    bias = model.state.params["g"]["b4"]["torgb"]["bias"]
    np.testing.assert_allclose(bias, trained["synthesis.b4.torgb.bias"])
    kept = model.state.params["d"]["b4"]["out"]["bias"]
    np.testing.assert_allclose(kept, d["D"]["b4.out.bias"])


@pytest.mark.slow
def test_labels(style, tmp_path):
    _, arrays, _ = style("sg2_G_64_cond")
    config = small()
    importing.models([style.path("sg2_G_64_cond")], tmp_path / "run", config)
    model = experiments.load(tmp_path / "run")
    assert model.config.conditional and model.spec["label"].n_classes == 3
    z, label, images = arrays["in/z"], arrays["in/c"].argmax(1), painter(model)
    assert far(images(z, label), arrays["out/img"]) < 1e-4
    assert far(images(z, (label + 1) % 3), arrays["out/img"]) > 0.01


def test_export_and_back(style, tmp_path):
    """The file has the public names, which make the same images, config and all."""
    states, arrays, _ = style("sg2_G_16_resnet")
    importing.models([style.path("sg2_G_16_resnet")], tmp_path / "run", small())
    out = tmp_path / "x.safetensors"
    said = exporting.weights(tmp_path / "run", out)
    assert [line.split(", ")[1] for line in said] == ["D/...", "G/..."]
    found = safetensors.numpy.load_file(out)
    for name, x in states["G"].items():
        np.testing.assert_array_equal(found[f"G_ema/{name}"], x)
        np.testing.assert_array_equal(found[f"G/{name}"], x)
    for asked in (False, True):  # its own config, or another's
        again = tmp_path / f"again{asked}"
        said = importing.models([out], again, small(), asked=asked)
        assert [line[:2] for line in said] == ["d:", "g:"]
        kept, first = (experiments.load(x).state for x in (again, tmp_path / "run"))
        for part in ("params", "stats", "ema"):
            jax.tree.map(
                np.testing.assert_array_equal, getattr(kept, part), getattr(first, part)
            )
    images = painter(experiments.load(again))
    assert far(images(arrays["in/z"]), arrays["out/img"]) < 1e-4


def test_what_does_not_fit(style, tmp_path):
    states, *_ = style("sg2_G_16_orig")
    state = dict(states["G"])
    path = tmp_path / "x.safetensors"

    def error(state):
        safetensors.numpy.save_file(state, path)
        with pytest.raises(ValueError) as caught:
            importing.models([path], tmp_path / "run", small())
        assert str(caught.value).count("\n") == 0
        return str(caught.value)

    del state["synthesis.b16.conv1.bias"]
    assert "b16/conv1/bias: None, wanted (16,)" in error(state)
    assert "x.safetensors: no arrays" in error({})
    assert "not a network of StyleGAN2" in error({"a": np.zeros(2, np.float32)})
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(ValueError, match="not a readable .safetensors file"):
        importing.models([path], tmp_path / "run", small())
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_commands(style, tmp_path):
    def run(name, *flags):
        command = [sys.executable, "-m", f"experiments.{name}", *map(str, flags)]
        return subprocess.run(command, capture_output=True, text=True)

    style("sg2_G_32")
    run_, out = f"--workdir={tmp_path / 'run'}", tmp_path / "x.safetensors"
    done = run(
        "import_weights",
        "--config=stylegan2:folder",
        "--config.discriminator.channel_max=8",
        f"--file={style.path('sg2_G_32')}",
        run_,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("g: ")
    done = run("sample", run_, "--n=4", f"--out={tmp_path / 'x.npz'}")
    assert done.returncode == 0, done.stderr
    done = run("export", run_, f"--out={out}")
    assert done.returncode == 0, done.stderr
    done = run("import_weights", f"--file={out}", f"--workdir={tmp_path / 'again'}")
    assert done.returncode == 0, done.stderr
    done = run(
        "sample", f"--workdir={tmp_path / 'again'}", "--n=4", f"--out={tmp_path / 'y'}"
    )
    again = run(
        "sample",
        f"--workdir={tmp_path / 'again'}",
        "--n=4",
        f"--out={tmp_path / 'y.npz'}",
    )
    assert done.returncode == again.returncode == 0, done.stderr
    with np.load(tmp_path / "x.npz") as x, np.load(tmp_path / "y.npz") as y:
        np.testing.assert_array_equal(x["image"], y["image"])
    done = run("export", run_, "--out=x.pth")
    assert done.returncode == 1 and "must end in .stablehlo" in done.stderr
