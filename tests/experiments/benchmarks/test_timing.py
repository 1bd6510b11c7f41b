"""Rounds: which runs are samples, the quartiles, and failures. Clocks are fake."""

import functools
import os
import statistics
import sys
from types import SimpleNamespace

import hypothesis
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.benchmarks import timing
from experiments.benchmarks.timing import Candidate, Runner, quartiles, time_in_rounds

HERE = __name__


@pytest.fixture(autouse=True)
def importable(monkeypatch):
    """The candidates' processes must be able to import this file, by its name."""
    folder, name = os.path.split(os.path.splitext(__file__)[0])
    monkeypatch.setattr(sys, "path", [folder, *sys.path])
    monkeypatch.setattr(sys.modules[__name__], "HERE", name)


class Clock:
    """Stands still except when a case runs."""

    def __init__(self):
        self.now = 0.0

    def perf_counter(self):
        return self.now

    def case(self, durations):
        """Lasts as long as each of `durations` in turn, then always as the last."""
        left = [*durations]

        def run():
            self.now += left.pop(0) if len(left) > 1 else left[0]

        return run


# --- what candidates do, in their processes ------------------------------------------


def clocked(short, long, **details):
    """Two cases, with the durations of their runs."""
    clock = timing.time = Clock()
    return Runner({"short": clock.case(short), "long": clock.case(long)}, details)


def settings():
    return Runner({"short": lambda: None}, {"seen": os.environ["GANS_SETTING"]})


def broken(when):
    if when == "built":
        raise ValueError("no such thing\nsecond line")

    def run():
        if when == "killed":
            os._exit(7)
        raise RuntimeError("fell over")

    return Runner({"short": run})


def candidate(name, function, setup=None, **options):
    return Candidate(name, f"{HERE}:{function}", options, setup)


# --- rounds --------------------------------------------------------------------------


def test_each_case_of_each_candidate_is_timed():
    # Durations are sums of powers of two, so that the clock's sums are exact.
    fast = {"short": [9.0, 1.0], "long": [2.0, 1.5]}
    slow = {"short": [2.0], "long": [16.0, 8.0]}
    seen = []
    found = time_in_rounds(
        [
            candidate("fast", "clocked", **fast, colour="red"),
            candidate("slow", "clocked", **slow),
        ],
        ["short", "long"],
        rounds=3,
        seconds=4.0,
        progress=seen.append,
    )
    fast, slow = found["fast"], found["slow"]
    assert fast.error is None and slow.error is None
    assert fast.details["colour"] == "red"
    assert fast.details["peak_memory_bytes"] > 1e6
    # Round 1: only the cold run of 9 s, longer than 4 s. Then twice 1 + 3 samples.
    assert fast.seconds["short"] == [1.0] * 6
    # 2 + 1.5 + 1.5 s, then 3 runs of 1.5 s; the first in each round is no sample.
    assert fast.seconds["long"] == [1.5] * 2 * 3
    assert slow.seconds["short"] == [2.0] * 3  # 2 runs fill 4 s: one of them a sample
    # The cold run is no sample; later runs that fill a round are.
    assert slow.seconds["long"] == [8.0] * 2
    assert fast.cold == slow.cold == []
    assert seen[0] == "preparing fast" and "round 2 of 3, short" in seen


def test_the_cold_run_counts_only_if_there_is_no_other():
    field = [candidate("one", "clocked", short=[9.0, 1.0], long=[2.0, 1.0])]
    (found,) = time_in_rounds(field, ["short", "long"], rounds=1, seconds=4.0).values()
    assert found.seconds == {"short": [9.0], "long": [1.0, 1.0]}
    assert found.cold == ["short"]


@pytest.mark.parametrize(
    "durations, seconds, runs",
    [
        ([5.0], 4.0, [5.0]),  # longer than the round
        ([4.0, 4.0], 4.0, [4.0, 4.0]),  # not longer: one more, to be a sample
        ([1.0, 2.0, 3.0], 4.0, [1.0, 2.0, 3.0]),
        ([1.0], 0.0, [1.0]),
        ([0.0], 0.0, [0.0, 0.0]),
    ],
)
def test_a_round_is_filled_with_runs(monkeypatch, durations, seconds, runs):
    clock = Clock()
    monkeypatch.setattr(timing, "time", clock)
    assert timing._timed(clock.case(durations), seconds) == runs


def test_the_first_candidate_changes_with_the_round(monkeypatch):
    """A stand-in for the processes notes who is asked for what."""
    asked = []

    def ask(results, running, name, *message):
        if message and message[0]:
            asked.append(name)
        return [1.0, 1.0]

    process = SimpleNamespace(
        start=lambda: None, join=lambda timeout: None, kill=lambda: None
    )
    context = SimpleNamespace(
        Pipe=lambda: (SimpleNamespace(close=lambda: None),) * 2,
        Process=lambda **_: process,
    )
    monkeypatch.setattr(timing, "_ask", ask)
    monkeypatch.setattr(timing.multiprocessing, "get_context", lambda kind: context)
    field = [Candidate(name, "a:b") for name in "xyz"]
    time_in_rounds(field, ["step"], rounds=4, seconds=0.0)
    assert "".join(asked) == "xyzyzxzxyxyz"


@pytest.mark.parametrize(
    "when, message",
    [
        ("built", "ValueError: no such thing"),
        ("run", "RuntimeError: fell over"),
        ("killed", "its process ended with exit code 7"),
    ],
)
def test_a_candidate_that_fails_does_not_stop_the_others(when, message):
    field = [
        candidate("bad", "broken", when=when),
        candidate("good", "clocked", short=[1.0], long=[1.0]),
    ]
    found = time_in_rounds(field, ["short"], rounds=2, seconds=0.0)
    assert found["bad"].error == message
    assert not found["bad"].seconds.get("short")
    assert found["good"].error is None and found["good"].seconds["short"] == [1.0]


def test_each_process_has_its_own_settings():
    # A function of this file could not be unpickled there.
    code = "import os; os.environ['GANS_SETTING'] = '{}'"
    field = [
        candidate(name, "settings", functools.partial(exec, code.format(name)))
        for name in "ab"
    ]
    found = time_in_rounds(field, ["short"], rounds=1, seconds=0.0)
    assert found["a"].details["seen"] == "a" and found["b"].details["seen"] == "b"
    assert "GANS_SETTING" not in os.environ


# --- quartiles -----------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 2, 3, 9])
def test_quartiles_are_those_of_numpy(n):
    samples = np.random.default_rng(n).gamma(2.0, size=n).tolist()
    expected = np.percentile(samples, [25, 50, 75])
    np.testing.assert_allclose(quartiles(samples), expected, rtol=1e-14)


def test_quartiles_of_two_by_hand():
    """1 + 0.25 x 4 = 2 and 1 + 0.75 x 4 = 4; by default, `statistics` extrapolates."""
    assert quartiles([5.0, 1.0]) == (2.0, 3.0, 4.0)
    assert statistics.quantiles([5.0, 1.0], n=4)[::2] == [0.0, 6.0]


@hypothesis.settings(deadline=None)  # a busy machine is slow
@given(st.lists(st.floats(0, 1e9, allow_subnormal=True), min_size=1, max_size=30))
def test_quartiles_lie_within_the_samples_and_in_order(samples):
    low, median, high = quartiles(samples)
    assert min(samples) <= low <= median <= high <= max(samples)
