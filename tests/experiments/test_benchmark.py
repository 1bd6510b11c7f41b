import json
import os
import pathlib
import subprocess
import sys

import pytest

from experiments import benchmark
from experiments.benchmarks import timing

ROOT = pathlib.Path(__file__).parents[2]


def run(*flags, path=str(ROOT)):
    return subprocess.run(
        [sys.executable, "-m", "experiments.benchmark", *flags],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
    )


def test_our_step_is_timed_and_written(tmp_path):
    out = tmp_path / "figures.json"
    done = run("--config=configs/gan.py:circle", "--rounds=2", f"--out={out}")
    assert done.returncode == 0, done.stderr
    assert "configs/gan.py:circle, batch 256" in done.stdout
    report = json.loads(out.read_text())
    assert {"cpu", "cores", "python", "jax", "jaxlib"} <= set(report["hardware"])
    (found,) = report["configs"]
    row = found["contestants"]["jax"]
    assert len(row["samples_ms"]) >= 2 and min(row["samples_ms"]) > 0
    low, high = row["quartiles"]
    assert min(row["samples_ms"]) <= low <= row["ms_per_step"] <= high
    assert row["images_per_s"] == pytest.approx(256e3 / row["ms_per_step"])
    assert row["compile_seconds"] > 0 and row["peak_memory_bytes"] > 1e8
    assert found["ratios"] == {}


def test_pytorch_takes_turns(monkeypatch):
    pytest.importorskip("torch", reason="extra `peers`")
    field = benchmark.contestants

    def quick(*args):  # torch.compile calls a C++ compiler for half a minute
        return [c for c in field(*args) if "compiled" not in c.name]

    monkeypatch.setattr(benchmark, "contestants", quick)
    options = {"against": "torch", "batch_size": 8, "rounds": 1, "turn": 0.0}
    found = benchmark.benchmark("configs/gan.py:circle", **options)
    rows = found["contestants"]
    assert set(rows) == {"jax", "torch", "torch allocator"}
    assert all(row["ms_per_step"] > 0 for row in rows.values())
    expected = rows["torch"]["ms_per_step"] / rows["jax"]["ms_per_step"]
    assert found["ratios"]["eager"] == pytest.approx(expected)
    text = benchmark.table(found)
    assert all(name in text for name in rows)


@pytest.mark.parametrize(
    "flags, said",
    [
        (["--config=configs/gan.py:cicle"], "did you mean 'circle'"),
        (["--config=configs/gann.py"], "gan.py"),
    ],
)
def test_what_cannot_be_timed_is_said_in_a_line(flags, said):
    done = run(*flags)
    assert done.returncode == 1
    assert said in done.stderr and done.stderr.count("\n") == 1, done.stderr


def test_images_race_in_both_memory_formats():
    config = benchmark.prepare("configs/wgan_gp.py:cifar10", batch_size=2)
    assert config.batch_size == 2 and config.shape == (32, 32, 3)
    assert benchmark.steps_per_run(config) == 5
    on_cpu = [c.name for c in benchmark.contestants(config, "torch", gpu=False)]
    assert on_cpu[:3] == ["jax", "torch", "torch channels_last"]
    assert "torch channels_last allocator" in on_cpu
    assert not any("bfloat16" in name for name in on_cpu)
    on_gpu = benchmark.contestants(config, "torch", gpu=True)
    names = [c.name for c in on_gpu]
    assert "jax bfloat16" in names and "torch channels_last bfloat16" in names
    assert not any("allocator" in name for name in names)
    assert all(c.options["device"] == "cuda" for c in on_gpu if "torch" in c.name)
    assert [c.name for c in benchmark.contestants(config, None, gpu=False)] == ["jax"]


def test_ratios_take_the_better_memory_format():
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
    assert benchmark.ratios(rows) == {
        "compiled": 4.0,
        "eager": 2.0,
        "eager allocator": 1.5,
    }
    rows["jax"] |= {"quartiles": [9, 11], "images_per_s": 1.0, "peak_memory_bytes": 1}
    found = {"config": "c", "batch_size": 1, "contestants": {}, "ratios": {}}
    found["contestants"] = {k: rows[k] for k in ("jax", "torch compiled")}
    assert "failed: no compiler" in benchmark.table(found)


def test_importing_it_starts_no_library():
    code = (
        "import sys, experiments.benchmark;"
        "print([m for m in ('jax', 'torch', 'flax', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr
    assert timing.Contestant("a", "b:c").options == {}
