"""The command that asks a config for all promises."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from experiments import config as configs
from experiments.contracts import report

TESTS = Path(__file__).parents[1]
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


@pytest.mark.slow
def test_a_users_networks_keep_or_break_a_promise(here):
    column = check("--config.batch_size=7", "--config.metrics=()")
    lines = column.stdout.splitlines()
    assert column.returncode == 1 and lines[-1] == "1 broken", column.stderr
    (broken,) = [line for line in lines if line.startswith("FAILED")]
    assert "the discriminator logits [B]" in broken
    said = "d gives float32 [7, 1], not float32 [7] (own_networks.py, line 15)"
    assert broken.endswith(said)
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


@pytest.mark.slow
@pytest.mark.parametrize("system", ["cycle", "paired", "series"])
def test_systems_of_any_shape_are_asked(system, monkeypatch, capsys):
    """Without a latent, of two domains, with a score: nothing is FAILED for that."""
    monkeypatch.syspath_prepend(str(TESTS))
    config, _ = configs.load_file(str(TESTS / "systems" / f"{system}.py"))
    configs.check(config)
    assert report.write(config) == 0, capsys.readouterr().out
    out = capsys.readouterr().out
    assert "FAILED" not in out and out.endswith("all kept\n")


LOSSES = """
import jax.numpy as jnp
from gans.losses.adversarial import Adversarial
from gans.terms import Term

def made(discriminator):
    return lambda: Adversarial(discriminator, lambda fake, real=None, w=None: (-fake,))

good = made(lambda real, fake: ((1 - real) ** 2, fake))
scalar = made(lambda real, fake: (real.mean(), fake.mean()))
pairs = made(lambda real, fake: (real - fake[:, None],))
nan = made(
    lambda real, fake: (
        jnp.log(-1 - jnp.abs(real)), fake)
)
unfit = made(lambda real, fake: (real @ jnp.ones(7), fake))

def rows():
    return Term(name="rows", value=lambda context: context.on_real, weight=1.0)
"""
METRICS = """
from experiments.evaluation.result import Result

def several(gan, spec, source, *, setting, output="sample"):
    def evaluate(state):
        made = setting.collect(state, output)["point"]
        return {"several": Result(made.mean(axis=0))}
    return evaluate

def wrong(gan, spec, source, *, setting, output="sample"):
    return lambda state: state.nothing
"""
DATA = """
import numpy as np
from gans.data.source import InMemory

def squares(*, resolution, seed, **_):
    return InMemory("squares", {"point": np.zeros((9, 2), np.float32)[seed + 99]})
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "flag, said",
    [
        (
            "loss=own.scalar",
            r"shape of its logits, \[8\], got \[\] \(own.py, line 10\)",
        ),
        ("loss=own.pairs", r"shape of its logits, \[8\], got \[8, 8\] \(own.py, line"),
        (
            "loss=own.nan",
            r"d/loss is nan in step 0: config.loss='own.nan': .* in log \(own.py, line",
        ),
        ("loss=own.unfit", r"config.loss='own.unfit': TypeError: .*\(own.py, line 16"),
        (
            "discriminator.penalties=own.rows",
            r"term 'rows' is one number \[\], got \[8\] \(own.py, line 19\)",
        ),
        (
            "metrics=own_metrics.several",
            r"several: config.metrics\[0\]='own_metrics.several': a Result is one "
            r"number, got values of shape \[2\] \(own_metrics.py, line 7\)",
        ),
        (
            "metrics=own_metrics.wrong",
            r"wrong: .*AttributeError: .*nothing.* \(own_metrics.py, line 11\)",
        ),
        ("data=python:own_data:squares", r"config.data='own_data:squares': IndexError"),
    ],
)
def test_one_line_says_where_in_own_code(flag, said, tmp_path, monkeypatch):
    for name, text in (("", LOSSES), ("_metrics", METRICS), ("_data", DATA)):
        (tmp_path / f"own{name}.py").write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(Path(report.__file__).parents[2]))
    small = ["batch_size=8", "n_evaluate=20", "generator.widths=(8,)"]
    small += ["discriminator.widths=(8,)"]
    command = [sys.executable, "-m", "experiments.check", "--config=gan:ring8"]
    command += [f"--config.{x}" for x in [*small, flag]]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1 and "Traceback" not in done.stderr, done.stderr
    failed = [x for x in done.stdout.splitlines() if x.startswith("FAILED")]
    failed += [x for x in done.stderr.splitlines() if x.startswith("error: ")]
    assert len(failed) == 1 and re.search(said, failed[0]), (failed, done.stderr)
