import types

import numpy as np
import pytest
from ml_collections import ConfigDict

from experiments.training import announce, facts
from gans.data.source import InMemory, Unpaired
from gans.data.spec import Field, to_json
from gans.stages import Stage


def images(n, side=64, names=None, labels=None, channels=3):
    arrays = {"image": np.zeros((n, side, side, channels), np.uint8)}
    spec = {"image": Field("image", (side, side, channels), "uint8")}
    if labels is not None:
        arrays["label"] = np.array(labels, np.int32)
        count = len(names) if names else int(max(labels)) + 1
        spec["label"] = Field("label", (), "int32", count, names=names)
    return InMemory("photos", arrays, spec)


TEMPLATE = types.SimpleNamespace(
    params={"d": {"a": np.zeros((30, 40))}, "g": {"a": np.zeros(5), "b": np.zeros(2)}},
    frozen={"vgg": {"params": {"a": np.zeros(9)}, "stats": {"b": np.zeros(100)}}},
)


def found(source, *, steps=100, batch_size=16, n_devices=1, test=None):
    every = (Stage(steps, batch_size, source.spec),)
    return facts.of(
        source, source.spec, TEMPLATE, every, test=test, n_devices=n_devices
    )


def config_of(source, **changes):
    values = {
        "variant": "dcgan",
        "data": "folder:photos",
        "spec": to_json(source.spec),
        "dtype": "float32",
        "steps": 100,
        "evaluate_every": 0,
        "metrics": (),
        "augment": (),
    }
    return ConfigDict(values | changes)


def start(source, tmp_path, config=None, **options):
    """The lines without warnings."""
    config = config or config_of(source)
    given = found(source, **options) | {"hardware": "cpu (2 cores)"}
    lines = announce.start(given, config, tmp_path)
    return [line for line in lines if not line.startswith("warning")]


def test_facts_of_labelled_images():
    source = images(8, names=("cat", "dog", "owl"), labels=[0, 0, 0, 1, 1, 1, 1, 0])
    got = found(source, steps=10, batch_size=4, n_devices=2, test=images(3))
    # 10 steps of 4 are 40 examples of 8: 5 epochs.
    assert got == {
        "classes": ["cat", "dog", "owl"],
        "class_counts": [4, 4, 0],
        "examples_in_data": 8,
        "test_examples": 3,
        "epochs": 5.0,
        "parameters": {"d": 1200, "g": 7, "vgg": 9},
        "batch_size": 4,
        "batch_size_per_device": 2,
    }


def test_epochs_count_the_batches_of_all_stages():
    source = images(10)
    every = (Stage(3, 10, source.spec), Stage(5, 4, source.spec))
    got = facts.of(source, source.spec, TEMPLATE, every)
    assert got["epochs"] == 5.0 and got["batch_size"] == 10  # (30 + 20) / 10
    assert got["classes"] is got["class_counts"] is got["test_examples"] is None


def test_the_first_lines_are_aligned_and_few(tmp_path):
    source = images(250, names=("cat", "dog"), labels=[0] * 220 + [1] * 30)
    of = {"name": "fid", "output": "a_to_b"}
    config = config_of(source, metrics=("kid", {"name": "pr", "k": 5}, of))
    config.evaluate_every, config.steps = 1000, 5000
    lines = start(source, tmp_path, config, steps=5000)
    assert lines == [
        "dcgan on folder:photos",
        "  data      250 images of 64x64x3; no test set",
        "  classes   2: cat (220), dog (30)",
        "  networks  d 1,200, g 7, vgg 9 parameters",
        "  devices   cpu (2 cores), batches of 16, float32",
        "  training  5,000 steps, 320 epochs",
        "  scores    kid, pr, fid of a_to_b every 1,000 steps",
        f"  workdir   {tmp_path}",
        f"  report    {tmp_path / 'report.html'}",
    ]
    config.evaluate_every = 10_000  # more than there are
    lines = start(source, tmp_path, config, steps=5000)
    assert "  scores    kid, pr, fid of a_to_b at the end" in lines


def test_the_batch_of_each_device_and_the_test_set(tmp_path):
    lines = start(images(40), tmp_path, n_devices=4, test=images(12))
    assert (
        "  data      40 images of 64x64x3, without labels; 12 in the test set" in lines
    )
    assert (
        "  devices   cpu (2 cores), batches of 16 (4 on each of 4 devices), float32"
        in lines
    )
    assert not any(line.startswith(("  classes", "  scores")) for line in lines)


def test_many_classes_take_one_line(tmp_path):
    names = tuple(f"class{i}" for i in range(102))
    lines = start(images(102, names=names, labels=range(102)), tmp_path)
    (shown,) = [line for line in lines if line.startswith("  classes")]
    assert shown.startswith("  classes   102: class0, class1, class2")
    assert shown.endswith("class9, ..., class101")


def test_classes_without_names_have_numbers(tmp_path):
    lines = start(images(4, labels=[0, 1, 1, 1]), tmp_path)
    assert "  classes   2: 0 (1), 1 (3)" in lines


@pytest.mark.parametrize(
    "arrays, kinds, shown",
    [
        ({"point": np.zeros((9, 2), np.float32)}, {}, "9 points of 2 numbers; no"),
        ({"video": np.zeros((9, 8, 64, 64, 3), np.uint8)}, {}, "9 clips of 8x64x64x3;"),
        (
            {k: np.zeros((9, 32, 32, 3), np.uint8) for k in "ab"},
            {"a": "image", "b": "image"},
            "9 examples (a 32x32x3, b 32x32x3); no",
        ),
    ],
)
def test_other_data_than_images(tmp_path, arrays, kinds, shown):
    source = InMemory("x", arrays, kinds)
    lines = start(source, tmp_path)
    assert lines[1].startswith(f"  data      {shown}")
    config = config_of(source, metrics=("memorisation",), augment=("ada",), steps=1)
    lines = advice(source, config, steps=1, batch_size=2)
    assert [x for x in lines if "9 images are few" not in x] == []
    assert len(lines) == ("a" in arrays)


def test_domains_of_different_lengths(tmp_path):
    source = Unpaired("x", {"a": images(40), "b": images(20, labels=[0] * 20)})
    lines = start(source, tmp_path, steps=10, batch_size=4)
    assert (
        lines[1]
        == "  data      40 of a and 20 of b (a 64x64x3, b 64x64x3); no test set"
    )
    assert "  training  100 steps, 1 epochs of a, 2 epochs of b" in lines
    assert found(source)["examples_in_data"] == {"a": 40, "b": 20}


def advice(source, config=None, **options):
    return announce.advice(found(source, **options), config or config_of(source))


def test_few_images_get_advice_on_what_is_not_done_yet():
    (line,) = advice(images(300))
    assert line.startswith("warning: 300 images are few: the discriminator may learn")
    for way in ("folder_small", "diff_augment", "ada", "memorisation"):
        assert way in line
    source = images(1999)
    (line,) = advice(source, config_of(source, augment=("ada",)))
    assert "folder_small" not in line and "memorisation" in line
    done = {"metrics": ("memorisation",), "augment": ({"name": "diff_augment"},)}
    (line,) = advice(source, config_of(source, **done))
    assert "Worth trying" not in line


def test_what_was_done_to_the_pictures_is_said(tmp_path):
    read = {"left_out": {".txt": 3}, "median_size": [640, 480], "cropped": 12}
    read |= {"cut_off": 0.25, "made_grey": 12}
    source = images(12)
    given = found(source) | {"hardware": "cpu", "reading": read}
    lines = announce.start(given, config_of(source), tmp_path)
    wanted = (
        "12 pictures cropped to a square (25% of all pixels cut off), 12 stored in "
    )
    assert f"  reading   {wanted}colour, read as grey" in lines
    assert not any(".txt" in line for line in lines)  # said when they were read


def test_a_variant_without_classes_says_that_it_does_not_use_them(tmp_path):
    source = images(4, names=("cat", "dog"), labels=[0, 1, 1, 1])
    given = found(source) | {"hardware": "cpu", "unused_labels": ["label"]}
    lines = announce.start(given, config_of(source), tmp_path)
    assert "  classes   2: cat (1), dog (3); dcgan does not use them" in lines
    lines = announce.start(given | {"unused_labels": []}, config_of(source), tmp_path)
    assert "  classes   2: cat (1), dog (3)" in lines


def test_photos_read_very_small_name_the_presets_that_fit():
    read, source = {"median_size": [640, 480]}, images(3000, side=16)

    def said(**changes):
        given = found(source) | {"reading": read}
        return announce.advice(given, config_of(source, **changes))

    assert said() == [
        "warning: pictures of 640x480 pixels are read as 16x16, as the config says. "
        "For pictures of your own: --config=dcgan:folder or "
        "--config=dcgan:folder_small or --config.resolution=64"
    ]
    (line,) = said(variant="mine.own")
    assert line.endswith("For pictures of your own: --config.resolution=64")
    assert said(data="tfds:mnist") == []
    read["median_size"] = [28, 28]  # little is lost
    assert said() == []


def test_data_that_have_changed_are_said_when_the_run_goes_on(tmp_path):
    source = images(12)
    changes = [{"step": s, "n_before": n, "n": 12} for s, n in ((10, 7), (20, 9))]
    given = found(source) | {"hardware": "cpu", "data_changes": changes}
    lines = announce.start(given, config_of(source), tmp_path, 20)
    assert [x for x in lines if "data have changed" in x] == [
        "warning: the training data have changed: 9 until step 20, 12 since"
    ]
    lines = announce.start(given, config_of(source), tmp_path, 30)
    assert not any("data have changed" in x for x in lines)


def test_enough_images_and_very_small_ones_get_no_advice():
    assert advice(images(2000, side=32)) == []
    assert advice(images(300, side=16)) == []


def test_a_batch_larger_than_the_data_is_said():
    lines = advice(images(10, side=16), batch_size=16, steps=10)
    assert lines == [
        "warning: batch_size=16 is more than the 10 images: every batch repeats some "
        "of them. --config.batch_size=5 or less avoids it"
    ]
    assert advice(images(16, side=16), batch_size=16, steps=10) == []


def test_thousands_of_epochs_are_said():
    source = images(250, side=16)
    config = config_of(source, steps=100_000)
    # 100,000 steps of 128 on 250 images are 51,200 epochs; 2,000 take 3,906 steps.
    (line,) = advice(source, config, steps=100_000, batch_size=128)
    assert line == (
        "warning: steps=100,000 shows each of the 250 images 51,200 times. "
        "--config.steps=4000 may be enough"
    )
    assert advice(source, config_of(source, steps=3000), steps=3000) == []


def test_the_last_lines_say_where_things_are(tmp_path):
    samples = tmp_path / "samples"
    samples.mkdir()
    for name in ("step_00000900.png", "step_00001000.png", "real.png"):
        (samples / name).touch()
    best = {"step": 500, "metric": "kid_x", "value": 0.012345}
    assert announce.end(tmp_path, best, 432.4) == [
        f"  samples  {samples / 'step_00001000.png'}",
        f"  best     {tmp_path / 'checkpoints' / '500'} (kid_x 0.01235)",
        "  time     7 min 12 s",
    ]
    (tmp_path / "new").mkdir()
    assert announce.end(tmp_path / "new", None, 3.2) == ["  time     3 s"]


@pytest.mark.parametrize(
    "seconds, shown",
    [(0.4, "0 s"), (59.4, "59 s"), (59.6, "1 min 0 s"), (12_000, "3 h 20 min")],
)
def test_durations(seconds, shown):
    assert announce.duration(seconds) == shown


@pytest.mark.parametrize(
    "kinds, said",
    [
        (("image", "label"), "images"),
        (("point",), "points"),
        (("image", "image"), "images"),
        (("image", "series"), "examples"),
    ],
)
def test_what_examples_are_called(kinds, said):
    spec = {str(i): types.SimpleNamespace(kind=kind) for i, kind in enumerate(kinds)}
    assert announce.things(spec) == said
