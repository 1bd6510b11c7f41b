"""The command that translates pictures: its lines, its exit codes, and its death."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from experiments.translation import picture

TESTS = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def workdir(untrained, tmp_path_factory):
    return untrained("cycle", tmp_path_factory.mktemp("cycle"))


def start(*flags):
    path = [str(TESTS.parent), str(TESTS), os.environ.get("PYTHONPATH", "")]
    return subprocess.Popen(
        [sys.executable, "-m", "experiments.translate", *map(str, flags)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(path)},
    )


def folder_of(path, n, side=24):
    path.mkdir()
    for i in range(n):
        noise = np.random.default_rng(i).integers(0, 256, (side, side, 3))
        Image.fromarray(noise.astype(np.uint8)).save(path / f"{i:03d}.png")
    return path


def test_command(workdir, tmp_path):
    source, out = folder_of(tmp_path / "in", 2), tmp_path / "out"
    (source / "broken.jpg").write_text("x")
    flags = f"--workdir={workdir}", f"--input={source}", f"--out={out}"
    process = start(*flags)
    said, errors = process.communicate()
    assert process.returncode == 1, errors
    assert said == f"{out}: 2 made, 1 failed\n"
    assert errors.splitlines() == [
        "output: a_to_b; --output also takes b_to_a, cycle_a, cycle_b",
        f"cannot translate {source / 'broken.jpg'}: it is not a picture of a known "
        "format",
    ]
    (source / "broken.jpg").unlink()
    process = start(*flags, "--output=a_to_b", "--size=training")
    said, errors = process.communicate()
    assert (process.returncode, said) == (0, f"{out}: 0 made, 2 were there already\n")
    process = start(*flags, "--size=huge")
    said, errors = process.communicate()
    assert process.returncode == 1
    assert errors.startswith("error: size='huge': wanted training, squash, full, or a")


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_killed_and_begun_again(workdir, tmp_path, number):
    source, whole, out = folder_of(tmp_path / "in", 200), *map(tmp_path.joinpath, "ab")
    flags = f"--workdir={workdir}", f"--input={source}", "--size=full"
    assert start(*flags, f"--out={whole}").wait() == 0
    process = start(*flags, f"--out={out}")
    while not out.exists() or len([*out.glob("*.png")]) < 20:
        assert process.poll() is None, process.communicate()
        time.sleep(0.001)
    process.send_signal(number)
    _, errors = process.communicate()
    if number == signal.SIGINT:
        assert process.returncode == 130 and "To continue:\n" in errors
    # Whatever stands under its name is finished, and not all of them are.
    done = {path.name: path.read_bytes() for path in out.glob("*.png")}
    assert 20 <= len(done) < 200
    assert all(picture.record_of(out / name) for name in done)
    process = start(*flags, f"--out={out}")
    said, errors = process.communicate()
    assert process.returncode == 0, errors
    made = f"{200 - len(done)} made, {len(done)} were there already"
    assert said == f"{out}: {made}\n"
    after = {path.name: path.read_bytes() for path in out.glob("*.png")}
    assert after == {path.name: path.read_bytes() for path in whole.glob("*.png")}
    assert after.items() >= done.items()
    assert not [*out.glob(".*")]
