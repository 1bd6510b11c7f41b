"""What scores are called, what they refuse, and what they warn of."""

import numpy as np
import pytest

from experiments.evaluation import doubts, scores
from experiments.evaluation.features import Features
from experiments.evaluation.statistics import Statistics
from gans.metrics.scores import frechet


def features(n=400, d=6, seed=0, shift=0.0, **changes):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, d, n).astype(np.int32)
    kept = {
        "features": (rng.normal(size=(n, d)) + shift).astype(np.float32),
        "logits": (8 * np.eye(d)[labels]).astype(np.float32),
        "shape": (96, 96, 3),
        "n_repeated": 0,
        "labels": labels,
        "n_classes": d,
    }
    return Features(**kept | changes)


def statistics(side, protocol=None):
    x = side.features.astype(np.float64)
    return Statistics(x.mean(0), np.cov(x, rowvar=False), len(x), protocol)


def test_every_score_says_which_way_is_better():
    real, fake = features(), features(seed=1, shift=0.1)
    found = scores.compute(list(scores.known()), real, fake, "inception", seed=3)
    assert {name: x["better"] for name, x in found.items()} == {
        **dict.fromkeys(
            "fid fid_infinity kid annd_rg pas kl intra_fid".split(), "lower"
        ),
        **dict.fromkeys("is precision recall density coverage".split(), "higher"),
        **dict.fromkeys(("precision_threshold", "recall_threshold"), "higher"),
        "classes": "higher",
        "classes_tenth": "higher",
        "confident": "higher",
        "as_asked": "higher",
        "nearest": None,
    }
    assert all(np.isfinite(x["value"]) and x["seconds"] >= 0 for x in found.values())
    with_error = {name for name, x in found.items() if "standard_error" in x}
    assert with_error >= {"fid", "precision", "recall", "density", "coverage", "pas"}


def test_worse_samples_score_worse():
    real = features()
    near, far = (
        scores.compute(["fid", "kid", "pr", "nnfs"], real, fake, "inception")
        for fake in (features(seed=1), features(seed=1, shift=2.0))
    )
    for name, value in near.items():
        sign = 1 if value["better"] == "higher" else -1
        assert sign * value["value"] > sign * far[name]["value"], name


def test_scores_by_distances_come_of_one_pass_and_in_the_order_asked_for(monkeypatch):
    real, fake = features(), features(seed=1)
    wanted = ["nnfs", "kid", "pr", "pr_threshold", "pr"]
    together, calls = scores.neighbours.together, []

    def counted(*sides, **figures):
        calls.append(list(figures))
        return together(*sides, **figures)

    monkeypatch.setattr(scores.neighbours, "together", counted)
    found = scores.compute(wanted, real, fake, "inception")
    assert calls == [["nnfs", "precision_recall", "threshold_precision_recall"]]
    assert list(found) == [
        "annd_rg",
        "pas",
        "kid",
        "precision",
        "recall",
        "precision_threshold",
        "recall_threshold",
    ]
    assert found["recall"]["k"] == 3
    # The delta, in the units of the features: the tau of nnfs.
    x = real.features.astype(float)
    fifth = np.sort(np.linalg.norm(x[:, None] - x, axis=-1), axis=1)[:, 5]
    delta = found["precision_threshold"]["delta"]
    assert delta == pytest.approx(np.percentile(fifth, 90), rel=1e-12)
    nearest = np.linalg.norm(fake.features.astype(float)[:, None] - x, axis=-1).min(1)
    precision = found["precision_threshold"]
    assert precision["value"] == np.mean(nearest <= delta)
    assert precision["standard_error"] == pytest.approx(
        np.std(nearest <= delta) / 20, rel=1e-12
    )
    for name in ("pr", "pr_threshold", "nnfs", "kid"):
        alone = scores.compute([name], real, fake, "inception")
        for quantity, value in alone.items():
            assert value["value"] == found[quantity]["value"]


@pytest.mark.parametrize("terminal", [True, False])
def test_the_score_that_is_computed_is_named_on_terminals(
    terminal, monkeypatch, capsys
):
    monkeypatch.setattr("sys.stderr.isatty", lambda: terminal)
    scores.compute(["nnfs", "kid", "pr"], features(), features(seed=1), "squeezenet")
    shown = capsys.readouterr()
    assert not shown.out and bool(shown.err) == terminal
    for said in ("nnfs, pr by squeezenet", "kid by squeezenet"):
        assert (said in shown.err) == terminal


def test_options_of_scores():
    real, fake = features(), features(seed=1)
    own = {"pr": {"k": 7}, "kid": {"n_subsets": 3}, "dc": {}}
    found = scores.compute(own, real, fake, "inception")
    assert (found["recall"]["k"], found["coverage"]["k"]) == (7, 5)
    assert found["kid"]["n_subsets"] == 3
    default = scores.compute(["pr"], real, fake, "inception")
    assert found["recall"]["value"] > default["recall"]["value"]
    with pytest.raises(ValueError, match="pr has no option 'n'; accepted is k"):
        scores.compute({"pr": {"n": 3}}, real, fake, "inception")


def test_only_inception_s_own_weights_give_a_fid():
    found = scores.compute(["fid", "kid", "intra_fid"], features(), features(), "net")
    assert list(found) == ["fd_net", "kid_net", "intra_fd_net"]


def test_of_statistics_there_is_only_the_frechet_distance():
    real, fake = features(), features(seed=1)
    wanted = frechet.distance_of_features(real.features, fake.features)
    for sides in ((statistics(real), fake), (statistics(real), statistics(fake))):
        found = scores.compute(["fid"], *sides, "inception")
        assert found["fid"]["value"] == pytest.approx(wanted, rel=1e-8)
        with pytest.raises(ValueError, match="kid needs images; .* only for fid"):
            scores.compute(["kid"], *sides, "inception")


@pytest.mark.parametrize(
    "score, changes, message",
    [
        ("fld", {}, "'fld' is not one of .*did you mean"),
        ("is", {"logits": None}, "is needs an extractor that classifies"),
        ("classes", {"n_classes": None}, "classes needs labelled real images"),
        ("intra_fid", {"labels": None}, "intra_fid needs labels of both"),
        ("is", {"n": 9}, "is of 9 generated images, fewer than 10"),
        ("pr", {"n": 3}, "pr of 3 real images, fewer than 4"),
        ("ppl_z", {}, "ppl_z needs a model.*experiments.evaluate --workdir"),
    ],
)
def test_what_cannot_be_had(score, changes, message):
    with pytest.raises(ValueError, match=message):
        scores.compute([score], features(**changes), features(**changes), "x")


def test_what_is_known_before_there_are_features():
    known = {"n_real": 9, "n_fake": 9, "n_classes": 10, "labelled": True}
    check = scores.check_images
    check(("is", "classes", "intra_fid"), **known | {"n_fake": 10}, n_logits=None)
    check(("classes", "pr"), **known, n_logits=10)
    for wanted, changes, n_logits in (
        (("pr", "is"), {"n_fake": 10}, 0),
        (("classes",), {}, 1000),
        (("classes",), {"n_classes": None}, None),
        (("intra_fid",), {"labelled": False}, None),
        (("classes", "dc"), {"n_real": 5}, 10),
    ):
        with pytest.raises(ValueError, match=f"--metrics: {wanted[-1]}"):
            check(wanted, **known | changes, n_logits=n_logits, place="--metrics")


def test_lpips_gives_distances_alone():
    by_distances = {name for name, x in scores.known().items() if x.distances}
    scores.check(by_distances, extractor="lpips_vgg")
    for score in {*scores.known()} - by_distances:
        with pytest.raises(
            ValueError, match=f"lpips_vgg gives only distances.* {score} "
        ):
            scores.check([score], extractor="lpips_vgg")
    (doubt,) = doubts.of({"mine": features(n=5)}, of("lpips_vgg"), ("nearest",))
    assert "fewer than 2000" in doubt


def of(name, **protocol):
    return {"extractor": name, **protocol}


@pytest.mark.parametrize(
    "accuracy, chance, doubted",
    [(0.14, 0.1, True), (0.9, 0.88, True), (0.4, 0.1, False), (0.97, 0.88, False)],
)
def test_a_classifier_that_only_guesses(accuracy, chance, doubted):
    sides = {"mine": features(n=10_000, d=2)}
    known = of("classifier", test_accuracy=accuracy, chance=chance)
    found = doubts.of(sides, known, ("fid",))
    assert len(found) == doubted
    if doubted:
        said = f"right on {accuracy:.0%} of the held-out images, and the most frequent"
        assert said in found[0] and f"class would be on {chance:.0%}" in found[0]


@pytest.mark.parametrize(
    "changes, said",
    [
        ({"n": 5}, "5 images: so few give a singular covariance of 6 features"),
        ({"n": 9_999, "d": 2}, "fewer than 10000"),
        ({"n_repeated": 7}, "7 of 400 images repeat others"),
        ({"shape": (96, 96, 1)}, "grey images were repeated to RGB"),
        ({"shape": (32, 96, 3)}, "96x32 pixels, enlarged"),
    ],
)
def test_doubts(changes, said):
    found = doubts.of({"mine": features(**changes)}, of("inception"), ("fid",))
    assert sum(said in doubt for doubt in found) == 1
    assert all(doubt.startswith("mine") for doubt in found)


def test_no_doubts_where_there_is_no_reason():
    many = {"mine": features(n=10_000, d=2)}
    assert doubts.of(many, of("inception"), ("fid",)) == []
    grey = {"mine": features(n=10_000, d=2, shape=(16, 16, 1))}
    assert doubts.of(grey, of("classifier"), ("fid", "kid")) == []


def test_a_doubt_is_one_line_for_all_sides():
    sides = {"a": features(n=300, d=400), "b": features(n=9_000, d=2)}
    few, singular = doubts.of(sides, of("random"), ("fid",))
    assert few.startswith("a: 300 images, fewer than 10000; b: 9000 images, fewer than")
    assert "use kid, which has no such bias" in few
    assert singular.startswith("a: 300 images: so few give a singular covariance")


def test_frechet_distances_are_doubted_only_if_one_was_asked_for():
    sides = {"a": features(n=300, d=400), "b": features(n=9_000, d=2)}
    (few,) = doubts.of(sides, of("random"), ("kid", "pr"))
    assert "Frechet" not in few and few.startswith("a: 300 images, fewer than 2000: ")
    assert doubts.of({"b": sides["b"]}, of("random"), ("kid", "pr")) == []


def test_table():
    a = {"fid": {"value": 1.23456, "standard_error": 0.1234}, "kid": {"value": 2.0}}
    b = {"fid": {"value": 10.0}}
    assert scores.table({"a": a, "b": b}).splitlines() == [
        "                a   b",
        "fid  1.235 ± 0.12  10",
        "kid             2   -",
    ]


def test_only_inceptions_frechet_distance_is_fid():
    assert scores.named("intra_fid", "inception") == "intra_fid"
    assert scores.named("fid_infinity", "edges") == "fd_infinity_edges"
    assert scores.named("intra_fid", "classifier") == "intra_fd_classifier"
    assert scores.named("confident", "classifier") == "confident_classifier"


def test_a_share_is_no_whole_number():
    score = scores.known()["classes"]
    given = {"confidence": 0.5}
    assert score.with_options(score.with_options(given, "here"), "here") == given
    for value in (0, 1.5, "x", True):
        with pytest.raises(ValueError, match="classes: confidence=.* in .0, 1.$"):
            score.with_options({"confidence": value}, "here")
