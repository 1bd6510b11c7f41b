"""`python -m experiments.metrics`: two sets of images in, scores and protocol out."""

import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from experiments.evaluation.comparison import measure

ROOT = pathlib.Path(__file__).parents[2]
MINE = """
def quarters(images):
    x = images.astype("float32") / 255
    b, h, w, c = x.shape
    x = x.reshape(b, 2, h // 2, 2, w // 2, c)
    return {"features": x.mean((2, 4)).reshape(b, -1)}
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with two sets of images and a user's extractor."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "mine.py").write_text(MINE)
    rng = np.random.default_rng(0)
    for name, high in (("real", 256), ("fake", 128)):
        images = rng.integers(0, high, (60, 8, 8, 1), np.uint8)
        np.save(tmp_path / f"{name}.npy", images)
    yield tmp_path
    sys.modules.pop("mine", None)


def command(place, *arguments):
    done = subprocess.run(
        [sys.executable, "-m", "experiments.metrics", *arguments],
        cwd=place,
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{place}", "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stdout, done.stderr


def test_the_command_and_its_whole_protocol(place):
    options = ["--metrics=fid,kid,pr", "--extractor=mine:quarters", "--n=50"]
    code, out, err = command(place, "real.npy", "fake.npy", *options, "--out=r.json")
    assert code == 0, err
    assert out.splitlines()[1].startswith("fd_quarters") and "±" in out
    assert "warning: real.npy: 50 images, fewer than 10000" in err
    report = json.loads((place / "r.json").read_text())
    names = [f"{x}_quarters" for x in ("fd", "kid", "precision", "recall")]
    assert list(report["results"]) == names
    assert report["results"]["fd_quarters"]["standard_error"] > 0
    assert report["results"]["precision_quarters"]["k"] == 3
    protocol = report["protocol"]
    assert protocol["extractor"] == "quarters"
    assert protocol["function"] == "mine:quarters"
    assert (protocol["real"], protocol["fake"]) == ("real.npy", "fake.npy")
    assert (protocol["n_real"], protocol["n_fake"], protocol["ddof"]) == (50, 50, 1)
    assert protocol["seed"] == 0 and set(protocol["versions"]) >= {"jax", "numpy"}


def test_bad_usage_is_one_line(place):
    code, out, err = command(place, "real.npy")
    assert code == 1 and out == ""
    assert err == "error: wanted: REAL FAKE, or REAL --save-stats=FILE\n"


def of_place(place, real, fake, wanted=("fid",), **options):
    sides = [x and str(place / x) for x in (real, fake)]
    return measure(*sides, wanted, extractor="mine:quarters", **options)


def test_statistics_stand_in_for_images(place):
    direct = of_place(place, "real.npy", "fake.npy")["results"]["fd_quarters"]["value"]
    of_place(place, "real.npy", None, save_stats=place / "stats.npz")
    of_place(place, "fake.npy", None, save_stats=place / "other.npz")
    for fake in ("fake.npy", "other.npz"):
        found = of_place(place, "stats.npz", fake)["results"]
        assert found["fd_quarters"]["value"] == pytest.approx(direct, rel=1e-8)


def test_a_set_against_itself(place):
    found = of_place(place, "real.npy", "real.npy", ("fid", "pr"))["results"]
    assert abs(found["fd_quarters"]["value"]) < 1e-12
    assert found["precision_quarters"]["value"] == 1


@pytest.mark.parametrize(
    "real, wanted, options, message",
    [
        ("real.npy", ("fld",), {}, "--metrics: 'fld' is not one of"),
        ("none.npy", ("fid",), {}, "none.npy"),
        ("real.npy", ("fid",), {"n": 61}, "fewer than"),
        ("real.npy", ("fid",), {"save_stats": "x.txt"}, "wanted a file named .*npz"),
        ("real.npy", ("fid", "is"), {}, "--metrics: is needs an extractor that"),
        ("real.npy", ("pr", "classes"), {}, "--metrics: classes needs labelled real"),
        ("real.npy", ("dc",), {"n": 5}, "--metrics: dc of 5 real images, fewer than 6"),
        ("real.npy", ("memorisation",), {}, "memorisation needs a model"),
        ("real.npy", ("pr(k=3)", "pr(k=5)"), {}, "--metrics: pr is there twice"),
    ],
)
def test_what_cannot_be_measured(place, real, wanted, options, message):
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        of_place(place, real, "fake.npy", wanted, **options)
    # It was said before the features were made, which takes long.
    assert not (place / "cache" / "jax-gans" / "features").exists()


# --- sides that differ ----------------------------------------------------------------


def pngs(folder, images):
    from PIL import Image

    folder.mkdir()
    for i, image in enumerate(images):
        Image.fromarray(image.squeeze()).save(folder / f"{i:03}.png")
    return str(folder)


def test_sides_of_different_size_are_refused_before_anything_slow(place, monkeypatch):
    images = np.zeros((60, 16, 12, 1), np.uint8)
    np.save(place / "large.npy", images)

    def find(*_args, **_options):
        return lambda: pytest.fail("an extractor was loaded")

    monkeypatch.setattr("experiments.evaluation.extractors.find", find)
    message = r"real.npy 8x8 and .*large.npy 12x16; --resize=8 brings them to one"
    with pytest.raises(ValueError, match=message):
        of_place(place, "real.npy", "large.npy")


def test_resized_to_one_size(place):
    np.save(place / "large.npy", np.zeros((60, 16, 12, 1), np.uint8))
    found = of_place(place, "real.npy", "large.npy", resolution=8)
    assert found["protocol"]["resolution"] == 8 and found["results"]


def test_statistics_of_another_size_are_refused(place):
    of_place(place, "real.npy", None, save_stats=place / "stats.npz")
    np.save(place / "large.npy", np.zeros((60, 16, 16, 1), np.uint8))
    with pytest.raises(ValueError, match="stats.npz 8x8.*--resize=8"):
        of_place(place, "stats.npz", "large.npy")
    of_place(place, "large.npy", None, save_stats=place / "large.npz")
    with pytest.raises(ValueError, match="different sizes"):
        of_place(place, "stats.npz", "large.npz")


def test_grey_pngs_are_the_grey_array_they_were_made_of(place):
    images = np.load(place / "real.npy")
    folder = pngs(place / "pngs", images)
    found = measure(
        str(place / "real.npy"), folder, ("fid", "pr"), extractor="mine:quarters"
    )
    assert abs(found["results"]["fd_quarters"]["value"]) < 1e-12
    said = "grey images were repeated to RGB"
    assert found["protocol"]["converted"] == {str(place / "real.npy"): said}
    assert any(said in warning for warning in found["warnings"])


def test_grey_pngs_are_seen_by_the_classifier_of_a_grey_set(place, monkeypatch):
    from gans import data

    monkeypatch.setattr("experiments.evaluation.extractors.CLASSIFIER_STEPS", 20)
    digits = data.load("digits", resolution=16, split="test")
    folder = pngs(place / "digits", digits.take(np.arange(len(digits)))["image"])
    found = measure(
        "digits@test",
        folder,
        ("fid",),
        extractor="classifier",
        classifier_data="digits",
        resolution=16,
    )
    # The very pixels: 0 but for the resizing, of which there is none.
    assert abs(found["results"]["fd_classifier"]["value"]) < 1e-9
    assert found["protocol"]["converted"] == {folder: "colours were converted to grey"}


def test_without_a_named_extractor_one_is_chosen(place, monkeypatch, capsys):
    from experiments.evaluation import extractors

    monkeypatch.delenv("GANS_INCEPTION", raising=False)
    extractors.say_chosen.cache_clear()
    sides = [str(place / f"{x}.npy") for x in ("real", "fake")]
    found = measure(*sides, ("fid", "kid"))
    assert list(found["results"]) == ["fd_random", "kid_random"]
    assert "not at hand" in found["protocol"]["extractor_chosen"]
    assert capsys.readouterr().err.count("extractor: random, as ") == 1
    with pytest.raises(ValueError, match="is needs an extractor that classifies"):
        measure(*sides, ("is",))
    # Asked for by name it fails, with the reason.
    monkeypatch.setenv("GANS_INCEPTION", "/none.pth")
    with pytest.raises(FileNotFoundError, match="GANS_INCEPTION=/none.pth"):
        measure(*sides, ("fid",), extractor="inception")


def test_a_score_that_fails_does_not_drop_the_others(place, monkeypatch):
    import dataclasses

    from experiments.evaluation.scores import known

    def fails(*_args, **_options):
        raise MemoryError

    score = dataclasses.replace(known()["kid"], measure=fails)
    monkeypatch.setitem(known(), "kid", score)
    found = of_place(place, "real.npy", "fake.npy", ("kid", "fid"))
    assert found["failed"] == {"kid": "MemoryError"}
    assert list(found["results"]) == ["fd_quarters"]


def test_statistics_of_another_extractor_are_refused_at_once(place, monkeypatch):
    sides = [str(place / f"{x}.npy") for x in ("real", "fake")]
    stats = str(place / "stats.npz")
    measure(sides[0], None, ("fid",), extractor="random", save_stats=stats)
    monkeypatch.setenv("GANS_SQUEEZENET", sides[0])  # no weights: it would not load
    message = "stats.npz is of another protocol: extractor: random there, squeezenet"
    with pytest.raises(ValueError, match=message):
        measure(stats, sides[1], ("fid",), extractor="squeezenet")
    # Without a name it is the one of the statistics.
    assert list(measure(stats, sides[1], ("fid",))["results"]) == ["fd_random"]


def test_classes_of_other_names_are_not_compared_by_number(place):
    images = np.load(place / "real.npy")
    sides = {"real": "abc", "same": "abc", "fewer": "acc"}
    for name, classes in sides.items():
        labels = [classes[i % 3] for i in range(60)]
        np.savez(place / f"{name}.npz", images=images, labels=labels)
    found = of_place(place, "real.npz", "same.npz", ("intra_fid",))
    assert found["results"]["intra_fd_quarters"]["n_classes"] == 3
    message = "intra_fid compares the same classes .* has a, b, c, .*fewer.npz a, c"
    with pytest.raises(ValueError, match=message):
        of_place(place, "real.npz", "fewer.npz", ("intra_fid",))
    assert of_place(place, "real.npz", "fewer.npz", ("fid",))["results"]


DARKNESS = """
from experiments.evaluation.scores import Score


def measure(real, fake, seed, power):
    value = abs(real.features.mean() - fake.features.mean()) ** power
    return {"darkness": {"value": float(value)}}


SCORE = Score("darkness", measure, better={"darkness": "lower"}, options={"power": 2})
make = SCORE.make
"""


def test_a_score_of_the_users(place):
    (place / "scoring").mkdir()
    (place / "scoring" / "dark.py").write_text(DARKNESS)
    metrics = ("scoring.dark", "kid(subset=20)")
    options = {"extractor": "mine:quarters"}
    paths = [str(place / f"{name}.npy") for name in ("real", "fake")]
    report = measure(*paths, metrics, **options)
    assert list(report["results"]) == ["darkness_quarters", "kid_quarters"]
    means = [np.load(path).mean() / 255 for path in paths]
    value = report["results"]["darkness_quarters"]
    assert value["value"] == pytest.approx((means[0] - means[1]) ** 2, rel=1e-4)
    assert value["better"] == "lower"
    again = measure(*paths, ("scoring.dark.SCORE(power=1)",), **options)
    value = again["results"]["darkness_quarters"]["value"]
    assert value == pytest.approx(abs(means[0] - means[1]), rel=1e-4)
    with pytest.raises(ValueError, match="has no option 'powr'.*mean 'power'"):
        measure(*paths, ("scoring.dark(powr=1)",), **options)
    with pytest.raises(ValueError, match="--metrics: 'mine:quarters' is of type func"):
        measure(*paths, ("mine:quarters",), **options)
    (place / "another.py").write_text(DARKNESS.replace('"darkness",', '"fid",'))
    with pytest.raises(ValueError, match="'fid' is a score of ours; give yours anothe"):
        measure(*paths, ("another",), **options)
