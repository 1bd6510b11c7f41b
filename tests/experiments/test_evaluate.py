"""Evaluation: which samples are measured, by what, and what is kept of it."""

import functools
import importlib
import json

import jax
import numpy as np
import pytest

from experiments import evaluate, process
from experiments.evaluate import evaluate_run, make_evaluate
from gans import core, data


@pytest.fixture(scope="module")
def game():
    config = importlib.import_module("configs.gan").get_config("ring8")
    config.shape, config.n_evaluate = (2,), 700
    return config, *built(config), data.load("ring8")


def built(config):
    gan = importlib.import_module(f"gans.variants.{config.variant}").build(config)
    state = jax.jit(functools.partial(core.init, gan))(jax.random.key(0))
    return gan, state


def test_the_metrics_of_the_config_see_n_samples_of_the_average(game, monkeypatch):
    config, gan, state, source = game
    seen = []

    def measure(samples, given):
        assert given is source
        seen.append(samples["point"])
        return {"spread": float(samples["point"].std())}

    monkeypatch.setattr("gans.metrics.modes.measure", measure)
    judge = make_evaluate(gan, config, source)
    report = judge(state)
    spread = float(seen[0].std())
    assert evaluate.values(report) == {"eval/modes/spread": spread}
    assert seen[0].shape == (700, 2)
    assert len(np.unique(seen[0], axis=0)) == 700, "the same latents again"
    # The same latents each time; and the averaged generator, not the raw one.
    judge(state)
    np.testing.assert_array_equal(seen[0], seen[1])
    still = state.replace(params=jax.tree.map(np.zeros_like, state.params))
    judge(still)
    np.testing.assert_array_equal(seen[0], seen[2])


def test_without_metrics_there_is_nothing(game):
    config, gan, state, source = game
    config = config.copy_and_resolve_references()
    config.metrics = ()
    assert make_evaluate(gan, config, source)(state) == {}


@pytest.mark.parametrize(
    "metric, message",
    [
        ("mode", "'mode' is not one of.*did you mean 'modes'"),
        ("fid", "config.metrics: fid are for images"),
    ],
)
def test_a_metric_that_cannot_be(game, metric, message):
    config, gan, _, source = game
    config = config.copy_and_resolve_references()
    config.metrics = (metric,)
    with pytest.raises(ValueError, match=message):
        make_evaluate(gan, config, source)


def test_missing_weights_are_told_before_anything_is_trained(
    tiny, tmp_path, monkeypatch
):
    monkeypatch.setenv("GANS_INCEPTION", str(tmp_path / "none.pth"))
    config = tiny("gan", "digits", metrics=("fid",), extractor="inception")
    with pytest.raises(FileNotFoundError, match="GANS_INCEPTION=.*none.pth"):
        make_evaluate(built(config)[0], config, data.load("digits", resolution=16))


def mean_colour(images):
    """An extractor: the mean over each quarter, and its parts as logits."""
    x = images.astype("float32") / 255
    b, h, w, c = x.shape
    x = x.reshape(b, 2, h // 2, 2, w // 2, c).mean((2, 4)).reshape(b, -1)
    return {"features": x, "logits": 10 * x}


def test_features_of_samples_against_training_and_test_images(
    tiny, tmp_path, monkeypatch
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    config = tiny("cgan", "digits", n_evaluate=600, n_classes=10)
    config.metrics = ("fid", "agreement", "intra_fid")
    config.extractor = f"{__name__}:mean_colour"
    monkeypatch.setattr("gans.metrics.agreement.measure", lambda *_: {"agreement": 0.1})
    monkeypatch.setitem(__import__("sys").modules, __name__, _this())
    gan, state = built(config)
    source = data.load("digits", resolution=16)
    report = make_evaluate(gan, config, source, baseline=True)(state)
    features = ["fd_mean-colour", "intra_fd_mean-colour"]
    assert list(report["results"]) == [*features, "agreement/agreement"]
    untrained, real = (
        report[key]["fd_mean-colour"]["value"] for key in ("results", "baseline")
    )
    assert untrained > 20 * real > 0
    protocol = report["protocol"]
    assert (protocol["n_real"], protocol["n_fake"]) == (1437, 600)
    assert protocol["n_test"] == 360
    assert any("600 images, fewer than 10000" in doubt for doubt in report["warnings"])


def _this():
    return importlib.import_module("types").SimpleNamespace(mean_colour=mean_colour)


def result(value, better="lower"):
    return {"results": {"fd_x": {"value": value, "better": better}}}


def test_better():
    first = evaluate.better(result(3.0), 10, None)
    assert first == {"step": 10, "metric": "fd_x", "value": 3.0}
    assert evaluate.better(result(3.0), 20, first) is None
    assert evaluate.better(result(2.0), 20, first)["step"] == 20
    assert evaluate.better(result(4.0), 20, first) is None
    assert evaluate.better(result(4.0, "higher"), 20, first)["step"] == 20
    assert evaluate.better(result(float("nan")), 20, first) is None
    assert evaluate.better(result(1.0, None), 20, first) is None
    assert evaluate.better(result(float("nan")), 20, None) is None
    other = first | {"metric": "kid_x"}
    assert evaluate.better(result(9.0), 20, other)["metric"] == "fd_x"


@pytest.fixture(scope="module")
def run(tmp_path_factory, tiny):
    from experiments.train import train

    folder = tmp_path_factory.mktemp("run")
    config = importlib.import_module("configs.gan").get_config("ring8")
    for player in (config.generator, config.critic):
        player.widths = (8,)
    config.update({"batch_size": 4, "steps": 20, "steps_per_call": 10})
    config.update({"log_every": 10, "sample_every": 20, "checkpoint_every": 10})
    config.update({"evaluate_every": 0, "n_evaluate": 50})
    train(config, folder)
    return folder


def test_a_run_is_evaluated_afterwards(run, monkeypatch):
    def measure(samples, source):
        return {"spread": float(samples["point"].std()), "n": len(samples["point"])}

    monkeypatch.setattr("gans.metrics.modes.measure", measure)
    lines = (run / "metrics.jsonl").read_text().splitlines()
    report = evaluate_run(run, checkpoint="10", n=70, metrics=("modes",))
    (*old, new) = (run / "metrics.jsonl").read_text().splitlines()
    assert old == lines
    assert json.loads(new) == {"step": 10, **evaluate.values(report)}
    record = json.loads((run / "evaluations.jsonl").read_text().splitlines()[-1])
    assert record["step"] == 10 and record["results"] == report["results"]
    assert report["results"]["modes/n"]["value"] == 70
    last = evaluate_run(run, n=70)
    assert last["results"] != report["results"]
    best = evaluate_run(run, checkpoint="best", n=70)  # its only evaluation: the last
    assert best["results"] == last["results"]


@pytest.mark.parametrize(
    "options, message",
    [
        ({"checkpoint": "first"}, "--checkpoint=first: wanted last, best or a step"),
        ({"checkpoint": "15"}, "no checkpoint of step 15"),
        ({"metrics": ("modez",)}, "did you mean 'modes'"),
        ({"metrics": ()}, "no metrics"),
    ],
)
def test_what_cannot_be_evaluated(run, options, message):
    with pytest.raises(ValueError, match=message):
        evaluate_run(run, **options)


def test_no_run(tmp_path):
    with pytest.raises(FileNotFoundError, match="no run there"):
        evaluate_run(tmp_path)


def test_the_cache_is_where_the_user_wants_it(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert process.cache_folder() == tmp_path / "jax-gans"
