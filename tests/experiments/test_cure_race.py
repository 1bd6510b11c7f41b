"""The cost of stabilisers, raced on points."""

import pytest

from experiments import benchmark, cure_race


def test_the_plain_step_and_some_cures(monkeypatch):
    config = benchmark.prepare("configs/gan.py:circle", batch_size=8)
    config.steps_per_call = 1
    found = cure_race.benchmark(
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
    text = cure_race.shown({"config": "c", "batch_size": 8, **found})
    assert "spectral" in text and "base" in text


def test_a_cure_that_cannot_be_is_said_to_be_refused(monkeypatch):
    config = benchmark.prepare("configs/gan.py:circle", batch_size=8)
    known = {"base": {}, "bad": {"critic.penalties": ("r3",)}}
    monkeypatch.setattr(cure_race.cures, "table", lambda config: known)
    runner = cure_race.steps(cure_race.configs.to_json(config), ["base", "bad"])
    assert set(runner.cases) == {"base"}
    assert "'r3' is not one of" in runner.facts["refused"]["bad"]


def test_every_cure_that_costs_is_raced():
    config = benchmark.prepare(cure_race.SPEC)
    names = set(cure_race.table(config))
    assert {"base", "gradient_penalty", "spectral", "diff_augment"} <= names
    assert names.isdisjoint(cure_race.SAME)
    with pytest.raises(KeyError):
        cure_race.table(config)["ttur"]
