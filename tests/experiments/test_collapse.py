"""The short command for the ablation of mode collapse."""

import pathlib
import re
import subprocess
import sys

import pytest

from configs.ablations import mode_collapse
from experiments import collapse
from experiments.config import files

ROOT = pathlib.Path(__file__).parent.parent.parent


def run(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "experiments.collapse", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )


def test_the_command_that_does_the_same():
    assert f"ablations/{collapse.CONFIG}" in files.packaged()
    assert {*collapse.PRESETS.values()} == {
        *mode_collapse.POINTS,
        *mode_collapse.STACKED,
    }
    assert collapse.command("ring8", arms=["all"]) == [
        "-m",
        "experiments.ablate",
        "--config=mode_collapse:ring8",
    ]
    found = collapse.command(
        "stacked:digits", arms=["r1", "ema"], seeds=2, steps=50, workdir="w"
    )
    assert found[2:] == [
        "--config=mode_collapse:stacked_digits",
        "--arms=r1,ema",
        "--config.seeds=2",
        "--config.steps=50",
        "--workdir=w",
    ]


@pytest.mark.slow
def test_it_runs_the_ablation(tmp_path):
    options = ["--data=grid25", "--arms=ttur", "--seeds=1", "--steps=100"]
    done = run(*options, f"--workdir={tmp_path}")
    assert done.returncode == 0, done.stderr
    said = done.stderr.splitlines()[0]
    assert said.startswith("python -m experiments.ablate --config=mode_collapse")
    assert done.stdout.strip() == str(tmp_path / "report.html")
    text = (tmp_path / "report.md").read_text()
    assert "| base | 1 |" in text and "| ttur | 1 |" in text and "r1" not in text
    assert "eval/modes/modes (higher is better)" in text
    assert (tmp_path / "values.png").is_file()


@pytest.mark.parametrize(
    "options, message",
    [
        (["--arms=hing"], "error: --arms: 'hing' is not one of .*did you mean 'hinge'"),
        (["--out=docs/collapse"], "error: --out is now --workdir"),
        (["--data=circle"], "--data=circle: value should be one of"),
    ],
)
def test_a_mistake(options, message):
    done = run(*options)
    assert done.returncode == 1
    assert re.search(message, done.stderr), done.stderr
