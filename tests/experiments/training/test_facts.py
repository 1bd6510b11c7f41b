"""What a run knows of its data, and whether they are still the same."""

import json
import types

import numpy as np
import pytest

from experiments import config as configs
from experiments.rundir import restore
from experiments.training import facts
from experiments.training.loop import train
from experiments.training.stage import Ready
from gans.data.cropped import Cropped
from gans.data.source import InMemory, Streamed, Unpaired

pytestmark = pytest.mark.usefixtures("compiled_once")


def of(n, checksum, *changes):
    return {
        "examples_in_data": n,
        "data_checksum": checksum,
        "data_changes": [*changes],
    }


def change(step, n_before, n, checksum_before):
    names = ("step", "n_before", "n", "checksum_before")
    return dict(zip(names, (step, n_before, n, checksum_before), strict=True))


FIRST, SECOND = change(10, 5, 6, "a"), change(20, 6, 7, "b")


@pytest.mark.parametrize(
    "before, now, step, found",
    [
        ({}, of(5, "a"), 0, []),
        (of(5, "a"), of(5, "a"), 10, []),
        (of(5, "a"), of(6, "b"), 10, [FIRST]),
        (of(5, "a"), of(5, "b"), 10, [change(10, 5, 5, "a")]),
        # Begun anew, as there was no checkpoint yet.
        (of(5, "a"), of(6, "b"), 0, []),
        # Runs of older versions, and sets that cannot be read, have no checksum.
        ({"examples_in_data": 5}, of(5, "b"), 10, []),
        (of(5, "a"), of(5, None), 10, []),
        ({}, of(5, "a"), 10, []),
        # Several changes, one after the other.
        (of(6, "b", FIRST), of(6, "b"), 15, [FIRST]),
        (of(6, "b", FIRST), of(7, "c"), 20, [FIRST, SECOND]),
        # Gone on with twice from one step: the second time with the former data.
        (of(6, "b", FIRST), of(6, "b"), 10, [FIRST]),
        (of(6, "b", FIRST), of(5, "a"), 10, []),
        # Gone back beyond changes, whose steps are made again.
        (of(7, "c", FIRST, SECOND), of(7, "c"), 5, [change(5, 5, 7, "a")]),
        (of({"a": 1, "b": 2}, "a"), of({"a": 1, "b": 2}, "a"), 10, []),
    ],
)
def test_changes_of_the_data(before, now, step, found):
    assert facts.changes(before, now, step) == found


def images(n=5, value=7):
    return {"image": np.full((n, 4, 4, 1), value, np.uint8)}


def test_one_pixel_is_another_checksum():
    one, other = images(), images()
    other["image"][3, 2, 1] += 1
    sources = [InMemory("x", x) for x in (one, other, images())]
    both = [Unpaired("x", {"a": sources[0], "b": x}) for x in sources]
    cropped = [Cropped(x, 3) for x in sources]
    for made in (sources, both, cropped):
        a, b, c = map(facts.checksum, made)
        assert a == c != b and len(a) in (8, 17)


def test_of_a_set_on_disk_a_few_examples_are_read():
    asked, spec = [], InMemory("x", images()).spec

    def take(rows):
        asked.extend(rows)
        return images(len(rows))

    source = Streamed("x", take, 100_000, spec)
    assert facts.checksum(source) and len(asked) == facts.N_STREAMED
    assert asked[0] == 0 and asked[-1] == 99_999

    def broken(rows):
        raise ValueError("cannot read")

    assert facts.checksum(Streamed("x", broken, 9, spec)) is None


def test_images_in_colour_without_any():
    """Of pairs and of sets that do not correspond; one pixel is enough to have some."""
    grey = np.full((70, 2, 2, 3), 200, np.uint8)
    coloured, luma = grey.copy(), grey[..., :1]
    coloured[0, 0, 0, 2] = 201

    def held(**arrays):
        return InMemory("x", arrays, dict.fromkeys(arrays, "image"))

    assert facts.colourless(held(a=grey, b=coloured)) == ["a"]
    assert facts.colourless(held(a=luma, b=grey)) == ["b"]
    sides = {"a": held(image=coloured[:9]), "b": held(image=grey)}
    assert facts.colourless(Unpaired("x", sides)) == ["b"]


def test_the_test_set_is_read_once(system, monkeypatch):
    """By scores, pictures, and what is said of it, together."""
    read, load = [], restore.load_test
    monkeypatch.setattr(
        "experiments.rundir.restore.load_test", lambda *of: read.append(of) or load(*of)
    )
    config = configs.override(system("paired").get_config(), {"metrics": ("l1",)})
    source = configs.load_data(config)
    config = configs.resolve(config, source)
    stage = Ready(config, 0, source, configs.build(config))
    template = stage.programs.template
    found = facts.gather(config, source, stage.samplers, template)
    assert found["test_examples"] == 8 and len(read) == 1


@pytest.mark.parametrize("variant, unused", [("gan", ["label"]), ("cgan", [])])
def test_labels_that_a_model_is_not_given(tiny, variant, unused):
    config = tiny(variant, "digits")
    spec = configs.load_data(config).spec
    assert facts._unused_labels(configs.build(config), spec) == unused


def test_labels_among_the_examples_that_a_model_is_given_are_used(tiny):
    config = tiny("gan", "digits")
    spec = configs.load_data(config).spec
    gan = configs.build(config)
    given = types.SimpleNamespace(inputs=gan.inputs, conditioned_on=("label",))
    assert facts._unused_labels(given, spec) == []


@pytest.mark.slow
def test_other_images_are_said_when_a_run_goes_on(tiny, tmp_path, capsys):
    path, workdir = tmp_path / "x.npy", tmp_path / "run"
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (9, 16, 16, 1), np.uint8)
    np.save(path, pixels[:8])
    options = {"steps_per_call": 5, "log_every": 10, "sample_every": 10}
    options |= {"checkpoint_every": 10, "diagnose_every": 0, "metrics": ()}
    options |= {"data": f"array:{path}", "n_classes": None}
    config = tiny("gan", "digits", steps=10, **options)

    def said(steps):
        config.steps = steps
        train(config, workdir)
        shown = capsys.readouterr().err.splitlines()
        run = json.loads((workdir / "run.json").read_text())
        return [x for x in shown if "data have changed" in x], run["data_changes"]

    assert said(10) == ([], [])
    assert said(20) == ([], [])
    np.save(path, pixels)
    warning = "warning: the training data have changed: 8 until step 20, 9 since"
    lines, changes = said(30)
    assert lines == [warning]
    assert [(x["step"], x["n_before"], x["n"]) for x in changes] == [(20, 8, 9)]
    pixels[4] = 255 - pixels[4]
    np.save(path, pixels)
    lines, changes = said(40)
    assert lines == [
        "warning: the training data have changed: others, though as many, since step 30"
    ]
    assert [x["step"] for x in changes] == [20, 30]
    assert "8 until step 20, 9 since" in (workdir / "report.html").read_text()
