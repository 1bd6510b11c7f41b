"""Signals, closed terminals and broken pipes, as real processes meet them."""

import contextlib
import importlib.util
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
    usual = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(
        command(*flags, name=name), **(usual | {"cwd": ROOT} | options)
    )


def steps(workdir):
    return Checkpoints(workdir, keep=None).steps()


def until(true, process=None, seconds=120):
    end = time.monotonic() + seconds
    while not true():
        assert process is None or process.poll() is None, process.communicate(
            timeout=300
        )
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
    _, said = process.communicate(timeout=300)
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
    environ.pop("XLA_FLAGS", None)  # as users compile, for longer than it sleeps
    process = start(*flags, name="ablate", env=environ)
    until((tmp_path / "w/.jax-gans").exists, process)
    time.sleep(8)
    process.send_signal(signal.SIGINT)
    began = time.monotonic()
    _, said = process.communicate(timeout=300)
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
    _, said = process.communicate(timeout=300)
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
    _, said = process.communicate(timeout=300)
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
    shown, end = b"", time.monotonic() + 120
    while not steps(workdir):
        assert time.monotonic() < end, shown
        if select.select([terminal], [], [], 0.1)[0]:
            shown += os.read(terminal, 4096)
    before = max(steps(workdir))
    os.close(terminal)
    status = os.waitpid(pid, 0)[1]
    assert os.waitstatus_to_exitcode(status) == 128 + signal.SIGHUP, shown
    assert max(steps(workdir)) >= before
    with contextlib.suppress(FileNotFoundError):
        assert '"stopped after step' in (workdir / "run.json").read_text()


@pytest.mark.slow
def test_the_same_command_twice(tmp_path):
    """The second ends in a line, the first goes on; a killed one leaves no lock."""
    workdir = tmp_path / "w"
    flags = [*SMALL, "--config.steps=1000000", f"--workdir={workdir}"]
    first = start(*flags)
    try:
        until(lambda: steps(workdir), first)
        second = start(*flags)
        _, said = second.communicate()
        assert second.returncode == 1 and said.count("\n") == 1
        assert f"is in use by a run, process {first.pid} on " in said
        reached = max(steps(workdir))
        until(lambda: max(steps(workdir)) > reached, first)
    finally:
        first.kill()
        first.communicate()
    reached = max(steps(workdir))
    third = start(*flags)
    until(lambda: max(steps(workdir)) > reached, third)
    third.send_signal(signal.SIGTERM)
    _, said = third.communicate()
    assert third.returncode == 143 and f"continuing after step {reached}" in said


ODD = ["a?b%20:c#d {x} [1]\\e", os.fsdecode(b"lat\xff\xe4"), "a\nb"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ODD)
def test_workdirs_of_odd_names(tmp_path, name):
    """Everything works there, and lands there: runs, readers and sweeps."""
    small = [*SMALL, "--config.checkpoint_every=10", "--config.n_evaluate=100"]
    small[small.index("--config.metrics=()")] = "--config.metrics=modes"
    where = f"--workdir={tmp_path / name}"

    def works(command, *flags, where=where):
        process = start(*flags, where, name=command, errors="surrogateescape")
        out, said = process.communicate(timeout=300)
        assert process.returncode == 0, said
        return out, said

    works("run", *small, "--config.steps=10")
    longer = [*small, "--config.steps=20", "--allow-config-change"]
    assert "continuing after step 10" in works("run", *longer)[1]
    drawn = works("sample")[0]
    assert drawn.rstrip("\n") == f"{tmp_path / name}/samples/drawn_00000020.png"
    works("evaluate")
    assert works("report")[0] == f"{tmp_path / name}/report.html\n"
    if importlib.util.find_spec("optuna"):
        space = "--space=generator.optimizer.learning_rate=log(1e-4, 1e-3)"
        flags = [*small, "--config.steps=10", "--trials=1", space]
        works("sweep", *flags, where=f"{where}-sweep")
        assert (tmp_path / f"{name}-sweep" / "sweep.db").exists()
    assert {*os.listdir(tmp_path)} <= {name, f"{name}-sweep"}


# A score that takes a minute, of which Python sees nothing, as while XLA compiles.
SLOW = """
import hashlib, pathlib
from experiments.evaluation.result import Result

def slow(gan, spec, source, *, setting, output="sample"):
    def evaluate(state):
        pathlib.Path("scoring").touch()
        hashlib.pbkdf2_hmac("sha256", b"", b"", 100_000_000)
        return {"slow": Result(1.0, "lower")}
    return evaluate
"""


@pytest.fixture
def scoring(tmp_path):
    """scoring(*flags, name=) -> a process that scores, sent a Ctrl-C: what it said."""
    (tmp_path / "own_score.py").write_text(SLOW)
    environ = os.environ | {"PYTHONPATH": str(ROOT)}

    def start_and_stop(*flags, name):
        process = start(*flags, name=name, cwd=tmp_path, env=environ)
        until((tmp_path / "scoring").exists, process)
        (tmp_path / "scoring").unlink()
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=300)
        assert time.monotonic() - began < 8, said
        assert process.returncode == 130 and "Traceback" not in said, said
        assert "interrupted. To continue:\npython -m experiments." in said
        return said

    return start_and_stop


@pytest.mark.slow
def test_a_run_that_scores_its_last_step_ends_promptly_and_says_so(tmp_path, scoring):
    small = [x for x in SMALL if "--config=" not in x and "metrics" not in x]
    flags = ["--config=gan:circle", *small, "--config.steps=20", "--workdir=w"]
    flags += ["--config.metrics=own_score.slow"]
    for _ in range(2):
        scoring(*flags, name="run")
        assert (
            '"status": "stopped after step 20"' in (tmp_path / "w/run.json").read_text()
        )
    assert steps(tmp_path / "w") == [20]


@pytest.mark.slow
def test_an_ablation_that_scores_ends_promptly_and_goes_on_from_there(
    tmp_path, scoring
):
    (tmp_path / "own.py").write_text(
        "from configs import gan, presets\n\n"
        "def get_config(preset='ring8'):\n"
        "    base = gan.get_config(preset)\n"
        "    base.generator.widths = base.discriminator.widths = (8,)\n"
        "    base.batch_size, base.steps_per_call = 8, 2\n"
        "    base.metrics = ('own_score.slow',)\n"
        "    return presets.ablation(base, {'base': {}}, baseline='base', seeds=1,\n"
        "                            steps=20, evaluations=2)\n"
    )
    flags = ["--config=own.py", "--workdir=w"]
    for _ in range(2):
        said = scoring(*flags, name="ablate")
        assert "program 1 of 1, base: 1 run of 20 steps; compiling" in said
        (folder,) = (p for p in (tmp_path / "w/programs").iterdir() if p.is_dir())
        assert steps(folder) == [10], "the state to score again is on disk"
