"""Evaluators of outputs beside the real images of their rows: l1, psnr, ssim, ..."""

import functools
import pathlib
import sys
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from ml_collections import ConfigDict
from PIL import Image

from experiments.evaluation import reports, tables
from gans import core, data
from gans.core import GAN, Net
from gans.data.source import InMemory, Unpaired

HEADS = pathlib.Path(__file__).parents[5] / "shared/data/weights"
LABELS = np.array([[0, 0, 223], [0, 128, 255], [255, 0, 0]], np.uint8)  # of facades


class Nothing(nn.Module):
    """x [B, H, W, C] -> x."""

    @nn.compact
    def __call__(self, x, train):
        return x


def same(nets, inputs, key):
    return {"b": inputs["a"]}


def back(nets, inputs, key):
    return {"a": inputs["a"] * 0.5}


def noise(nets, inputs, key):
    return {"b": inputs["a"] * 0}


def of_rows(source, **outputs):
    """(gan, state) that is given side a of a source, and side b if it is unpaired."""
    example = jax.ShapeDtypeStruct((1, *source.spec["a"].shape), jnp.float32)
    gan = GAN(
        nets={"g": Net(Nothing(), (example,))},
        updates=(),
        inputs=lambda key, batch: {"a": batch["a"]},
        outputs=outputs,
        conditioned_on=("a",),
    )
    return gan, jax.jit(functools.partial(core.init, gan))(jax.random.key(0))


def configured(*metrics, **changes):
    known = {"variant": "own", "data": "own", "data_dir": None, "dtype": "float32"}
    known |= {"extractor": "colours_of:mean_colour", "n_evaluate": 100}
    return ConfigDict({**known, "metrics": metrics, **changes})


def mean_colour(images):
    return {"features": images.astype("float32").mean((1, 2)) + 1.0}


@pytest.fixture
def pairs(tmp_path, monkeypatch):
    """A source of 7 pairs of 16x12 pixels; b is a with noise. It is the test set."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    user = types.SimpleNamespace(mean_colour=mean_colour)
    monkeypatch.setitem(sys.modules, "colours_of", user)
    rng = np.random.default_rng(0)
    a = rng.integers(0, 256, (7, 16, 12, 3))
    b = np.clip(a + rng.integers(-20, 21, a.shape), 0, 255)
    arrays = {"a": a.astype(np.uint8), "b": b.astype(np.uint8)}
    source = InMemory("pairs", arrays, {"a": "image", "b": "image"})
    monkeypatch.setattr("experiments.rundir.restore.load_test", lambda *_: source)
    return source


def of(name, **options):
    return {"name": name, **options}


def test_every_row_is_compared_with_its_own(pairs, monkeypatch):
    gan, state = of_rows(pairs, sample=same, other=noise)
    monkeypatch.setattr("experiments.evaluation.setting.VALUES", 3 * 1152)  # batches: 3
    metrics = ("l1", "psnr", "ssim", "perceptual", of("l1", output="other"))
    report = reports.make_evaluate(gan, configured(*metrics), pairs)(state)
    assert report["failed"] == {}
    results = report["results"]
    a, b = (pairs.arrays[name].astype(np.float64) for name in "ab")
    each = np.abs(a - b).mean((1, 2, 3)) / 127.5
    assert results["l1"]["value"] == pytest.approx(each.mean(), rel=1e-12)
    error = each.std(ddof=1) / np.sqrt(7)
    assert results["l1"]["standard_error"] == pytest.approx(error, rel=1e-12)
    assert (results["l1"]["n"], results["l1"]["shape"]) == (7, [16, 12, 3])
    psnr = 10 * np.log10(255**2 / ((a - b) ** 2).mean((1, 2, 3)))
    assert results["psnr"]["value"] == pytest.approx(psnr.mean(), rel=1e-12)
    assert 0.5 < results["ssim"]["value"] < 1
    # Grey 127.5 is saved as 128.
    far = np.abs(128 - b).mean() / 127.5
    assert results["other/l1"]["value"] == pytest.approx(far, rel=1e-12)
    colours = (a.mean((1, 2)) + 1, b.mean((1, 2)) + 1)
    unit = [x / np.linalg.norm(x, axis=-1, keepdims=True) for x in colours]
    wanted = ((unit[0] - unit[1]) ** 2).sum(-1).mean()
    found = results["perceptual_mean-colour"]["value"]
    assert found == pytest.approx(wanted, rel=1e-2)
    assert report["protocol"]["rows"] == "all 7 test rows, each once"
    # With the pairs in another order it is another number.
    assert np.abs(a - np.roll(b, 1, axis=0)).mean() / 127.5 > 2 * each.mean()


def test_samples_of_a_state_are_made_once(pairs):
    made = []

    def counted(nets, inputs, key):
        jax.debug.callback(lambda x: made.append(len(x)), inputs["a"])
        return same(nets, inputs, key)

    gan, state = of_rows(pairs, sample=counted)
    evaluate = reports.make_evaluate(gan, configured("l1", "fid", "psnr"), pairs)
    evaluate(state)
    jax.effects_barrier()
    assert sum(made) == 7
    evaluate(state.replace(step=state.step + 1))
    jax.effects_barrier()
    assert sum(made) == 14


def test_equal_pairs_have_no_finite_ratio(pairs):
    gan, state = of_rows(pairs, sample=same)
    half = {"a": pairs.arrays["a"], "b": pairs.arrays["b"].copy()}
    half["b"][:3] = half["a"][:3]
    source = InMemory("half", half, pairs.spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("experiments.rundir.restore.load_test", lambda *_: source)
        found = reports.make_evaluate(gan, configured("psnr"), source)(state)
    assert found["results"]["psnr"]["equal_pairs_left_out"] == 3
    assert np.isfinite(found["results"]["psnr"]["value"])


def test_there_and_back(pairs):
    gan, state = of_rows(pairs, sample=same, cycle_a=back)
    report = reports.make_evaluate(gan, configured("cycle"), pairs)(state)
    assert list(report["results"]) == ["cycle/a"]
    x = pairs.arrays["a"] / 127.5 - 1
    assert report["results"]["cycle/a"]["value"] == pytest.approx(
        np.abs(x / 2).mean(), rel=1e-2
    )
    # Its counterpart is what it was given, so that no pairs are needed.
    sides = {k: InMemory(k, {"image": x}) for k, x in pairs.arrays.items()}
    unpaired = Unpaired("ab", sides)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("experiments.rundir.restore.load_test", lambda *_: unpaired)
        again = reports.make_evaluate(gan, configured("cycle"), unpaired)(state)
    assert again["results"] == report["results"]


@pytest.fixture
def facades(monkeypatch):
    """12 label maps; a has them with a quarter of one class painted as another."""
    classes = np.tile(np.arange(3).repeat(16), (12, 4, 1)).reshape(12, 12, 16)
    wrong = classes.copy()
    wrong[:, :, :1] = 1
    noise = np.random.default_rng(0).integers(-9, 10, (12, 12, 16, 3))
    arrays = {
        name: np.clip(LABELS[x].astype(int) + noise, 0, 255).astype(np.uint8)
        for name, x in (("a", wrong), ("b", classes))
    }
    source = InMemory("facades", arrays, {"a": "image", "b": "image"})
    monkeypatch.setattr("experiments.rundir.restore.load_test", lambda *_: source)
    return source, classes, wrong


@pytest.mark.parametrize("palette", ["facades", "training", LABELS.tolist()])
def test_label_maps(palette, facades):
    source, classes, wrong = facades
    gan, state = of_rows(source, sample=same)
    metric = of("palette", palette=palette)
    results = reports.make_evaluate(gan, configured(metric), source)(state)["results"]
    pixels = np.mean(classes == wrong)
    assert results["palette/pixel_accuracy"]["value"] == pytest.approx(pixels)
    by_class = [np.mean(wrong[classes == k] == k) for k in range(3)]
    accuracy = results["palette/class_accuracy"]
    assert accuracy["value"] == pytest.approx(np.mean(by_class))
    assert accuracy["standard_error"] == pytest.approx(0, abs=1e-12)  # all rows alike
    assert accuracy["n_colours"] == (12 if palette == "facades" else 3)


@pytest.mark.parametrize(
    "metric, message",
    [
        ("l1", "l1 needs pairs: output 'sample' makes b of a, and in ab these do not"),
        (of("psnr", crop=6), "psnr needs pairs"),
        (of("lpips", net="vg"), "lpips: net: 'vg' is not one of alex, squeeze, vgg"),
        (of("cycle"), "cycle needs an output that makes images of a field of that"),
    ],
)
def test_what_cannot_be_compared(metric, message, pairs, monkeypatch):
    sides = {k: InMemory(k, {"image": x}) for k, x in pairs.arrays.items()}
    unpaired = Unpaired("ab", sides)
    monkeypatch.setattr("experiments.rundir.restore.load_test", lambda *_: unpaired)
    gan, _ = of_rows(unpaired, sample=same)
    with pytest.raises(ValueError, match=message):
        reports.make_evaluate(gan, configured(metric), unpaired)


@pytest.mark.parametrize(
    "metric, message",
    [
        (of("ssim", crop=1), "ssim: crop=1 of images of 12x16; at least 11x11 must"),
        (of("psnr", crop=6), "psnr: crop=6 of images of 12x16; at least 1x1 must"),
        (of("psnr", crop=-1), "psnr: crop=-1 of images"),
        (of("palette", palette="facade"), "'facade' is not one of facades, training"),
        (of("palette", palette="facades"), "a|b are no label maps in the facades pal"),
        (of("palette", palette=((1, 2), (3, 4))), r"shape \[2, 2\] for images of 3"),
    ],
)
def test_options_that_cannot_be(metric, message, pairs):
    gan, _ = of_rows(pairs, sample=same)
    with pytest.raises(ValueError, match=message):
        reports.make_evaluate(gan, configured(metric), pairs)


def test_a_model_without_examples_has_no_pairs(tiny):
    from experiments import config as configs
    from gans import data

    config = tiny("gan", "digits", metrics=("l1",))
    source = data.load("digits", resolution=16)
    with pytest.raises(ValueError, match="output 'sample' is not made of examples"):
        reports.make_evaluate(configs.build(config), config, source)


def test_without_weights_there_is_no_lpips(pairs, monkeypatch):
    monkeypatch.setenv("GANS_LPIPS_HEADS", "/no/heads")
    gan, _ = of_rows(pairs, sample=same)
    small = pytest.raises(ValueError, match="'lpips_alex' sees nothing of 12x16 pix")
    with small:
        reports.make_evaluate(gan, configured("lpips"), pairs)
    large = {k: np.zeros((3, 40, 40, 3), np.uint8) for k in "ab"}
    source = InMemory("large", large, {"a": "image", "b": "image"})
    monkeypatch.setattr("experiments.rundir.restore.load_test", lambda *_: source)
    gan, _ = of_rows(source, sample=same)
    with pytest.raises(FileNotFoundError, match="lpips_alex needs.*perceptual is"):
        reports.make_evaluate(gan, configured("lpips"), source)


def test_lpips_is_called_by_its_network_and_weights(pairs, monkeypatch):
    """With weights that are not the authors' it has another name."""
    from experiments.evaluation import extractors
    from gans.metrics.features.extractor import Extractor

    asked = []

    def find(name, **options):
        asked.append(name)
        apply = lambda variables, x: mean_colour(x)  # noqa: E731
        protocol = {"weights": {"trunk": "1", "heads": "2"}}
        return lambda: Extractor(f"{name}-12345678", apply, {}, protocol)

    monkeypatch.setattr(extractors, "find", find)
    monkeypatch.setattr(extractors, "check", lambda *_, **__: None)
    gan, state = of_rows(pairs, sample=same)
    report = reports.make_evaluate(gan, configured(of("lpips", net="vgg")), pairs)(
        state
    )
    (name,) = report["results"]
    assert asked == ["lpips_vgg"] and name == "lpips_vgg-12345678"
    found = report["results"][name]
    assert found["distance"] == "LPIPS" and found["weights"]["heads"] == "2"
    a, b = (pairs.arrays[x].mean((1, 2)) for x in "ab")
    assert found["value"] == pytest.approx(((a - b) ** 2).sum(-1).mean(), rel=1e-4)
    assert found["standard_error"] > 0


def test_outputs_that_are_not_finite_fail_their_scores(pairs):
    gan, state = of_rows(pairs, sample=lambda n, x, k: {"b": x["a"] * jnp.nan})
    report = reports.make_evaluate(gan, configured("l1", "ssim"), pairs)(state)
    said = "samples of 'sample' are not finite"
    assert report["failed"] == {"l1": said, "ssim": said}


def test_pictures_of_several_sizes_are_compared_whole(tmp_path, monkeypatch, capsys):
    """One at a time, each in its own size, and none is cut to that of the others."""
    rng = np.random.default_rng(0)
    for i, size in enumerate(((40, 52), (60, 44), (40, 52))):
        x = np.repeat(rng.integers(0, 256, (size[0] // 4, size[1] // 4, 3)), 4, 0)
        image = Image.fromarray(np.repeat(x, 4, 1).astype(np.uint8))
        image.resize(size[::-1], Image.Resampling.BILINEAR).save(tmp_path / f"{i}.png")
    name = f"sr:{tmp_path},{tmp_path}"
    source = data.load(name, resolution=32, split="test")
    monkeypatch.setattr("experiments.rundir.restore.load_test", lambda *_: source)

    def repeated(nets, inputs, key):
        return {"b": inputs["a"].repeat(4, 1).repeat(4, 2)}

    gan, state = of_rows(source, sample=repeated)
    metrics = of("psnr", crop=4, luma=True), "l1", of("ssim", crop=4), "psnr"
    report = reports.make_evaluate(gan, configured(*metrics), source)(state)
    assert report["failed"] == {}
    psnr, l1 = [], []
    for i in range(3):
        a, b = (source.whole(np.array([i]))[x].astype(np.float64) for x in "ab")
        assert b.shape[1:3] == ((40, 52), (60, 44), (40, 52))[i]
        made = a.repeat(4, 1).repeat(4, 2)
        l1.append(np.abs(made - b).mean() / 127.5)
        luma = np.array([65.481, 128.553, 24.966]) / 255
        apart = ((made - b) @ luma)[:, 4:-4, 4:-4]
        psnr.append(10 * np.log10(255**2 / (apart**2).mean()))
    results = report["results"]
    assert results["psnr_y"]["value"] == pytest.approx(np.mean(psnr), rel=1e-9)
    assert results["l1"]["value"] == pytest.approx(np.mean(l1), rel=1e-9)
    assert results["psnr_y"]["shape"] == "whole pictures"
    # Each by itself, in a table with the row of others below it.
    each = report["each"]
    assert list(each) == ["0.png", "1.png", "2.png"]
    for i, own in enumerate(each.values()):
        assert list(own) == ["psnr_y", "l1", "ssim", "psnr"]
        assert own["psnr_y"] == pytest.approx(psnr[i], rel=1e-9)
        assert own["l1"] == pytest.approx(l1[i], rel=1e-9)
    mean = np.mean([own["psnr"] for own in each.values()])
    assert results["psnr"]["value"] == pytest.approx(mean, rel=1e-12)
    others = {"bicubic": {"results": {}, "each": {"1.png": each["0.png"]}}}
    table = tables.markdown(report | {"title": "own", "others": others}).splitlines()
    assert "| picture |  | psnr_y | l1 | ssim | psnr |" in table
    at = [i for i, line in enumerate(table) if line.startswith("| 1.png | ")]
    assert [table[i].split(" | ")[1] for i in at] == ["own", "bicubic"]
    assert f"| {each['0.png']['psnr_y']:.4g} |" in table[at[1]]
    assert reports.show(report, "samples") == 0
    said = capsys.readouterr().out
    assert f"{each['2.png']['psnr_y']:.4g}" in said and "1.png" in said
    # Negative control: squares from the middle are others.
    cut = [source.take(np.array([i])) for i in range(3)]
    far = [np.abs(x["a"].astype(float).repeat(4, 1).repeat(4, 2) - x["b"]) for x in cut]
    assert abs(np.mean(far) / 127.5 - np.mean(l1)) > 1e-4
