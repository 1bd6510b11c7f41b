"""Signals, closed terminals and broken pipes, as real processes meet them."""

import contextlib
import os
import pty
import select
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from experiments.rundir.checkpoint import Checkpoints

ROOT = Path(__file__).parents[2]
SMALL = [
    "--config=configs/gan.py:circle",
    "--config.generator.widths=(8, 8)",
    "--config.discriminator.widths=(8, 8)",
    "--config.batch_size=4",
    "--config.latent=5",
    "--config.metrics=()",
    "--config.steps_per_call=1",
    "--config.log_every=20",
    "--config.sample_every=100000",
    "--config.checkpoint_every=100",
]
LARGE = ["--config=configs/wgan_gp.py:digits", "--config.metrics=()"]


def command(*flags, name="run"):
    return [sys.executable, "-m", f"experiments.{name}", *flags]


def start(*flags, name="run", **options):
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(
        command(*flags, name=name), cwd=ROOT, **{**pipes, **options}
    )


def steps(workdir):
    return Checkpoints(workdir, keep=None).steps()


def until(true, process=None, seconds=120):
    end = time.monotonic() + seconds
    while not true():
        assert process is None or process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_while_it_compiles_a_signal_ends_it_promptly(tmp_path, number):
    workdir = tmp_path / "w"
    environ = os.environ | {"JAX_COMPILATION_CACHE_DIR": str(tmp_path / "cache")}
    process = start(*LARGE, f"--workdir={workdir}", env=environ)
    until((workdir / "config.json").exists, process)
    time.sleep(1)
    process.send_signal(number)
    began = time.monotonic()
    _, said = process.communicate()
    assert time.monotonic() - began < 8, said
    assert process.returncode == 128 + number
    name = "interrupted" if number == signal.SIGINT else number.name
    last = [*command(), *LARGE, f"--workdir={workdir}"][1:]
    assert said.endswith(f"{name}. To continue:\npython {shlex.join(last)}\n")
    assert "Traceback" not in said


@pytest.mark.slow
def test_an_ablation_that_compiles_ends_promptly(tmp_path):
    flags = ["--config=configs/ablations/loss_zoo.py:digits", f"--workdir={tmp_path}/w"]
    environ = os.environ | {"JAX_COMPILATION_CACHE_DIR": str(tmp_path / "cache")}
    process = start(*flags, name="ablate", env=environ)
    until((tmp_path / "w/.jax-gans").exists, process)
    time.sleep(8)
    process.send_signal(signal.SIGINT)
    began = time.monotonic()
    _, said = process.communicate()
    assert time.monotonic() - began < 8, said
    assert process.returncode == 130
    assert "interrupted. To continue:\npython -m experiments.ablate" in said


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_signals_in_pairs_do_not_lose_the_checkpoint(tmp_path, number):
    """`timeout` and a closed terminal send two; the second must not kill the first."""
    workdir = tmp_path / "w"
    flags = [*SMALL, "--config.steps=1000000", f"--workdir={workdir}"]
    process = start(*flags)
    until(lambda: steps(workdir), process)
    for _ in range(3):
        process.send_signal(number)
        time.sleep(0.01)
    _, said = process.communicate()
    assert process.returncode == 128 + number, said
    assert f"{number.name} after step {max(steps(workdir))}. To continue:" in said


@pytest.mark.slow
def test_a_hang_up_that_is_ignored_stays_so(tmp_path):
    workdir = tmp_path / "w"
    process = start(
        *SMALL,
        "--config.steps=2000",
        f"--workdir={workdir}",
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN),
    )
    until(lambda: steps(workdir), process)
    process.send_signal(signal.SIGHUP)
    _, said = process.communicate()
    assert process.returncode == 0 and max(steps(workdir)) == 2000, said


@pytest.mark.slow
@pytest.mark.parametrize("streams", ["both", "stderr", "none"])
def test_a_run_outlasts_its_streams(tmp_path, streams):
    """`2>&1 | head -1`, `2> >(head -1)`, and `>&- 2>&-`."""
    workdir = tmp_path / "w"
    flags = [*SMALL, "--config.steps=2000", f"--workdir={workdir}"]
    if streams == "none":
        process = start(
            *flags,
            stdout=None,
            stderr=None,
            preexec_fn=lambda: (os.close(1), os.close(2)),
        )
    else:
        options = {"stderr": subprocess.STDOUT} if streams == "both" else {}
        process = start(*flags, **options)
        pipe = process.stdout if streams == "both" else process.stderr
        pipe.readline()
        pipe.close()
    assert process.wait() == 0
    assert max(steps(workdir)) == 2000
    assert (workdir / "report.html").exists()


@pytest.mark.slow
def test_a_terminal_that_is_closed(tmp_path):
    """The run writes its checkpoint, or goes on to the end."""
    workdir = tmp_path / "w"
    flags = [*SMALL, "--config.steps=1000000", f"--workdir={workdir}"]
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(ROOT)
        os.execv(sys.executable, command(*flags))
    shown = b""
    while not steps(workdir):
        if select.select([terminal], [], [], 0.1)[0]:
            shown += os.read(terminal, 4096)
    before = max(steps(workdir))
    os.close(terminal)
    status = os.waitpid(pid, 0)[1]
    assert os.waitstatus_to_exitcode(status) == 128 + signal.SIGHUP, shown
    assert max(steps(workdir)) >= before
    with contextlib.suppress(FileNotFoundError):
        assert '"stopped after step' in (workdir / "run.json").read_text()
