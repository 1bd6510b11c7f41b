"""The command that samples."""

import functools
import subprocess
import sys

import jax
import numpy as np
import pytest

from experiments import config as configs
from experiments.rundir.checkpoint import Checkpoints
from gans import core


@pytest.fixture(scope="module")
def points(tiny, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("points")
    config = tiny("gan", "ring8")
    (workdir / "config.json").write_text(configs.to_json(config))
    init = jax.jit(functools.partial(core.init, configs.build(config)))
    checkpoints = Checkpoints(workdir, keep=None)
    checkpoints.save(7, init(jax.random.key(7)).replace(step=np.int32(7)), {})
    checkpoints.close()
    return workdir


def run(*flags):
    command = [sys.executable, "-m", "experiments.sample", *flags]
    return subprocess.run(command, capture_output=True, text=True)


def test_command(points, tmp_path):
    workdir = f"--workdir={points}"
    out = tmp_path / "x.npz"
    done = run(workdir, "--n=3", f"--out={out}")
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{out}\n" and len(np.load(out)["point"]) == 3
    failed = run(workdir, "--class=1")
    assert failed.returncode == 1
    assert failed.stderr == "error: class 1: gan has no classes\n"
