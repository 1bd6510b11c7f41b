"""What a model of examples has to beat, in one table; and the gallery of all rows."""

import json
import re
import types

import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict
from PIL import Image

from experiments.evaluation import baselines, gallery, reports, tables
from experiments.evaluation.evaluators import names
from experiments.sampling.samplers import Samplers
from gans import data
from gans.core import GAN, State
from gans.data import bicubic
from gans.data.source import InMemory, Unpaired

assert "l1" in names()


def halved(nets, inputs, key):
    return {"b": inputs["a"] / 2}


def back(nets, inputs, key):
    return {"a": inputs["a"] / 2}


def made(source, **outputs):
    """A model without networks, as `experiments.load` has it; the source is the test
    set too."""
    gan = GAN(
        nets={},
        updates=(),
        inputs=lambda key, batch: {name: batch[name] for name in "ab"},
        outputs=outputs,
        conditioned_on=("a", "b"),
    )
    config = ConfigDict(
        {
            "variant": "own",
            "data": "own",
            "data_dir": None,
            "spec": {},
            "extractor": "random",
            "n_evaluate": 100,
            "metrics": (),
            "seed": 0,
        }
    )
    state = State(jnp.int32(7), {}, {}, {}, {}, {}, {})
    samplers = Samplers(gan, config, source.spec, lambda: source)
    return types.SimpleNamespace(
        gan=gan,
        config=config,
        state=state,
        samplers=samplers,
        data=source,
        outputs=tuple(outputs),
    )


@pytest.fixture
def pairs(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    rng = np.random.default_rng(0)
    a = rng.integers(0, 256, (9, 40, 40, 1)).astype(np.uint8)
    b = rng.integers(0, 256, (9, 40, 40, 3)).astype(np.uint8)
    train = InMemory("pairs", {"a": a, "b": b}, {"a": "image", "b": "image"})
    noisy = np.clip(a[[4, 0]].astype(int) + rng.integers(-9, 9, (2, 40, 40, 1)), 0, 255)
    test = {"a": noisy.astype(np.uint8), "b": b[[2, 3]]}
    test = InMemory("test", test, train.spec)
    monkeypatch.setattr("experiments.rundir.restore.load_test", lambda *_: test)
    return train, test


def outputs_of(kind, model, output="sample"):
    baseline = baselines.Baselines(model.samplers, model.data, baselines.KINDS[kind])
    found = list(baseline(output).batches(None, 2, size=1))
    return np.concatenate([x["b"] for x in found])


*OF_ONE_SIZE, ENLARGED = baselines.KINDS


def test_small_inputs_are_enlarged_as_papers_do_it(tmp_path):
    """Each picture whole; nothing else can be said of them."""
    rng = np.random.default_rng(0)
    for i, (h, w) in enumerate(((40, 48), (36, 33))):
        x = rng.integers(0, 256, (h, w, 3), np.uint8)
        Image.fromarray(x).save(tmp_path / f"{i}.png")
    source = data.load(f"sr:{tmp_path},{tmp_path}", resolution=32, split="test")
    make = baselines.KINDS[ENLARGED](source, ("a",), "b")
    for i in range(2):
        found = source.whole(np.array([i]))
        enlarged = make({"a": unit(found["a"])})
        assert enlarged.shape == found["b"].shape
        wanted = bicubic.resize(found["a"][0], 4)
        np.testing.assert_allclose(enlarged[0], unit(wanted), atol=1e-6)
    for kind in OF_ONE_SIZE:
        with pytest.raises(ValueError, match="b is not of the size of a"):
            baselines.KINDS[kind](source, ("a",), "b")
    with pytest.raises(ValueError, match="a is not whole times larger than b"):
        baselines.KINDS[ENLARGED](source, ("b",), "a")


def unit(x):
    return np.asarray(x, np.float64) / 127.5 - 1


def test_each_baseline(pairs):
    train, test = pairs
    model = made(train, sample=halved)
    near, mean, same = (outputs_of(kind, model) for kind in OF_ONE_SIZE)
    # The outputs of the training rows 4 and 0, whose inputs are the nearest.
    np.testing.assert_allclose(near, unit(train.arrays["b"][[4, 0]]), atol=1e-6)
    wanted = unit(train.arrays["b"]).mean(0)
    np.testing.assert_allclose(mean, [wanted, wanted], atol=1e-6)
    np.testing.assert_allclose(
        same, np.repeat(unit(test.arrays["a"]), 3, axis=-1), atol=1e-6
    )


def test_what_was_given_is_kept_in_baselines_too(pairs, monkeypatch):
    train, test = pairs
    monkeypatch.setattr("gans.data.finished", lambda name: jnp.maximum)
    mean = outputs_of(OF_ONE_SIZE[1], made(train, sample=halved))
    wanted = np.maximum(unit(train.arrays["b"]).mean(0), unit(test.arrays["a"]))
    np.testing.assert_allclose(mean, wanted, atol=1e-6)


def test_the_input_of_other_channels_is_its_luma(pairs):
    train, _ = pairs
    turned = {"a": train.arrays["b"], "b": train.arrays["a"]}
    source = InMemory("turned", turned, train.spec | {
        "a": train.spec["b"], "b": train.spec["a"]
    })  # fmt: skip
    make = baselines.untranslated(source, ("a",), "b")
    colours = np.array([1.0, 0, 0, 0, 1, 0, 0, 0, 1]).reshape(3, 1, 1, 3)
    found = make({"a": colours})
    assert found.shape == (3, 1, 1, 1)
    np.testing.assert_allclose(found.ravel(), [0.299, 0.587, 0.114], atol=1e-3)


def test_a_table_of_a_model_and_its_baselines(pairs):
    train, test = pairs
    model = made(train, sample=halved, cycle_a=back)
    model.config.metrics = ("l1", "kid", "cycle")
    model.gan = model.samplers.gan
    report = reports.make_evaluate(
        model.gan, model.config, train, baseline=True, samplers=model.samplers
    )(model.state)
    assert report["failed"] == {}
    report["title"] = "own, step 7"
    report["others"] = tables.others(
        model, model.config, with_baselines=True, trained_on=""
    )
    text = tables.markdown(report)
    lines = text.splitlines()
    assert lines[0] == "|  | l1 ↓ | kid_random ↓ | cycle/a ↓ |"
    first = [line.split(" | ")[0] for line in lines[2:7]]
    assert first == [f"| {x}" for x in ("own, step 7", *OF_ONE_SIZE, tables.REAL)]
    # There and back again is the model's own.
    cells = [line.strip("| ").split(" | ") for line in lines[2:7]]
    assert [x[3] for x in cells[1:]] == ["-"] * 4 and cells[0][3] != "-"
    # The mean picture is the best by L1, and marked.
    values = {x: r["results"]["l1"]["value"] for x, r in report["others"].items()}
    assert min(values, key=values.get) == "mean training picture"
    assert cells[2][1].startswith("**") and not cells[1][1].startswith("**")
    assert "- rows: all 2 test rows, each once" in lines
    assert "- made_of: a" in lines


def test_sides_that_do_not_correspond_have_no_nearest_pair(pairs, monkeypatch):
    train, _ = pairs
    sides = {k: InMemory(k, {"image": x}) for k, x in train.arrays.items()}
    source = Unpaired("ab", sides)
    monkeypatch.setattr("experiments.rundir.restore.load_test", lambda *_: source)
    model = made(source, a_to_b=halved)
    model.config.metrics = ({"name": "kid", "output": "a_to_b"},)
    found = tables.others(model, model.config, with_baselines=True, trained_on="")
    assert {*found} == {"mean training picture", "input, as it is"}
    assert [*found["input, as it is"]["results"]] == ["a_to_b/kid_random"]


def test_a_model_without_examples_has_no_baselines(pairs):
    train, _ = pairs
    model = made(train, cycle_a=back)
    model.config.metrics = ("cycle",)
    with pytest.raises(ValueError, match="--baselines: no metric is of .* are cycle"):
        tables.others(model, model.config, with_baselines=True, trained_on="")


# --- the gallery ----------------------------------------------------------------------


def shown(folder):
    """[(file, its scores)] of the gallery's rows in their order, and the whole page."""
    page = (folder / "gallery" / "index.html").read_text()
    found = re.findall(r'data-scores="(.*?)".*?src="(.*?)"', page, re.DOTALL)
    rows = [(src, json.loads(x.replace("&quot;", '"'))) for x, src in found]
    return rows, page


def test_a_gallery_has_each_test_row_the_best_first(pairs, tmp_path):
    train, test = pairs
    model = made(train, sample=halved, cycle_a=back)
    path = gallery.write(model, model.config, tmp_path)
    assert path == str(tmp_path / "gallery" / "index.html")
    rows, page = shown(tmp_path)
    assert page.count('loading="lazy"') == 2
    a, b = (unit(test.arrays[name]) for name in "ab")
    l1 = np.abs(np.repeat(a / 2, 3, -1) - b).mean((1, 2, 3))
    assert [x["row"] for _, x in rows] == np.argsort(l1).tolist()
    for src, x in rows:
        assert x["sample, l1"] == pytest.approx(l1[x["row"]], abs=0.01)
        assert x["cycle a, ssim"] > 0
        # Input, output, there and back again, target, with gaps of 4 pixels.
        size = Image.open(tmp_path / "gallery" / src).size
        assert size == (4 * 80 + 3 * 4, 80)
    assert "<span>input a</span><span>output b</span><span>cycle a</span>" in page
    assert "Made of a: all 2 test rows, each once." in page
    # Written again it replaces itself, but nothing else.
    gallery.write(model, model.config, tmp_path)
    (tmp_path / "gallery" / "index.html").write_text("mine")
    with pytest.raises(FileExistsError, match="holds no gallery"):
        gallery.write(model, model.config, tmp_path)


def test_a_gallery_is_bounded(pairs, tmp_path, monkeypatch):
    monkeypatch.setattr(gallery, "MOST", 2)
    train, _ = pairs
    monkeypatch.setattr("experiments.rundir.restore.load_test", lambda *_: train)
    model = made(train, sample=halved)
    gallery.write(model, model.config, tmp_path)
    rows, page = shown(tmp_path)
    assert len(rows) == 2 and "2 of the 9 test rows, chosen at random once" in page


def test_no_gallery_of_what_is_made_of_nothing(pairs, tmp_path):
    train, _ = pairs
    noise = lambda nets, inputs, key: {"b": jnp.zeros((2, 40, 40, 3))}  # noqa: E731
    model = made(train, sample=noise)
    with pytest.raises(ValueError, match="--gallery: own makes no images of examples"):
        gallery.write(model, model.config, tmp_path)
    assert not (tmp_path / "gallery").exists()
