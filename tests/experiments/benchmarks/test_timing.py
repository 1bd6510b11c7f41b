"""Races: who takes part, what is timed, and what a failure costs."""

import os
import sys
import time

import pytest

from experiments.benchmarks.timing import Contestant, Runner, race

HERE = __name__


@pytest.fixture(autouse=True)
def importable(monkeypatch):
    """The contestants' processes must be able to import this file, by its name."""
    folder, name = os.path.split(os.path.splitext(__file__)[0])
    monkeypatch.setattr(sys, "path", [folder, *sys.path])
    monkeypatch.setattr(sys.modules[__name__], "HERE", name)


def sleeper(seconds, **facts):
    cases = {
        "nap": lambda: time.sleep(seconds),
        "long nap": lambda: time.sleep(3 * seconds),
    }
    return Runner(cases, facts)


def settings():
    return Runner({"nap": lambda: None}, {"seen": os.environ["GANS_RACE"]})


def broken(when):
    if when == "built":
        raise ValueError("no such thing\nsecond line")

    def run():
        if when == "killed":
            os._exit(7)
        raise RuntimeError("fell over")

    return Runner({"nap": run})


def enter(name, function, environment=(), **options):
    return Contestant(name, f"{HERE}:{function}", options, dict(environment))


def test_each_case_of_each_contestant_is_timed():
    field = [
        enter("quick", "sleeper", seconds=0.01, colour="red"),
        enter("slow", "sleeper", seconds=0.04),
    ]
    told = []
    found = race(field, ["nap", "long nap"], rounds=2, turn=0.05, tell=told.append)
    quick, slow = found["quick"], found["slow"]
    assert quick.error is None and slow.error is None
    assert quick.facts["colour"] == "red"
    assert quick.facts["peak_memory_bytes"] > 1e6
    for result, nap in ((quick, 0.01), (slow, 0.04)):
        for case, seconds in (("nap", nap), ("long nap", 3 * nap)):
            assert len(result.seconds[case]) >= 2
            assert seconds <= min(result.seconds[case]) < 10 * seconds
    # A turn is a length of time, of as many runs as it holds, but one at least.
    assert len(quick.seconds["nap"]) > len(slow.seconds["nap"])
    assert told[0] == "preparing quick" and "round 2 of 2, nap" in told


@pytest.mark.parametrize(
    "when, said",
    [
        ("built", "ValueError: no such thing"),
        ("run", "RuntimeError: fell over"),
        ("killed", "its process ended with exit code 7"),
    ],
)
def test_one_that_fails_fails_alone(when, said):
    field = [enter("bad", "broken", when=when), enter("good", "sleeper", seconds=0.0)]
    found = race(field, ["nap"], rounds=2, turn=0.0)
    assert found["bad"].error == said
    assert not found["bad"].seconds.get("nap")
    assert found["good"].error is None and len(found["good"].seconds["nap"]) == 2


def test_settings_are_of_one_process():
    field = [
        enter("a", "settings", {"GANS_RACE": "1"}),
        enter("b", "settings", {"GANS_RACE": "2"}),
    ]
    found = race(field, ["nap"], rounds=1, turn=0.0)
    assert found["a"].facts["seen"] == "1" and found["b"].facts["seen"] == "2"
    assert "GANS_RACE" not in os.environ
