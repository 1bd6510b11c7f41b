"""The command: its flags, its errors, and a run of it."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]


def run(*flags):
    return subprocess.run(
        [sys.executable, "-m", "experiments.benchmark", *flags],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )


@pytest.mark.slow
def test_our_step_is_timed_and_written(tmp_path):
    out = tmp_path / "figures.json"
    done = run("--config=configs/gan.py:circle", "--rounds=1", f"--out={out}")
    assert done.returncode == 0, done.stderr
    assert "configs/gan.py:circle, batch 256" in done.stdout
    report = json.loads(out.read_text())
    assert {"cpu", "cores", "python", "jax", "jaxlib"} <= set(report["hardware"])
    (found,) = report["configs"]
    row = found["candidates"]["jax"]
    samples, (low, high) = row["samples_ms"], row["quartiles"]
    assert samples and min(samples) > 0
    assert row["compile_seconds"] > 0 and row["peak_memory_bytes"] > 1e8
    assert found["ratios"] == {}
    assert min(samples) <= low <= row["ms_per_step"] <= high <= max(samples)
    assert row["images_per_s"] == pytest.approx(256e3 / row["ms_per_step"])


@pytest.mark.parametrize(
    "flags, message",
    [
        (["--config=configs/gan.py:cicle"], "did you mean 'circle'"),
        (["--config=configs/gann.py"], "gan.py"),
        (["--layers", "--metrics"], "choose one of --layers, --metrics"),
        (["--seeds=2", "--against=torch"], "--against cannot be combined with --seeds"),
        (["--steps=9"], "--steps needs --seeds"),
        (["--n=40"], "--n needs --metrics"),
        (["--metrics", "--only=nfns"], "did you mean 'nnfs'"),
        (["--compilation", "--rounds=2"], "--rounds cannot be combined with --comp"),
        (["--metrics", "--config.steps=2"], "--config.steps=2 cannot be combined"),
    ],
)
def test_errors_are_one_line(flags, message):
    done = run(*flags)
    assert done.returncode == 1
    assert message in done.stderr and done.stderr.count("\n") == 1, done.stderr


def test_importing_it_starts_no_library():
    """Its processes import it before their settings are made."""
    code = (
        "import sys, experiments.benchmark;"
        "print([m for m in ('jax', 'torch', 'flax', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr
