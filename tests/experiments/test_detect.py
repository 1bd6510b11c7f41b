"""The command that detects anomalies: its output, and its errors of one line."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def series_run(untrained, tmp_path_factory):
    folder = tmp_path_factory.mktemp("series")
    return untrained("series", folder, on="series:demo:window=16")


def run(*flags):
    path = [str(TESTS.parent), str(TESTS), os.environ.get("PYTHONPATH", "")]
    return subprocess.run(
        [sys.executable, "-m", "experiments.detect", *map(str, flags)],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(path)},
    )


@pytest.mark.slow
def test_command(series_run, tmp_path):
    workdir, out = f"--workdir={series_run}", tmp_path / "x.csv"
    done = run(workdir, f"--out={out}", "--error=area", "--combine=rec")
    assert done.returncode == 0, done.stderr
    first, rules, last = done.stdout.splitlines()
    assert first.startswith("demo: ") and last == str(out)
    assert rules.startswith("rules: error area, combination rec")
    assert out.read_text().startswith("signal,start,end,score,start_utc,end_utc\n")
    for flag, said in (
        (f"--out={tmp_path}/x.pdf", "x.pdf: wanted a file .csv, .json, .html"),
        ("--error=dtv", "error: 'dtv' is not one of area, dtw, point"),
    ):
        done = run(workdir, flag)
        assert done.returncode == 1 and said in done.stderr
        assert len(done.stderr.splitlines()) == 1
