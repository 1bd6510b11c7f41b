"""The cost of stabilisers, raced on points."""

import pytest

from experiments import benchmark
from experiments.benchmarks import stabilisers
from experiments.benchmarks.timing import Result


def test_the_plain_step_and_some_cures():
    config = benchmark.prepare("configs/gan.py:circle", batch_size=8)
    config.steps_per_call = 1
    found = stabilisers.benchmark(
        config,
        rounds=1,
        turn=0.0,
        only=["spectral", "r1, every 16"],
        tell=lambda line: None,
    )
    assert set(found["cures"]) == {"base", "spectral", "r1, every 16"}
    assert found["cures"]["base"]["percent"] == 0
    for row in found["cures"].values():
        assert row["ms_per_step"] > 0 and row["compile_seconds"] > 0
    text = stabilisers.shown({"config": "c", "batch_size": 8, **found})
    assert "spectral" in text and "base" in text


def test_a_cure_that_cannot_be_is_said_to_be_refused(monkeypatch):
    config = benchmark.prepare("configs/gan.py:circle", batch_size=8)
    known = {"base": {}, "bad": {"critic.penalties": ("r3",)}}
    monkeypatch.setattr(stabilisers.cures, "table", lambda config: known)
    monkeypatch.setattr(stabilisers, "MORE", {})
    monkeypatch.setattr(stabilisers, "LAZY", {})
    raced = []

    def race(contestants, names, **_):
        raced.extend(names)
        facts = {"compile_seconds": {"base": 1.0}, "steps": {"base": 1}}
        return {"jax": Result({"base": [0.5]}, facts)}

    monkeypatch.setattr(stabilisers, "race", race)
    found = stabilisers.benchmark(config, rounds=1, turn=0.0)
    assert raced == ["base"]
    assert found["cures"]["base"]["ms_per_step"] == 500
    assert "'r3' is not one of" in found["refused"]["bad"]
    assert "r3" in stabilisers.shown({"config": "c", "batch_size": 8, **found})


def test_every_cure_that_costs_is_raced():
    config = benchmark.prepare(stabilisers.SPEC)
    names = set(stabilisers.table(config))
    assert {"base", "gradient_penalty", "spectral", "diff_augment"} <= names
    assert names.isdisjoint(stabilisers.SAME)
    with pytest.raises(KeyError):
        stabilisers.table(config)["ttur"]
