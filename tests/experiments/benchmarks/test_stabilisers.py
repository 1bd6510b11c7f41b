"""The cost of stabilisers, on points."""

import pytest

from configs.ablations import mode_collapse
from experiments.benchmarks import stabilisers, timing, workload
from experiments.benchmarks.timing import Result


@pytest.mark.slow
def test_the_base_and_some_stabilisers():
    config = workload.load("configs/gan.py:circle", batch_size=8)
    config.steps_per_call = 1
    found = stabilisers.benchmark(
        config, rounds=1, seconds=0.0, only=["spectral", "r1, every 16"]
    )
    assert set(found["stabilisers"]) == {"base", "spectral", "r1, every 16"}
    assert found["stabilisers"]["base"]["percent"] == 0
    for row in found["stabilisers"].values():
        assert row["ms_per_step"] > 0 and row["compile_seconds"] > 0
    text = stabilisers.table({"config": "c", "batch_size": 8, **found})
    assert "spectral" in text and "base" in text


def test_incompatible_stabilisers_are_explained_and_others_timed(monkeypatch):
    """By hand: 0.5 s for one step, 12 s for 16: 500 and 750 ms a step, 50 % more."""
    config = workload.load("configs/gan.py:circle", batch_size=8)
    known = {"base": {}, "bad": {"discriminator.penalties": ("r3",)}}
    monkeypatch.setattr(stabilisers.mode_collapse, "arms", lambda config: known)
    monkeypatch.setattr(stabilisers, "MORE", {})
    timed = []

    def time_in_rounds(candidates, names, **_):
        timed.extend(names)
        lazy = "r1, every 16"
        details = {
            "compile_seconds": {"base": 1.0, lazy: 1.0},
            "steps": {"base": 1, lazy: 16},
        }
        seconds = {"base": [0.4, 0.5, 9.0], lazy: [12.0]}
        return {"jax": Result(seconds, [lazy], details)}

    monkeypatch.setattr(timing, "time_in_rounds", time_in_rounds)
    found = stabilisers.benchmark(config)
    # The base before each of the others.
    assert timed == ["base", "base", "r1, every 16"]
    base, lazy = found["stabilisers"].values()
    assert base["ms_per_step"] == 500 and lazy["ms_per_step"] == 750
    assert lazy["percent"] == pytest.approx(50)
    assert "'r3' is not one of" in found["rejected"]["bad"]
    text = stabilisers.table({"config": "c", "batch_size": 8, **found})
    assert "r3" in text and "750*" in text and timing.COLD_NOTE in text


def test_every_stabiliser_that_costs_is_timed():
    config = workload.load(stabilisers.SPECS[0])
    names = set(stabilisers.changes(config))
    assert {"base", "gradient_penalty", "spectral", "diff_augment"} <= names
    assert names.isdisjoint(mode_collapse.SAME_STEP)
    with pytest.raises(KeyError):
        stabilisers.changes(config)["ttur"]
