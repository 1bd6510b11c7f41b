"""Samples as training data: the scores, the notes, and mistakes."""

import json

import numpy as np
import pytest

from experiments.synthetic import study
from gans.metrics.classifiers import small


@pytest.mark.slow
def test_study(digits_run, tmp_path, monkeypatch):
    learnt = []

    def train(images, labels, n_classes, *, seed, steps):
        assert images.dtype == np.uint8 and len(images) == len(labels)
        learnt.append((len(images), seed, steps))
        return {"n": len(images)}

    # The accuracy grows with the number of images, and a little with each call.
    def accuracy(variables, images, labels):
        return variables["n"] / 200 + 1e-4 * len(learnt)

    monkeypatch.setattr(small, "train", train)
    monkeypatch.setattr(small, "accuracy", accuracy)
    options = {"k": (2,), "n": (40, 60), "seeds": 3, "steps": 4, "most": 100}
    shown = study.study(digits_run("cgan"), out=tmp_path, **options)
    # Of all real images and as many samples; of k, and of k and n, by the same seeds.
    scores = [(100, seed, 4) for seed in range(3) for _ in range(2)]
    rest = [(n, seed, 4) for n in (20, 60, 80) for seed in range(3)]
    assert learnt == scores + rest
    assert "Adding samples helps: k=2 n=40, k=2 n=60." in shown
    found = json.loads((tmp_path / "results.json").read_text())
    assert [x["gain"]["verdict"] for x in found["gain"]] == ["helps", "helps"]
    assert len(found["scores"]["samples_to_real"]["values"]) == 3
    assert "(CAS)" in (tmp_path / "index.html").read_text()


@pytest.mark.slow
def test_mistakes(digits_run, tmp_path):
    with pytest.raises(ValueError, match="wanted a model of images that is asked for"):
        study.study(digits_run("dcgan"), out=tmp_path)
    with pytest.raises(ValueError, match="--seeds=0"):
        study.study(digits_run("cgan"), out=tmp_path, seeds=0)
    with pytest.raises(ValueError, match="fewer than 500"):
        study.study(digits_run("cgan"), out=tmp_path, k=(500,))
