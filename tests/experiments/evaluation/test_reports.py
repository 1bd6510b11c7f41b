"""Evaluation: which samples are measured, by what, and what is kept of it."""

import dataclasses
import functools
import importlib
import json
import sys

import jax
import numpy as np
import pytest

from experiments import config as configs
from experiments.evaluation import reports
from experiments.evaluation.reports import make_evaluate
from experiments.evaluation.runs import evaluate_run
from gans import core, data
from gans.data.kinds.image import encode


@pytest.fixture(scope="module")
def game():
    source = data.load("ring8")
    config = importlib.import_module("configs.gan").get_config("ring8")
    config = configs.resolve(config, source)
    config.n_evaluate = 700
    return config, *built(config), source


def built(config):
    gan = configs.build(config)
    state = jax.jit(functools.partial(core.init, gan))(jax.random.key(0))
    return gan, state


def test_the_metrics_of_the_config_see_n_samples_of_the_average(game, monkeypatch):
    config, gan, state, source = game
    seen = []

    def measure(points, given):
        assert given is source
        seen.append(points)
        return {"spread": float(points.std())}

    monkeypatch.setattr("gans.metrics.scores.modes.measure", measure)
    evaluate = make_evaluate(gan, config, source)
    report = evaluate(state)
    spread = float(seen[0].std())
    assert reports.values(report) == {"eval/modes/spread": spread}
    assert seen[0].shape == (700, 2)
    assert len(np.unique(seen[0], axis=0)) == 700, "the same latents again"
    # The same latents each time; and the averaged generator, not the raw one.
    evaluate(state)
    np.testing.assert_array_equal(seen[0], seen[1])
    still = state.replace(params=jax.tree.map(np.zeros_like, state.params))
    evaluate(still)
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
        ("fid", "config.metrics: fid is for data of kind image.*point"),
        ("agreement", "agreement is for data of kind image"),
        (
            {"name": "fid", "output": "reconstruct"},
            "fid: output: must be 'sample', got 'reconstruct'",
        ),
        ({"name": "modes", "k": 3}, "modes has no option 'k'"),
    ],
)
def test_a_metric_that_cannot_be(game, metric, message):
    config, gan, _, source = game
    config = config.copy_and_resolve_references()
    with config.unlocked(), config.ignore_type():
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
    monkeypatch.setattr(
        "gans.metrics.scores.agreement.measure", lambda *_: {"agreement": 0.1}
    )
    monkeypatch.setitem(sys.modules, __name__, _this())
    gan, state = built(config)
    source = data.load("digits", resolution=16)
    report = make_evaluate(gan, config, source, baseline=True)(state)
    features = ["fd_mean-colour", "intra_fd_mean-colour"]
    assert list(report["results"]) == [features[0], "agreement/agreement", features[1]]
    untrained, real = (
        report[key]["fd_mean-colour"]["value"] for key in ("results", "baseline")
    )
    assert untrained > 20 * real > 0
    assert report["equal_n"]["column"] == "samples, n=360"
    protocol = report["protocol"]
    assert (protocol["n_real"], protocol["n_fake"]) == (1437, 600)
    assert protocol["n_test"] == 360
    assert any("600 images, fewer than 10000" in doubt for doubt in report["warnings"])
    # During a training only what costs nothing the second time.
    during = make_evaluate(gan, config, source, baseline=True, equal_n=False)(state)
    assert during["baseline"]["fd_mean-colour"]["value"] == real
    assert "equal_n" not in during


def _this():
    return importlib.import_module("types").SimpleNamespace(mean_colour=mean_colour)


@pytest.fixture
def digits(tiny, tmp_path, monkeypatch):
    """(config, the rest of what `make_evaluate` takes) of digits, and `mean_colour`."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setitem(sys.modules, __name__, _this())
    config = tiny("cgan", "digits", n_evaluate=600, n_classes=10)
    config.extractor = f"{__name__}:mean_colour"
    source = data.load("digits", resolution=16)

    def make(*metrics, halve=False, **changes):
        options = {k: changes.pop(k) for k in ("baseline", "folder") if k in changes}
        here = config.copy_and_resolve_references()
        here.update({"metrics": metrics, **changes})
        if here.variant == "gan":
            here.generator.condition = here.discriminator.condition = None
        gan, state = built(here)
        if halve:
            whole = gan.outputs["sample"]
            outputs = {"sample": lambda n, x, k: whole(n, x | {"z": x["z"] / 2}, k)}
            gan = dataclasses.replace(gan, outputs=outputs)
        return make_evaluate(gan, here, source, **options), state

    return make


@pytest.mark.parametrize(
    "n, column", [(600, "samples, n=360"), (200, "real test images, n=200")]
)
def test_both_sides_at_equal_numbers(n, column, digits):
    evaluate, state = digits("pr", "fid", baseline=True, n_evaluate=n)
    report = evaluate(state)
    assert report["equal_n"]["column"] == column
    names = list(report["results"])
    assert names[0] == "precision_mean-colour" and len(names) == 3
    assert list(report["equal_n"]["results"]) == list(report["baseline"]) == names
    whole = report["results" if n == 600 else "baseline"]
    for name, value in report["equal_n"]["results"].items():
        if "recall" in name:  # it grows with the number of samples, and is tiny here
            continue
        assert value["value"] == pytest.approx(whole[name]["value"], rel=0.3)
        assert value != whole[name]
    said = " ".join(report["warnings"])
    assert all(f"{name}: " in said for name in ("digits", "samples", "digits@test"))


def test_without_test_images_halves_are_compared_where_that_is_fair(
    digits, monkeypatch
):
    monkeypatch.setattr("experiments.rundir.restore.load_test", lambda *_: None)
    evaluate, state = digits("fid", "kid", baseline=True, n_evaluate=200)
    report = evaluate(state)
    # A Frechet distance depends on the number of images; a kernel distance does not.
    assert list(report["baseline"]) == ["kid_mean-colour"]
    value = report["baseline"]["kid_mean-colour"]
    assert abs(value["value"]) < 0.05 * report["results"]["kid_mean-colour"]["value"]
    assert value["subset_size"] == 1437 // 2
    said = report["protocol"]["baseline"]
    assert "no test images: kid of one random half of the training images" in said
    evaluate, state = digits("fid", baseline=True, n_evaluate=200)
    report = evaluate(state)
    assert report["baseline"] == {}
    assert report["protocol"]["baseline"] == (
        "there are no test images, so the scores of real images are not known"
    )


def test_equal_numbers_need_no_third_column(digits):
    evaluate, state = digits("fid", baseline=True, n_evaluate=360)
    assert "equal_n" not in evaluate(state)


def test_the_samples_of_the_picture_are_those_that_were_measured(
    digits, tmp_path, monkeypatch
):
    seen = []

    def draw(path, distances, nearest, samples, training, field):
        indices = np.array([3, 599, 0, 501])
        originals = training.take(nearest[indices])["image"]
        seen.extend([path, distances[indices], samples(indices), originals])

    monkeypatch.setattr("experiments.evaluation.memorisation.draw", draw)
    evaluate, state = digits("fid", "memorisation", folder=tmp_path, baseline=True)
    report = evaluate(state)
    path, distances, samples, originals = seen
    x, y = (
        np.asarray(mean_colour(images)["features"], np.float64)
        for images in (encode(samples), originals)
    )
    np.testing.assert_allclose(np.linalg.norm(x - y, axis=1), distances, rtol=1e-5)
    assert len({*distances}) == 4
    assert path == tmp_path / "memorisation_00000000_mean-colour.png"
    kinds = ("distance", "ratio", "share")
    names = [f"memorisation_{kind}_mean-colour" for kind in kinds]
    assert list(report["results"]) == ["fd_mean-colour", *names]
    assert report["results"][names[0]]["picture"] == str(path)
    assert report["results"][names[0]]["reference"] == "test images"
    assert list(report["baseline"]) == ["fd_mean-colour"]
    # Without a folder, as in training, there is no picture.
    seen.clear()
    evaluate, state = digits("memorisation")
    (first, *_) = evaluate(state)["results"].values()
    assert not seen and "picture" not in first


def test_path_lengths_of_a_model(digits):
    evaluate, state = digits("ppl_z", "fid", baseline=True)
    report = evaluate(state)
    names = ["ppl_z_mean-colour", "fd_mean-colour"]
    assert list(report["results"]) == names
    length = report["results"][names[0]]
    assert length["value"] > 10 * length["standard_error"] > 0
    assert length["n_pairs"] == 600
    assert list(report["baseline"]) == names[1:]
    evaluate, state = digits("ppl_z")
    alone = evaluate(state)
    assert alone["results"][names[0]]["value"] == length["value"]
    protocol = alone["protocol"]
    assert (protocol["images"], protocol["extractor"]) == ("float32", "mean-colour")
    assert "versions" in protocol and "n_fake" not in protocol
    # Larger latents move less on their way: of a generator that sees z / 2 a quarter.
    halved, state = digits("ppl_z", halve=True)
    assert halved(state)["results"][names[0]]["value"] < 0.5 * length["value"]


@pytest.mark.parametrize(
    "metric, changes, message",
    [
        ("ppl_w", {}, "ppl_w: this model has no mapping network from z to w"),
        ("ppl_z", {"dtype": "bfloat16"}, "config.dtype=float32.*cgan has .*bfloat16"),
        ("ppl_z", {"extractor": "inception"}, "'inception' sees no steps smaller"),
        ("ppl_z", {"extractor": "lpips_vgg"}, "lpips_vgg needs torchvision's vgg16-39"),
        ("memorisation", {"extractor": "lpips_alex"}, "sees nothing of 16x16 pixels"),
        ("fid", {"extractor": "lpips_vgg"}, "lpips_vgg gives only distances"),
        ("pr", {"n_evaluate": 3}, "pr of 3 generated images, fewer than 4"),
        ("intra_fid", {"variant": "gan"}, "intra_fid needs labels of both sides"),
        ({"name": "pr", "k": 0}, {}, "pr: k=0 must be a whole number of at least 1"),
        ({"name": "pr", "k": "3"}, {}, "pr: k='3' must be a whole number"),
        ({"name": "kid", "subset": 1}, {}, "kid: subset=1 must be .* at least 2"),
        ({"name": "is", "n_splits": 700}, {}, "is of 600 generated images, fewer than"),
        ({"name": "pr", "k": 600}, {}, "pr of 600 generated images, fewer than 601"),
        ("intra_fid", {"n_evaluate": 19}, "intra_fid of 19 samples for 10 classes"),
        ("is", {"extractor": "random"}, "is needs an extractor that classifies"),
        ("classes", {"extractor": "random"}, "classes needs an extractor that cl"),
    ],
)
def test_what_this_run_cannot_have_is_said_at_once(
    metric, changes, message, digits, monkeypatch
):
    monkeypatch.setenv("GANS_LPIPS_HEADS", "/no/heads")
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        digits(metric, **changes)


def result(value, better="lower"):
    return {"results": {"fd_x": {"value": value, "better": better}}}


def test_better():
    first = reports.better(result(3.0), 10, None)
    assert first == {"step": 10, "metric": "fd_x", "value": 3.0}
    assert reports.better(result(3.0), 20, first) is None
    assert reports.better(result(2.0), 20, first)["step"] == 20
    assert reports.better(result(4.0), 20, first) is None
    assert reports.better(result(4.0, "higher"), 20, first)["step"] == 20
    assert reports.better(result(float("nan")), 20, first) is None
    assert reports.better(result(1.0, None), 20, first) is None
    assert reports.better(result(float("nan")), 20, None) is None
    other = first | {"metric": "kid_x"}
    assert reports.better(result(9.0), 20, other)["metric"] == "fd_x"


@pytest.fixture(scope="module")
def run(tmp_path_factory, tiny):
    from experiments.training.loop import train

    folder = tmp_path_factory.mktemp("run")
    config = importlib.import_module("configs.gan").get_config("ring8")
    for player in (config.generator, config.discriminator):
        player.widths = (8,)
    config.update({"batch_size": 4, "steps": 20, "steps_per_call": 10})
    config.update({"log_every": 10, "sample_every": 20, "checkpoint_every": 10})
    config.update({"evaluate_every": 0, "n_evaluate": 50})
    train(config, folder)
    return folder


def test_a_run_is_evaluated_afterwards(run, monkeypatch):
    def measure(points, source):
        return {"spread": float(points.std()), "n": len(points)}

    monkeypatch.setattr("gans.metrics.scores.modes.measure", measure)
    lines = (run / "metrics.jsonl").read_text().splitlines()
    report = evaluate_run(run, checkpoint="10", n=70, metrics=("modes",))
    (*old, new) = (run / "metrics.jsonl").read_text().splitlines()
    assert old == lines
    assert json.loads(new) == {"step": 10, **reports.values(report)}
    record = json.loads((run / "evaluations.jsonl").read_text().splitlines()[-1])
    assert record["step"] == 10 and record["results"] == report["results"]
    assert report["results"]["modes/n"]["value"] == 70
    assert "70 at 10<" in (run / "report.html").read_text()  # the page shows it, too
    last = evaluate_run(run, n=70)
    assert last["results"] != report["results"]
    best = evaluate_run(run, checkpoint="best", n=70)  # its only evaluation: the last
    assert best["results"] == last["results"]


@pytest.mark.parametrize(
    "options, message",
    [
        ({"checkpoint": "first"}, "checkpoint 'first': wanted last, best or a step"),
        ({"checkpoint": "15"}, "no checkpoint of step 15"),
        ({"metrics": ("modez",)}, "did you mean 'modes'"),
        ({"metrics": ()}, "no metrics"),
        ({"metrics": ("ppl_z",)}, "ppl_z is for data of kind image"),
    ],
)
def test_what_cannot_be_evaluated(run, options, message):
    with pytest.raises(ValueError, match=message):
        evaluate_run(run, **options)


def test_no_run(tmp_path):
    with pytest.raises(FileNotFoundError, match="no run there"):
        evaluate_run(tmp_path)


def fails(*_args, **_options):
    raise RuntimeError("out of\nluck")


def test_a_score_that_fails_is_recorded_and_the_others_are_not_lost(
    digits, monkeypatch
):
    from experiments.evaluation.scores import known

    score = dataclasses.replace(known()["kid"], measure=fails)
    monkeypatch.setitem(known(), "kid", score)
    monkeypatch.setattr("gans.metrics.scores.agreement.measure", fails)
    evaluate, state = digits("kid", "fid", "agreement", "pr", baseline=True)
    report = evaluate(state)
    assert list(report["failed"]) == ["kid", "agreement"]
    for why in report["failed"].values():  # this file has the extractor, too
        assert "RuntimeError: out of luck (" in why and "test_reports.py, line" in why
    assert "fd_mean-colour" in report["results"]
    assert "precision_mean-colour" in report["results"]
    assert "fd_mean-colour" in report["baseline"]
    # The first metric chooses the best checkpoint, and no other in its place.
    assert reports.better(report, 10, None) is None


def test_one_bad_score_by_distances_does_not_drop_the_others(digits, monkeypatch):
    from gans.metrics.scores import neighbours

    whole = neighbours.together

    def together(real, fake, **figures):
        return fails() if "nearest" in figures else whole(real, fake, **figures)

    monkeypatch.setattr(neighbours, "together", together)
    evaluate, state = digits("pr", "nearest", "dc")
    report = evaluate(state)
    assert list(report["failed"]) == ["nearest"]
    assert {"precision_mean-colour", "density_mean-colour"} <= set(report["results"])


def test_samples_that_are_not_finite_fail_every_score_by_features(digits):
    evaluate, state = digits("pr", "fid", "memorisation")
    bad = state.replace(ema=jax.tree.map(lambda x: x * np.nan, state.ema))
    report = evaluate(bad)
    assert list(report["failed"]) == ["pr", "fid", "memorisation"]
    assert report["results"] == {}
    assert reports.values(report) == {}


def test_a_full_disk_is_no_failed_score(digits, tmp_path, monkeypatch):
    import errno

    def draw(*_args, **_options):
        raise OSError(errno.ENOSPC, "No space left on device", "x.png")

    monkeypatch.setattr("experiments.evaluation.memorisation.draw", draw)
    evaluate, state = digits("memorisation", folder=tmp_path)
    with pytest.raises(OSError, match="No space left"):
        evaluate(state)


def test_the_exit_code_is_1_if_all_failed(capsys):
    one = {"results": {"a": {"value": 1.0}}, "failed": {"b": "no"}, "warnings": []}
    assert reports.show(one, "value") == 0
    assert "failed: b: no" in capsys.readouterr().err
    assert reports.show({**one, "results": {}}, "value") == 1
    assert reports.show({**one, "failed": {}}, "value") == 0


# --- classes as in the data -----------------------------------------------------------


def echo(config, source):
    """A cGAN whose samples are the data's first image of the class asked for."""
    gan, state = built(config)
    labels = source.arrays["label"]
    firsts = np.array([np.argmax(labels == c) for c in range(source.n_classes)])
    images = source.arrays["image"][firsts] / np.float32(127.5) - 1

    def sample(nets, inputs, key):
        return {"image": jax.numpy.asarray(images)[inputs["label"]]} | {
            "label": inputs["label"]
        }

    return dataclasses.replace(gan, outputs={"sample": sample}), state


@pytest.fixture
def skewed(tiny, monkeypatch, tmp_path):
    """(config, source) of two brightnesses, 88 : 12, and a third that no image has."""
    from gans.data.source import InMemory
    from gans.data.spec import Field

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setitem(sys.modules, __name__, _this())
    labels = np.array([0] * 88 + [1] * 12, np.int32)
    shades = np.random.default_rng(0).integers(0, 30, (100, 16, 16, 1))
    images = (shades + 200 * labels[:, None, None, None]).astype(np.uint8)
    field = Field("label", (), "int32", 3)
    source = InMemory("skewed", {"image": images, "label": labels}, {"label": field})
    config = tiny("cgan", "digits", n_evaluate=200)
    config.extractor = f"{__name__}:mean_colour"
    monkeypatch.setattr("experiments.rundir.restore.load_test", lambda *_: None)
    return config, source


def test_samples_have_the_classes_of_the_data(skewed, monkeypatch):
    config, source = skewed
    seen = []

    def measure(samples, labels, real, real_labels):
        seen.append(np.bincount(labels, minlength=3))
        return {"agreement": 1.0}

    monkeypatch.setattr("gans.metrics.scores.agreement.measure", measure)
    config.metrics = ("fid", "agreement")
    gan, state = echo(config, source)
    report = make_evaluate(gan, config, source)(state)
    assert seen[0].tolist() == [176, 24, 0]
    assert report["protocol"]["classes"] == "as in the data"
    # In turn they would be half dark and half bright, which is far away.
    features = report["results"]["fd_mean-colour"]["value"]
    assert features < 0.05


def test_the_distance_within_classes_is_of_equally_many_of_each(skewed, monkeypatch):
    from gans.metrics.scores import classes

    config, source = skewed
    seen = []

    def intra(real, real_labels, fake, fake_labels):
        seen.append((np.bincount(real_labels), np.bincount(fake_labels)))
        return 1.0

    monkeypatch.setattr(classes, "intra_frechet", intra)
    config.metrics = ("intra_fid", "fid")
    gan, state = echo(config, source)
    report = make_evaluate(gan, config, source)(state)
    ((real, fake),) = seen
    assert real.tolist() == [88, 12] and fake.tolist() == [100, 100]
    assert report["results"]["intra_fd_mean-colour"]["n_classes"] == 2
    assert "fd_mean-colour" in report["results"]


# --- which extractor ------------------------------------------------------------------


def test_auto_is_said_once_and_in_the_protocol(skewed, monkeypatch, capsys):
    from experiments.evaluation import extractors

    config, source = skewed
    monkeypatch.delenv("GANS_INCEPTION", raising=False)
    extractors.say_chosen.cache_clear()
    config.extractor, config.metrics = "auto", ("kid", "pr")
    monkeypatch.setattr(extractors, "SIDES", (0, 0))  # nothing is quick to learn
    gan, state = echo(config, source)
    evaluate = make_evaluate(gan, config, source)
    assert capsys.readouterr().err.count("extractor: random, as Inception's") == 1
    report = evaluate(state)
    assert set(report["results"]) == {"kid_random", "precision_random", "recall_random"}
    assert "not at hand" in report["protocol"]["extractor_chosen"]
    make_evaluate(gan, config, source)
    assert capsys.readouterr().err == ""


def test_a_classifier_without_labels_is_refused_before_training(tiny):
    from gans.data.source import InMemory

    images = np.zeros((20, 16, 16, 1), np.uint8)
    source = InMemory("plain", {"image": images})
    config = tiny("gan", "digits", metrics=("fid",), extractor="classifier")
    with pytest.raises(ValueError, match="has no labels to learn from.*`random`"):
        make_evaluate(built(config)[0], config, source)
