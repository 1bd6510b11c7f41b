"""Memorisation: copies are found, honest samples are not, and both are shown."""

import dataclasses
import json
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from experiments.evaluation import memorisation
from experiments.evaluation.features import Features
from experiments.sampling import pictures
from gans.data.source import InMemory


def side(*values):
    features = np.array(values, np.float32).reshape(len(values), -1)
    return Features(features, None, (8, 8, 1), 0)


@dataclasses.dataclass(eq=False)
class Data:
    """What `feature_pass.Data` has."""

    real: Features
    test: Features | None = None
    extractor = SimpleNamespace(name="classifier")


def measured(*sides):
    results, distances, nearest = memorisation.measure(*sides)
    named = {
        name.removeprefix("memorisation_").removesuffix("_classifier"): value
        for name, value in results.items()
    }
    return named, distances, nearest


def test_by_hand():
    # Test images at 1, 2, 5 from the nearest training image; samples at 0, 0.5, 3, 1.
    real, test = side(0, 10, 20), side(1, 12, 25)
    found, distances, nearest = measured(Data(real, test), side(10, 0.5, 23, 9))
    np.testing.assert_allclose(distances, [0, 0.5, 3, 1])
    np.testing.assert_array_equal(nearest, [1, 0, 2, 1])
    assert found["distance"]["value"] == pytest.approx(4.5 / 4)
    assert found["distance"]["of_reference"] == pytest.approx(8 / 3)
    # The first percentile of 1, 2, 5 is 1.02, of which 0, 0.5 and 1 fall short.
    assert found["share"]["threshold"] == pytest.approx(1.02)
    assert found["share"]["value"] == 0.75
    assert found["share"]["standard_error"] == pytest.approx((0.75 * 0.25 / 4) ** 0.5)
    ratio = found["ratio"]
    assert ratio["value"] == pytest.approx(4.5 / 4 / (8 / 3))
    error = found["distance"]["standard_error"] / (8 / 3)
    assert ratio["standard_error"] == pytest.approx(error)
    for value in found.values():
        assert value["reference"] == "test images" and value["n_reference"] == 3


def test_without_test_images_training_images_are_compared_among_each_other():
    # Nearest other: 1, 1, 3, 3.
    found, *_ = measured(Data(side(0, 1, 7, 4)), side(0.5, 30))
    assert found["distance"]["of_reference"] == 2
    assert found["share"]["value"] == 0.5
    assert found["share"]["reference"] == "training images, among the others"


def gaussian(n, seed):
    return side(*np.random.default_rng(seed).standard_normal((n, 8)))


def test_copies_are_found_and_fresh_samples_are_not():
    real, test = gaussian(600, 0), gaussian(500, 1)
    fresh, _, _ = measured(Data(real, test), gaussian(500, 2))
    copies, _, _ = measured(Data(real, test), side(*real.features[:500]))
    near = real.features[:500] + 0.01 * gaussian(500, 3).features
    blurred, _, _ = measured(Data(real, test), side(*near))
    assert fresh["ratio"]["value"] == pytest.approx(1, abs=0.05)
    assert fresh["share"]["value"] == pytest.approx(0.01, abs=0.015)
    assert (copies["distance"]["value"], copies["share"]["value"]) == (0, 1)
    assert blurred["share"]["value"] == 1 and 0 < blurred["ratio"]["value"] < 0.03


def test_where_test_images_are_training_images():
    real = gaussian(50, 0)
    # Some: exact copies are still those that count.
    test = side(*real.features[:3], *gaussian(40, 1).features)
    half = side(*real.features[:20], *gaussian(20, 2).features)
    found, *_ = measured(Data(real, test), half)
    assert (found["share"]["threshold"], found["share"]["value"]) == (0, 0.5)
    # All: there is no scale.
    with pytest.raises(ValueError, match="each of the test images is a training image"):
        measured(Data(real, side(*real.features[:9])), half)


def test_the_reference_is_computed_once(monkeypatch):
    calls, nearest = [], memorisation.neighbours.nearest

    def counted(queries, points):
        calls.append(len(queries))
        return nearest(queries, points)

    monkeypatch.setattr(memorisation.neighbours, "nearest", counted)
    same = Data(gaussian(50, 0), gaussian(40, 1))
    for seed in (2, 3):
        measured(same, gaussian(30, seed))
    assert calls == [40, 30, 30]


def test_the_picture(tmp_path):
    # Training image j is of the grey j; sample i is white but for a column.
    training = np.broadcast_to(
        np.arange(40, dtype=np.uint8)[:, None, None, None], (40, 32, 32, 1)
    )
    distances = np.arange(50, 0, -1.0)  # the last sample is the closest
    nearest = np.arange(50) % 40
    asked = []

    def samples(indices):
        asked.extend(indices)
        return np.ones((len(indices), 32, 32, 1)) - indices[:, None, None, None] / 50

    path = tmp_path / "memorisation_00000007.png"
    source = InMemory("grey", {"image": training})
    memorisation.draw(path, distances, nearest, samples, source)
    assert asked == list(range(49, 33, -1))
    pairs = json.loads(path.with_suffix(".json").read_text())["pairs"]
    assert pairs[0] == {"sample": 49, "training_image": 9, "distance": 1.0}
    assert [x["sample"] for x in pairs] == asked and len(pairs) == 16
    # 4 rows of 8: samples over their training images, twice.
    picture = np.asarray(Image.open(path)).astype(int)
    tiles = picture[32::66, 32::66]
    assert tiles.shape == (4, 8)
    np.testing.assert_array_equal(tiles[1], [x["training_image"] for x in pairs[:8]])
    np.testing.assert_array_equal(tiles[3], [x["training_image"] for x in pairs[8:]])
    levels = [round((2 - x["sample"] / 50) * 127.5) for x in pairs]
    assert np.abs(tiles[[0, 2]].ravel() - levels).max() <= 1


def test_the_picture_of_few_samples(tmp_path, monkeypatch):
    shown = []
    monkeypatch.setattr(pictures, "save_png", lambda _, image: shown.append(image))
    source = InMemory("black", {"image": np.zeros((9, 32, 32, 3), np.uint8)})
    samples = lambda indices: np.ones((len(indices), 32, 32, 3))  # noqa: E731
    memorisation.draw(tmp_path / "a.png", np.arange(9.0), np.arange(9), samples, source)
    assert shown[0].shape == (2 * 66 - 2, 9 * 66 - 2, 3)
    assert shown[0][:64].max() == 255 and not shown[0][66:, :64].any()


@pytest.mark.parametrize("terminal", [True, False])
def test_what_takes_long_is_named_on_terminals(terminal, monkeypatch, capsys):
    monkeypatch.setattr("sys.stderr.isatty", lambda: terminal)
    measured(Data(gaussian(9, 0)), gaussian(9, 1))
    shown = capsys.readouterr()
    assert ("memorisation: samples" in shown.err) == terminal and not shown.out


def test_doubled_training_images_give_a_scale():
    features = np.repeat(np.array([0, 1, 3, 6], np.float32), 2)[:, None]
    real = Features(features, None, (8, 8, 1), 4)
    found, *_ = measured(Data(real), side(0.5))
    assert found["distance"]["reference"] == "training images, among the others"
    assert found["distance"]["of_reference"] == (1 + 1 + 2 + 3) / 4


def test_training_images_that_are_all_the_same():
    real = Features(np.zeros((4, 2), np.float32), None, (8, 8, 1), 3)
    with pytest.raises(ValueError, match="all training images are the same"):
        measured(Data(real), side(0.5, 1).features)
