"""Vmapped seeds against runs one by one, on tiny networks."""

import json

import pytest

from experiments import config
from experiments.benchmarks import seeds, timing, workload
from experiments.benchmarks.timing import Result

N = 8


def tiny(steps=6, per_call=2):
    found = workload.load("configs/gan.py:ring8", batch_size=8)
    found.generator.widths = found.discriminator.widths = (8, 8)
    found.steps, found.steps_per_call = steps, per_call
    return found


def test_the_ratio_of_steps_by_hand(monkeypatch):
    """8 x 3 ms one by one, 6 ms vmapped: 4, if a run is of 2 steps on both sides."""
    seconds = {
        seeds.ALONE: [0.006, 0.004, 0.100],  # median 6 ms for 2 steps
        seeds.VMAPPED: [0.012, 0.002, 0.013],
    }
    asked = {}

    def time_in_rounds(candidates, cases, **_):
        asked.update({c.name: c.options["seeds"] for c in candidates})
        return {name: Result({"step": x}) for name, x in seconds.items()}

    monkeypatch.setattr(timing, "time_in_rounds", time_in_rounds)
    found = seeds.per_step(tiny(), N, rounds=1, seconds=0.0, progress=timing.silent)
    assert asked == {seeds.VMAPPED: [*range(N)], seeds.ALONE: [0]}
    assert found[seeds.ALONE]["ms_per_step"] == pytest.approx(3)
    assert found[seeds.VMAPPED]["ms_per_step"] == pytest.approx(6)
    assert found["ratio"] == pytest.approx(4)


def test_the_ratios_of_totals_by_hand(monkeypatch):
    """Of three repeats 8 x 5 / 20, 8 x 5 / 10, 8 x 5 / 40: the median is 2; cached
    8 + 7 x 4 = 36 s once, then 2 s less each, over 20, 10, 40: 1.8."""
    asked, vmapped = [], iter((20.0, 10.0, 40.0))

    def process(text, seeds, steps, cache):
        assert steps == 6 and config.from_json(text).batch_size == 8
        first = not any(c == cache for _, c in asked)
        asked.append((seeds, cache))
        seconds = 5.0 if cache is None else (8.0 if first else 4.0)
        seconds = next(vmapped) if len(seeds) > 1 else seconds
        said = {"seconds": seconds, "first_seconds": 1.0, "cpu_seconds": 2.0}
        memory = 100 * len(seeds) + seeds[0]
        return said | {"replicas": len(seeds), "peak_memory_bytes": memory}

    monkeypatch.setattr(seeds, "_process", process)
    found = seeds.in_total(tiny(), N, steps=6, repeats=3, progress=timing.silent)
    assert found["ratio"] == pytest.approx(2)
    assert found["ratio_cached"] == pytest.approx(1.8)
    for name, n_processes in (("VMAPPED", 1), ("ALONE", N), ("CACHED", N)):
        for repeat in found[getattr(seeds, name)]:
            assert repeat["replicas"] == N and len(repeat["processes"]) == n_processes
            assert repeat["first_seconds"] == n_processes
    assert found[seeds.ALONE][0]["peak_memory_bytes"] == 107  # the greatest
    assert found[seeds.VMAPPED][0]["peak_memory_bytes"] == 800
    assert found[seeds.CACHED][0]["seconds"] == 36
    # Each repeat has a cache of its own, and what is not cached has none.
    caches = [cache for _, cache in asked if cache]
    assert len(set(caches)) == 3 and len(asked) == 3 * (2 * N + 1)


@pytest.mark.slow
def test_whole_processes_do_the_same_work_and_one_cache_is_shared(monkeypatch):
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", "/nowhere")  # must not count
    found = seeds.in_total(tiny(), 2, steps=6, repeats=1, progress=timing.silent)
    for name in (seeds.VMAPPED, seeds.ALONE, seeds.CACHED):
        (repeat,) = found[name]
        assert repeat["replicas"] == 2
        assert [p["steps"] for p in repeat["processes"]] == [6] * len(
            repeat["processes"]
        )
        assert repeat["first_seconds"] > 0 and repeat["seconds"] > 0
        assert repeat["cpu_seconds"] > 0
        assert repeat["peak_memory_bytes"] > 1e8
    hits = {
        name: [p["cache_hits"] for p in found[name][0]["processes"]]
        for name in (seeds.VMAPPED, seeds.ALONE, seeds.CACHED)
    }
    assert hits[seeds.VMAPPED] == [0] and hits[seeds.ALONE] == [0, 0]
    assert hits[seeds.CACHED][0] == 0 < hits[seeds.CACHED][1]
    step = {"ms_per_step": 1.0, "samples_ms": [1.0], "cold": False}
    found = {
        "config": "c",
        "batch_size": 8,
        "seeds": 2,
        "step": {"ratio": 2.0, seeds.VMAPPED: step, seeds.ALONE: step},
        "total": found,
    }
    text = seeds.table(json.loads(json.dumps(found)))
    assert f"{found['total']['ratio']:.2f}" in text and "6 steps" in text
    assert timing.COLD_NOTE not in text
    found["step"][seeds.ALONE] = step | {"cold": True}
    assert timing.COLD_NOTE in seeds.table(found)


def test_steps_are_whole_calls_and_minutes_by_default(monkeypatch):
    asked = []
    monkeypatch.setattr(seeds, "per_step", lambda *args, **_: {})
    monkeypatch.setattr(
        seeds, "in_total", lambda *args, steps, **_: asked.append(steps)
    )
    options = {"rounds": 1, "seconds": 0.0}
    with pytest.raises(ValueError, match="7 steps are not a multiple of 2"):
        seeds.benchmark(tiny(), n_seeds=N, steps=7, **options)
    seeds.benchmark(tiny(), n_seeds=N, steps=4, **options)
    seeds.benchmark(tiny(10_000, 300), n_seeds=N, **options)
    seeds.benchmark(tiny(6), n_seeds=N, **options)
    seeds.benchmark(workload.load(seeds.SPECS[1]), n_seeds=N, **options)
    assert asked == [4, 1800, 6, 2000]


def test_a_process_that_fails_says_why():
    bad = tiny()
    bad.data = "folder:/no/such/place"
    with pytest.raises(RuntimeError, match=r"seeds \[0\]: exit code 1: .*no/such"):
        seeds.in_total(bad, 2, steps=6, repeats=1, progress=timing.silent)
