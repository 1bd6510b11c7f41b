"""Every evaluator, found by listing; and outputs other than "sample"."""

import dataclasses
import functools
import inspect
import sys
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from ml_collections import ConfigDict

from experiments.evaluation import evaluators, features, reports, scores
from experiments.evaluation.result import Result
from experiments.evaluation.setting import Setting
from gans import core, data
from gans.core import GAN, Net
from gans.data.sets.toy import Plane
from gans.data.source import InMemory, Unpaired


@pytest.mark.parametrize("name", evaluators.names())
def test_the_contract_of_an_evaluator(name):
    module = evaluators.module(name)
    parameters = list(inspect.signature(module.make).parameters.values())
    assert [p.name for p in parameters[:3]] == ["gan", "spec", "source"]
    keywords = {p.name for p in parameters if p.kind is p.KEYWORD_ONLY}
    assert {"setting", "output"} <= keywords
    assert module.__doc__
    score = getattr(module, "SCORE", None)
    assert (score is None) or score.name == name
    assert (name in scores.known()) == (score is not None)


def test_results_have_the_meaning_of_their_evaluator():
    assert evaluators.meaning("cycle/a").startswith("How far a pixel is from the image")
    assert evaluators.meaning("a_to_b/l1").startswith(
        "How far a pixel is from the real"
    )
    assert "people's judgement" in evaluators.meaning("lpips_alex")
    assert "features of output" in evaluators.meaning("perceptual_squeezenet")
    assert "either covers" in evaluators.meaning("palette/class_iou")
    assert evaluators.meaning("nothing/of/the/kind") == ""


def test_results_as_json():
    result = Result(1.5, "lower", 0.25, {"k": 3, "seconds": 2.0})
    found = result.to_json()
    assert list(found.items()) == [
        ("value", 1.5),
        ("standard_error", 0.25),
        ("k", 3),
        ("better", "lower"),
        ("seconds", 2.0),
    ]
    assert Result.from_json(found) == result
    assert Result(2.0).to_json() == {"value": 2.0, "better": None}
    # What is measured again and again and always the same has no error.
    assert Result(21.5, "higher", 3.6e-15).error == 0.0
    assert Result(21.5, "higher", 1e-6).error == 1e-6
    assert Result(0.0, "higher", 1e-12).error == 1e-12


class Shift(nn.Module):
    """Adds a number to images, at first 0."""

    @nn.compact
    def __call__(self, x, train):
        return x + self.param("by", nn.initializers.zeros, ())


def moved(nets, inputs, key):
    return {"b": nets["g"](inputs["a"])}


def dark(nets, inputs, key):
    return {"b": inputs["a"] * 0 - 1, "score": inputs["a"].mean((1, 2, 3))}


def mean_colour(images):
    """An extractor: the mean over each quarter, and its parts as logits."""
    x = images.astype("float32") / 255
    b, h, w, c = x.shape
    x = x.reshape(b, 2, h // 2, 2, w // 2, c).mean((2, 4)).reshape(b, -1)
    return {"features": x, "logits": 10 * x}


@pytest.fixture
def pairs(tmp_path, monkeypatch):
    """(gan, source, state, what makes a config); b is a, so that `moved` is perfect."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    user = types.SimpleNamespace(mean_colour=mean_colour)
    monkeypatch.setitem(sys.modules, "user_extractor", user)
    images = np.random.default_rng(0).integers(0, 256, (60, 8, 8, 1)).astype(np.uint8)
    source = InMemory("pairs", {"a": images, "b": images}, {"a": "image", "b": "image"})
    gan = GAN(
        nets={"g": Net(Shift(), (jax.ShapeDtypeStruct((1, 8, 8, 1), jnp.float32),))},
        updates=(),
        inputs=lambda key, batch: {"a": batch["a"]},
        outputs={"a_to_b": moved, "dark": dark},
        conditioned_on=("a",),
    )

    def load_test(config, spec):
        assert spec == source.spec
        return None

    monkeypatch.setattr("experiments.rundir.restore.load_test", load_test)
    state = jax.jit(functools.partial(core.init, gan))(jax.random.key(0))

    def config(*metrics, **changes):
        known = {"variant": "pairs", "data": "pairs", "data_dir": None}
        known |= {"dtype": "float32", "extractor": "user_extractor:mean_colour"}
        return ConfigDict({**known, "n_evaluate": 60, "metrics": metrics, **changes})

    return gan, source, state, config


def test_outputs_are_measured_against_the_field_that_they_have(pairs):
    gan, source, state, config = pairs
    metrics = (
        {"name": "fid", "output": "a_to_b"},
        {"name": "pr", "output": "a_to_b", "k": 4},
        {"name": "fid", "output": "dark"},
        {"name": "memorisation", "output": "a_to_b"},
    )
    report = reports.make_evaluate(gan, config(*metrics), source)(state)
    results = report["results"]
    assert list(results)[:4] == [
        "a_to_b/fd_mean-colour",
        "a_to_b/precision_mean-colour",
        "a_to_b/recall_mean-colour",
        "dark/fd_mean-colour",
    ]
    # Sample i is made of example i, so that copies of b come back.
    assert results["a_to_b/fd_mean-colour"]["value"] == pytest.approx(0, abs=1e-9)
    assert results["a_to_b/precision_mean-colour"]["value"] == 1
    assert results["a_to_b/precision_mean-colour"]["k"] == 4
    assert results["dark/fd_mean-colour"]["value"] > 0.1
    share = results["a_to_b/memorisation_share_mean-colour"]["value"]
    assert share == 1
    assert report["protocol"]["a_to_b/fake"] == "a_to_b of the EMA"
    assert report["protocol"]["dark/fake"] == "dark of the EMA"
    assert any("dark: 60 images, fewer than" in x for x in report["warnings"])
    values = reports.values(report)
    assert values["eval/dark/fd_mean-colour"] == results["dark/fd_mean-colour"]["value"]


def test_examples_are_test_rows_each_at_most_once(pairs, monkeypatch):
    gan, source, state, config = pairs
    test = InMemory("test", {k: x[:9] for k, x in source.arrays.items()}, source.spec)
    monkeypatch.setattr("experiments.rundir.restore.load_test", lambda *_: test)
    seen = {}

    def measure(real, fake, seed):
        seen["real"], seen["fake"] = real.features, fake.features
        return {"fid": {"value": 0.0}}

    score = dataclasses.replace(scores.known()["fid"], measure=measure)
    monkeypatch.setitem(scores.known(), "fid", score)
    metric = {"name": "fid", "output": "a_to_b"}
    report = reports.make_evaluate(gan, config(metric), source)(state)
    assert report["protocol"]["a_to_b/rows"] == "all 9 test rows, each once"
    assert report["protocol"]["a_to_b/n_real"] == 9
    # b is a: the samples are the test images.
    np.testing.assert_array_equal(seen["fake"], seen["real"])
    assert len(seen["fake"]) == 9
    # Of fewer samples than rows: always the same ones, in no order of their names.
    report = reports.make_evaluate(gan, config(metric, n_evaluate=4), source)(state)
    said = "4 of the 9 test rows, chosen at random once"
    assert report["protocol"]["a_to_b/rows"] == said
    rows = [np.flatnonzero((seen["real"] == x).all(1)).item() for x in seen["fake"]]
    assert rows == sorted(set(rows)) != [0, 1, 2, 3] and len(seen["real"]) == 9
    # Without a test set it is the training set, and that is said.
    monkeypatch.setattr("experiments.rundir.restore.load_test", lambda *_: None)
    report = reports.make_evaluate(gan, config(metric), source)(state)
    said = "all 60 training rows, each once; there is no test set"
    assert report["protocol"]["a_to_b/rows"] == said


def test_features_of_a_state_are_extracted_once(pairs, monkeypatch):
    gan, source, state, config = pairs
    calls, extract = [], features.extract

    def counted(extractor, images):
        calls.append(images.name)
        return extract(extractor, images)

    monkeypatch.setattr(features, "extract", counted)
    names = ("fid", "pr", "nnfs", "memorisation")
    metrics = [{"name": name, "output": "a_to_b"} for name in names]
    evaluate = reports.make_evaluate(gan, config(*metrics), source)
    first, second = evaluate(state), evaluate(state.replace(step=jnp.int32(5)))
    assert calls.count("samples of a_to_b") == 2  # one a state
    strip = lambda x: {k: v["value"] for k, v in x["results"].items()}  # noqa: E731
    assert strip(first) == strip(second)


@pytest.mark.parametrize(
    "metric, message",
    [
        ("fid", "config.metrics: fid: output: 'sample' is not one of a_to_b, dark"),
        ({"name": "pr", "output": "a_to_b", "n": 3}, "pr has no option 'n'"),
        ({"name": "ppl_z", "output": "a_to_b"}, "ppl_z needs latents z .*pairs has a"),
        ({"name": "agreement", "output": "a_to_b"}, "agreement needs a conditional"),
        ({"name": "modes", "output": "a_to_b"}, "modes is for the 2-D sets"),
        ({"name": "intra_fid", "output": "a_to_b"}, "intra_fid needs labels of both"),
        ({"output": "a_to_b"}, "neither a name nor a dict"),
    ],
)
def test_what_a_model_cannot_have_is_said_before_training(metric, message, pairs):
    gan, source, _, config = pairs
    with pytest.raises(ValueError, match=message):
        reports.make_evaluate(gan, config(metric), source)


def test_the_same_metric_twice(pairs):
    gan, source, _, config = pairs
    twice = [{"name": "pr", "output": "a_to_b", "k": k} for k in (3, 5)]
    with pytest.raises(ValueError, match="pr of 'a_to_b' is there twice"):
        reports.make_evaluate(gan, config(*twice), source)


def test_a_new_score_is_one_file(pairs, monkeypatch):
    """A module of the user's is known by its path to config and commands."""
    gan, source, state, config = pairs

    def make(gan, spec, source, *, setting: Setting, output="sample"):
        def evaluate(state):
            made = setting.collect(state, output)
            return {"darkness": Result(float(-made["b"].mean()), "lower")}

        return evaluate

    module = types.ModuleType("darkness")
    module.make = make
    monkeypatch.setitem(sys.modules, "darkness", module)
    metric = {"name": "darkness.make", "output": "dark"}
    report = reports.make_evaluate(gan, config(metric), source)(state)
    assert report["results"] == {"dark/darkness": {"value": 1.0, "better": "lower"}}
    assert {*report["protocol"]} == {"dark/made_of", "dark/rows"}
    assert report["warnings"] == []


def test_the_protocol_has_the_counts_of_every_output(pairs, monkeypatch, capsys):
    """Of sides that do not correspond; and both are shown at equal numbers."""
    gan, source, state, config = pairs

    def unpaired(**counts):
        arrays = {name: source.arrays[name][:n] for name, n in counts.items()}
        sides = {name: InMemory(name, {"image": x}) for name, x in arrays.items()}
        return Unpaired("ab", sides)

    both, tests = unpaired(a=30, b=20), unpaired(a=8, b=6)
    outputs = {
        "a_to_b": moved,
        "b_to_a": lambda nets, inputs, key: {"a": nets["g"](inputs["b"])},
    }
    gan = GAN(
        nets=gan.nets,
        updates=(),
        inputs=lambda key, batch: {name: batch[name] for name in "ab"},
        outputs=outputs,
        conditioned_on=("a", "b"),
    )
    monkeypatch.setattr("experiments.rundir.restore.load_test", lambda *_: tests)
    metrics = [{"name": "fid", "output": output} for output in outputs]
    report = reports.make_evaluate(gan, config(*metrics), both, baseline=True)(state)
    protocol = report["protocol"]
    assert protocol["extractor"] == "mean-colour" and "n_real" not in protocol
    names = ("n_real", "n_fake", "n_training")
    for output, side, *wanted in (("a_to_b", "a", 6, 8, 20), ("b_to_a", "b", 8, 6, 30)):
        # As many as there are test images on the side that they are made of, against
        # the test images of the other.
        assert [protocol[f"{output}/{x}"] for x in names] == wanted
        assert protocol[f"{output}/made_of"] == side
        assert protocol[f"{output}/rows"] == f"all {wanted[1]} test rows, each once"
        assert protocol[f"{output}/real"] == "pairs@test"
        assert protocol[f"{output}/fake"] == f"{output} of the EMA"
        assert protocol[f"{output}/baseline"] == (
            "real training images against test images"
        )
        column = f"real training images, n={wanted[1]}"
        assert report[f"{output}/equal_n"]["column"] == column
        assert f"{output}/fd_mean-colour" in report["baseline"]
    reports.show(report, "samples")
    head = capsys.readouterr().out.splitlines()[0]
    assert "real training images, n=6" in head and "real images" in head


def test_a_score_needs_enough_images_of_its_own_side(pairs, monkeypatch):
    gan, source, _, config = pairs
    sides = {"a": source.arrays["a"], "b": source.arrays["b"][:5]}
    sides = {name: InMemory(name, {"image": x}) for name, x in sides.items()}
    both, metric = Unpaired("ab", sides), {"name": "dc", "output": "a_to_b"}
    monkeypatch.setattr("experiments.rundir.restore.load_test", lambda *_: None)
    with pytest.raises(ValueError, match="dc of 5 real images, fewer than 6"):
        reports.make_evaluate(gan, config(metric), both)
    # It is the test side that counts, if there is one.
    monkeypatch.setattr("experiments.rundir.restore.load_test", lambda *_: both)
    with pytest.raises(ValueError, match="dc of 5 real images, fewer than 6"):
        reports.make_evaluate(gan, config(metric), source)


def test_modes_of_points_whatever_their_field_is_called(monkeypatch):
    ring = data.load("ring8")
    points = ring.arrays["point"][:500]
    known = {"modes": ring.modes, "sigma": ring.sigma}
    source = Plane("ring", {"xy": points}, {"xy": "point"}, **known)
    setting = types.SimpleNamespace(
        place="config.metrics",
        config=ConfigDict({"data": "python:own:ring"}),
        field=lambda *_: "xy",
        collect=lambda *_: {"xy": points},
    )
    make = evaluators.module("modes").make
    found = make(None, source.spec, source, setting=setting)(None)
    assert found["modes/modes"].value == 8
