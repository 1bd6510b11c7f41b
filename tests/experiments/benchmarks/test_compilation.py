"""How long a step takes to compile: a new process finds it in the cache."""

import pytest

from experiments.benchmarks import compilation, workload


@pytest.mark.slow
def test_the_second_process_finds_it():
    config = workload.load("configs/gan.py:circle", batch_size=8)
    found = compilation.benchmark(config)
    cold, cached = (found["candidates"][x] for x in ("cold", "from the cache"))
    assert cold["instructions"] == cached["instructions"] > 100
    assert 0 < cached["compile_seconds"] < cold["compile_seconds"]
    text = compilation.table({"config": "c", "batch_size": 8, **found})
    assert text.count("\n") == 3 and "from the cache" in text


def test_a_failure_is_an_error(monkeypatch):
    failed = {"cold": compilation.timing.Result(error="ValueError: no")}
    monkeypatch.setattr(compilation.timing, "time_in_rounds", lambda *_, **__: failed)
    with pytest.raises(RuntimeError, match="ValueError: no"):
        compilation.benchmark(workload.load("configs/gan.py:circle"))
