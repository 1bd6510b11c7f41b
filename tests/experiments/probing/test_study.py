"""The probe as a whole: its table, its pictures, and mistakes."""

import json

import numpy as np
import pytest
from PIL import Image

from experiments.evaluation import labelled
from experiments.probing import filters, kmeans, study


def test_few_labels_are_drawn_from_each_class_alike():
    known = labelled.load("digits", (16, 16, 1), n=300)
    rows = known.few(4, 0)
    assert np.bincount(known.labels[rows]).tolist() == [4] * 10
    assert len({*rows}) == 40 and (rows != known.few(4, 1)).any()
    with pytest.raises(ValueError, match="class 0 has .* fewer than 400"):
        known.few(400, 0)
    with pytest.raises(ValueError, match="--data=ring8 holds .*; wanted are one field"):
        labelled.load("ring8", (16, 16, 1))


def test_boxes_hold_all_that_is_seen():
    gradients = np.zeros((1, 5, 6, 1))
    gradients[0, 1, 2] = gradients[0, 3, 3] = 1
    box = filters._boxes(gradients)[0, ..., 0]
    assert box[1:4, 2:4].all() and box.sum() == 6


@pytest.mark.slow
def test_probe(digits_run, tmp_path, monkeypatch):
    monkeypatch.setattr(kmeans, "N_PATCHES", 500)
    monkeypatch.setattr(kmeans, "CENTROIDS", 8)
    options = {"labels": (2,), "draws": 2, "n": 120}
    shown = study.probe(digits_run("dcgan"), out=tmp_path / "x", **options)
    assert "| raw pixels | 256 |" in shown
    found = json.loads((tmp_path / "x/results.json").read_text())
    assert {*found["features"]} == {*study.TITLES}
    for x in found["features"].values():
        assert 0 <= x["accuracy"] <= 1 and len(x["few"]["2"]["values"]) == 2
    # Untrained: the run's weights are as random as the others.
    assert found["protocol"]["layers"].keys() == {"hidden0", "hidden1"}
    page = (tmp_path / "x/index.html").read_text()
    assert page.count("<img") == 2 and "guided" in page
    with Image.open(tmp_path / "x/filters_hidden1.png") as picture:
        assert picture.width > 2 * 8 * 64 and picture.height > 12 * 64
    with pytest.raises(ValueError, match="--per_class=0"):
        study.probe(digits_run("dcgan"), out=tmp_path / "x", labels=(0,))
    (tmp_path / "y").mkdir()
    (tmp_path / "y/results.json").write_text("{}")
    with pytest.raises(FileExistsError, match="not made by this command"):
        study.probe(digits_run("dcgan"), out=tmp_path / "y", **options)
