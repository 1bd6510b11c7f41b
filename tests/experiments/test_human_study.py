"""The command: a study of a run and a folder, its answers, errors in one line."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from experiments.judging import sources, study

TESTS = Path(__file__).parents[1]


def run(*flags):
    path = [str(TESTS.parent), str(TESTS), os.environ.get("PYTHONPATH", "")]
    return subprocess.run(
        [sys.executable, "-m", "experiments.human_study", *map(str, flags)],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(path)},
    )


@pytest.mark.slow
def test_the_command(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 1), np.uint8)
    np.savez(tmp_path / "a.npz", image=images)
    out = tmp_path / "x.html"
    made = "--real=digits@test", f"--fake={tmp_path}/a.npz", f"--out={out}"
    done = run(*made, "--task=single", "--trials=6", "--catches=0")
    assert done.returncode == 1
    assert "not alike: real 32x32 grey, a 8x8 grey; --resize=8" in done.stderr
    assert len(done.stderr.splitlines()) == 1 and not out.exists()
    done = run(*made, "--task=single", "--trials=6", "--catches=0", "--resize=8")
    assert done.returncode == 0, done.stderr
    assert "12 trials, 12 pictures" in done.stdout
    key = json.loads((tmp_path / "x.key.json").read_text())
    (blocks,) = key["design"]["parts"]
    given = [{"pictures": t, "real": t[0]} for block in blocks for t in block]
    answers = {"study": key["study"], "participant": "me", "answers": given}
    (tmp_path / "answers.json").write_text(json.dumps(answers))
    reading = f"--answers={tmp_path}/answers.json", f"--key={tmp_path}/x.key.json"
    done = run(*reading, f"--out={tmp_path}/results.json")
    assert done.returncode == 0, done.stderr
    assert "| a | 50.0 % | 100.0 % (61.0 % to 100.0 %) | 0.0 % (" in done.stdout
    report = json.loads((tmp_path / "results.json").read_text())
    assert report["results"]["a"]["hype_infinity"]["value"] == 0.5
    for flags, said in (
        (reading[:1], "--key is missing"),
        ((*reading, "--task=single"), "--task does not go with --answers"),
        ((), "--real is missing"),
    ):
        done = run(*flags)
        assert done.returncode == 1 and said in done.stderr
        assert len(done.stderr.splitlines()) == 1


@pytest.mark.slow
def test_pictures_of_a_run(styled_run):
    found = sources.load("--fake", str(styled_run), 3)
    assert found.dtype == np.uint8 and found.shape[0] == 3
    again = sources.load("--fake", str(styled_run), 3, seed=1)
    assert (found != again).any()


@pytest.mark.parametrize(
    "options, said",
    [
        ({"task": "pair"}, "--task: 'pair' is not one of choice, single, staircase"),
        ({"fakes": []}, "--fake is missing"),
        ({"fakes": ["x/a", "y/a.npz"]}, "'a' is there twice"),
        ({"fakes": ["real"]}, "'real' means something else"),
        ({"task": "staircase", "seconds": 1.0}, "--seconds=1: a staircase sets"),
        ({"task": "staircase", "trials": 3}, "--trials=3: half"),
        ({"out": "x.htm"}, "--out=x.htm: wanted a file named"),
        ({"trials": 400}, "--real=digits@test holds 360 images, fewer than the 405"),
    ],
)
def test_what_cannot_be_studied(options, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    given = {"fakes": ["digits"], "out": "x.html", **options}
    with pytest.raises(ValueError, match=said):
        study.make("digits@test", **given)
    assert not [*tmp_path.iterdir()]
