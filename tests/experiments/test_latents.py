"""The command of latent spaces: its verbs, its lines, its exit codes."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

TESTS = Path(__file__).parents[1]


@pytest.fixture
def workdir(styled_run):
    return styled_run


def start(*arguments):
    path = [str(TESTS.parent), str(TESTS), os.environ.get("PYTHONPATH", "")]
    return subprocess.Popen(
        [sys.executable, "-m", "experiments.latents", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(path)},
    )


MISTAKES = {
    "": "--workdir is missing",
    "--workdir=x --out=y": "wanted one of mix, interpolate, project, directions",
    "mx --workdir=x --out=y": "wanted one of mix.* got mx",
    "mix --workdir=x --out=y --steps=3": "--steps is not a flag of mix, which has",
    "mix --workdir=x --out=y --row=3": "--row is not a flag.*did you mean --rows",
    "project --workdir=x --out=y": "--input is missing: project: a picture, or",
    "edit --workdir=x --out=y.html": "--directions is missing: edit: files of",
}


def test_mistakes_are_one_line():
    processes = {text: start(*text.split()) for text in MISTAKES}
    for text, process in processes.items():
        _, said = process.communicate()
        assert process.returncode == 1
        assert re.match(rf"error: .*{MISTAKES[text]}.*\n$", said), said


@pytest.mark.slow
def test_command(workdir, tmp_path):
    out, page = tmp_path / "x.npz", tmp_path / "x.html"
    process = start("directions", f"--workdir={workdir}", f"--out={out}", "--n=2")
    said, errors = process.communicate()
    assert process.returncode == 0, errors
    assert said.splitlines()[-1] == str(out) and said.startswith("factor 1: eigenvalue")
    given = f"--directions={out}", "--seeds=0,3", "--frames=3", f"--out={page}"
    process = start("edit", f"--workdir={workdir}", *given)
    said, errors = process.communicate()
    assert (process.returncode, said) == (0, f"{page}\n"), errors
    assert page.read_text().count("data:image/webp") == 4


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_projection_killed_and_begun_again(workdir, tmp_path, number):
    source, whole, out = tmp_path / "in", tmp_path / "a", tmp_path / "b"
    source.mkdir()
    for i in range(12):
        noise = np.random.default_rng(i).integers(0, 256, (16, 16))
        Image.fromarray(noise.astype(np.uint8)).save(source / f"{i:02d}.png")
    given = f"--workdir={workdir}", f"--input={source}", "--distance=l2", "--steps=300"
    assert start("project", *given, f"--out={whole}").wait() == 0
    process = start("project", *given, f"--out={out}")
    while not out.exists() or len([*out.glob("*.png")]) < 3:
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    process.send_signal(number)
    process.communicate()
    assert process.returncode != 0
    done = {path.name: path.read_bytes() for path in out.glob("*.png")}
    assert 3 <= len(done) < 12
    process = start("project", *given, f"--out={out}")
    said, errors = process.communicate()
    assert process.returncode == 0, errors
    assert f"{12 - len(done)} projected, {len(done)} were there already" in said
    assert all((out / name).read_bytes() == x for name, x in done.items())
    assert sorted(p.name for p in out.iterdir()) == sorted(
        p.name for p in whole.iterdir()
    )
    for path in whole.glob("*.npz"):
        with np.load(path) as a, np.load(out / path.name) as b:
            np.testing.assert_array_equal(a["ws"], b["ws"])
