"""Our step and PyTorch's: the candidates, the figures, the table."""

import pytest

from experiments.benchmarks import steps, timing, workload
from experiments.benchmarks.timing import Result


@pytest.mark.slow
def test_pytorch_is_timed_beside_ours(monkeypatch):
    pytest.importorskip("torch", reason="extra `reference`")
    candidates = steps.candidates

    def quick(*args):  # torch.compile calls a C++ compiler for half a minute
        return [c for c in candidates(*args) if "compiled" not in c.name]

    monkeypatch.setattr(steps, "candidates", quick)
    config = workload.load("configs/gan.py:circle", batch_size=8)
    found = steps.benchmark(config, against="torch", rounds=1, seconds=0.0)
    rows = found["candidates"]
    assert set(rows) == {"jax", "torch", "torch allocator"}
    assert all(row["ms_per_step"] > 0 for row in rows.values())
    expected = rows["torch"]["ms_per_step"] / rows["jax"]["ms_per_step"]
    assert found["ratios"]["eager"] == pytest.approx(expected)
    text = steps.table({"config": "c", "batch_size": 8, **found})
    assert all(name in text for name in rows)


def test_figures_by_hand(monkeypatch):
    """Runs of 5 steps, of 10 and 30 ms: 2 and 6 ms a step; a median of 4, quartiles of
    2 + 1 and 6 - 1; 64 images in 4 ms are 16,000 a second."""
    details = {"peak_memory_bytes": 2**20}
    results = {
        "jax": Result({"step": [0.030, 0.010]}, details=details),
        "torch": Result({"step": [0.080]}, ["step"], details),
        "torch compiled": Result(error="no compiler"),
    }
    monkeypatch.setattr(timing, "time_in_rounds", lambda *_, **__: results)
    config = workload.load("configs/wgan_gp.py:cifar10")
    config.n_critic, config.steps_per_call, config.batch_size = 5, 1, 64
    found = steps.benchmark(config, against="torch")
    row = found["candidates"]["jax"]
    assert row["samples_ms"] == pytest.approx([6, 2])
    assert row["ms_per_step"] == pytest.approx(4)
    assert row["quartiles"] == pytest.approx([3, 5])
    assert row["images_per_s"] == pytest.approx(16_000)
    assert found["ratios"] == {"eager": pytest.approx(4)}
    text = steps.table({"config": "c", "batch_size": 64, **found})
    assert "failed: no compiler" in text and "3 .. 5" in text
    # PyTorch had time for one run only, which the table says.
    ours, torch = text.splitlines()[2:4]
    assert "16*" in torch and "*" not in ours and timing.COLD_NOTE in text
    results["torch"].cold = []
    text = steps.table({"config": "c", "batch_size": 64, **steps.benchmark(config)})
    assert "*" not in text


def test_our_own_failure_is_an_error(monkeypatch):
    results = {"jax": Result(error="ValueError: no")}
    monkeypatch.setattr(timing, "time_in_rounds", lambda *_, **__: results)
    with pytest.raises(RuntimeError, match="ValueError: no"):
        steps.benchmark(workload.load("configs/gan.py:circle"))


def test_images_are_timed_in_both_memory_formats():
    config = workload.load("configs/wgan_gp.py:cifar10", batch_size=2)
    on_cpu = [c.name for c in steps.candidates(config, "torch", gpu=False)]
    assert on_cpu[:3] == ["jax", "torch", "torch channels_last"]
    assert "torch channels_last allocator" in on_cpu
    assert not any("bfloat16" in name for name in on_cpu)
    on_gpu = steps.candidates(config, "torch", gpu=True)
    names = [c.name for c in on_gpu]
    assert "jax bfloat16" in names and "torch channels_last bfloat16" in names
    assert not any("allocator" in name for name in names)
    assert all(c.options["device"] == "cuda" for c in on_gpu if "torch" in c.name)
    assert [c.name for c in steps.candidates(config, None, gpu=False)] == ["jax"]


def test_ratios_take_the_faster_memory_format():
    ms = {
        "jax": 10.0,
        "torch": 30.0,
        "torch channels_last": 20.0,
        "torch allocator": 15.0,
        "torch channels_last allocator": 18.0,
        "torch channels_last compiled": 40.0,
    }
    rows = {name: {"ms_per_step": x} for name, x in ms.items()}
    rows["torch compiled"] = {"error": "no compiler"}
    assert steps.ratios(rows) == {
        "compiled": 4.0,
        "eager": 2.0,
        "eager allocator": 1.5,
    }


def test_candidates_can_be_chosen(monkeypatch):
    timed = []

    def time_in_rounds(candidates, *_, **__):
        timed[:] = [one.name for one in candidates]
        return {name: Result({"step": [1.0]}) for name in timed}

    monkeypatch.setattr(timing, "time_in_rounds", time_in_rounds)
    config = workload.load("configs/gan.py:circle", batch_size=2)
    steps.benchmark(config, against="torch", only=("torch allocator",))
    assert timed == ["jax", "torch allocator"]
    with pytest.raises(ValueError, match="--only: 'tosch' .*did you mean 'torch'"):
        steps.benchmark(config, against="torch", only=("tosch",))
