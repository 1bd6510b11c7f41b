"""The command that asks a config for all promises."""

import subprocess
import sys
from pathlib import Path

import pytest

from experiments.contracts import report

OWN = """
import jax.numpy as jnp
from flax import linen as nn

class Generator(nn.Module):
    shape: tuple

    @nn.compact
    def __call__(self, z, label=None, *, train):
        return nn.Dense(self.shape[0])(z)

class Discriminator(nn.Module):
    column: bool = True

    @nn.compact
    def __call__(self, x, label=None, *, train):
        logits = nn.Dense(1)(x)
        return logits if self.column else logits[:, 0]

class Broken(nn.Module):
    @nn.compact
    def __call__(self, x, label=None, *, train):
        if train:
            return x @ jnp.ones(7)
        return x[:, 0]
"""
CONFIG = """
from configs import presets

def get_config(preset="ring8"):
    config = presets.game("gan", preset, presets.POINTS)
    config.batch_size, config.latent, config.n_critic = 8, 3, 2
    config.metrics = ("modes",)
    config.generator = {"network": "own_networks"}
    config.discriminator = {"network": "own_networks"}
    sgd = {"name": "sgd", "learning_rate": 0.1}
    return presets.players(config, sgd, sgd)
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A user's folder with networks and a config, in which the command is run."""
    (tmp_path / "own_networks.py").write_text(OWN)
    (tmp_path / "own.py").write_text(CONFIG)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(Path(report.__file__).parents[2]))
    return tmp_path


def check(*flags):
    command = [sys.executable, "-m", "experiments.check", "--config=own.py", *flags]
    return subprocess.run(command, capture_output=True, text=True)


def test_a_users_networks_keep_or_break_a_promise(here):
    column = check()
    lines = column.stdout.splitlines()
    assert column.returncode == 1 and lines[-1] == "1 broken", column.stderr
    (broken,) = [line for line in lines if line.startswith("FAILED")]
    assert "the discriminator logits [B]" in broken
    assert broken.endswith("d gives float32 [8, 1], not float32 [8]")
    good = check("--config.discriminator.column=False")
    assert good.returncode == 0 and "all kept" in good.stdout, good.stderr
    assert {line.split()[0] for line in good.stdout.splitlines()[:-1]} == {"ok"}
    assert not list(here.glob("runs*")), "nothing is written"


def test_errors_are_lines(here):
    raised = check("--config.discriminator.network=own_networks:Broken")
    assert raised.returncode == 1 and "Traceback" not in raised.stderr
    said = raised.stdout + raised.stderr
    assert "own_networks.py, line 24" in said, said
    unknown = check("--config.discriminator.network=own_networks.Brokn")
    assert unknown.returncode == 1
    assert unknown.stderr.startswith("error: ") and unknown.stderr.count("\n") == 1
    assert "own_networks has no 'Brokn'; did you mean 'Broken'?" in unknown.stderr
