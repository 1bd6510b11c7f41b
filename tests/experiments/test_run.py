"""The command, as a user meets it: in processes of its own, that are killed."""

import functools
import json
import random
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import pytest

from experiments import config as configs
from experiments.rundir.checkpoint import Checkpoints
from gans import core

ROOT = Path(__file__).parents[2]
SMALL = [
    "--config=configs/gan.py:circle",
    "--config.generator.widths=(8, 8)",
    "--config.discriminator.widths=(8, 8)",
    "--config.batch_size=4",
    "--config.latent=5",
    "--config.n_critic=2",
    "--config.metrics=()",
    "--config.keep_checkpoints=2",
]


def start(*flags, **options):
    command = [sys.executable, "-m", "experiments.run", *flags]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, cwd=ROOT, **pipes, **options)


def run(*flags, **options):
    """Returns (exit code, what was said on stderr)."""
    process = start(*flags, **options)
    _, said = process.communicate()
    return process.returncode, said


def steps(workdir):
    return Checkpoints(workdir, keep=None).steps()


def arrays(workdir):
    """The bytes of each array of the newest checkpoint."""
    config = configs.from_json((workdir / "config.json").read_text())
    init = functools.partial(core.init, configs.build(config))
    template = jax.eval_shape(init, jax.random.key(0))
    state, _ = Checkpoints(workdir, keep=None).restore(template)
    return [x.tobytes() for x in jax.tree.leaves(state)]


def pictures(workdir):
    return {p.name: p.read_bytes() for p in workdir.glob("samples/step_*.png")}


def lines(workdir):
    return [json.loads(x) for x in (workdir / "metrics.jsonl").read_text().splitlines()]


def run_json(workdir):
    return json.loads((workdir / "run.json").read_text())


@pytest.mark.parametrize(
    "flags, said",
    [
        (["--config=configs/wgan_pg.py"], "did you mean 'configs/wgan_gp.py'?"),
        (["--config=wgan_pg"], "did you mean 'wgan_gp'?"),
        (["--config=configs/gan.py:circel"], "did you mean 'circle'?"),
        ([SMALL[0], "--config.stepz=3"], "did you mean 'steps'?"),
        ([SMALL[0], "--config.steps=many"], "--config.steps=many"),
        ([SMALL[0], "--config.variant=gam"], "did you mean 'gan'?"),
        ([SMALL[0], "--config.log_every=250"], "config.steps_per_call=100"),
        ([SMALL[0], "--init-from=nowhere:best"], "--init-from=nowhere:best: "),
        ([SMALL[0], "--wordir=x"], "did you mean --workdir?"),
        ([], "--config=NAME[:PRESET], see --list"),
    ],
)
def test_a_mistake_is_one_line_with_the_nearest_name(tmp_path, flags, said):
    code, error = run(*flags, *([f"--workdir={tmp_path / 'new'}"] if flags else []))
    assert code == 1
    assert error.startswith("error: ") and error.count("\n") == 1 and said in error
    assert not (tmp_path / "new").exists()


def stop(process, number, workdir, after):
    """Sends a signal at a random moment after the first checkpoint past `after`."""
    while max(steps(workdir), default=0) <= after:
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.005)
    time.sleep(random.uniform(0, 0.3))
    process.send_signal(number)
    _, said = process.communicate()
    return process.returncode, said


@pytest.mark.slow
@pytest.mark.parametrize("per_call", [1, 10])
def test_stopped_at_any_moment_it_ends_as_if_it_had_not_been(tmp_path, per_call):
    flags = [
        *SMALL,
        f"--config.steps_per_call={per_call}",
        f"--config.steps={1200 * per_call}",
        *(f"--config.{x}_every={100 * per_call}" for x in ("log", "checkpoint")),
        f"--config.sample_every={600 * per_call}",
        f"--config.evaluate_every={50 * per_call}",  # so that some are cut short
        "--config.metrics=modes",
        "--config.n_evaluate=500",
    ]
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    code, said = run(*flags, f"--workdir={whole}")
    assert code == 0, said

    flags.append(f"--workdir={stopped}")
    assert stop(start(*flags), signal.SIGKILL, stopped, 0)[0] == -signal.SIGKILL
    reached = max(steps(stopped))
    if per_call > 1:
        code, said = stop(start(*flags), signal.SIGTERM, stopped, reached)
        assert code == 128 + signal.SIGTERM
        assert f"continuing after step {reached}" in said
        reached = max(steps(stopped))
        assert f"SIGTERM after step {reached}. To continue:\n" in said
        command = shlex.split(said.splitlines()[-1])
        assert command == ["python", "-m", "experiments.run", *flags]
    code, said = run(*flags)
    assert code == 0 and f"continuing after step {reached}" in said

    assert arrays(stopped) == arrays(whole)
    assert pictures(stopped) == pictures(whole) and len(pictures(whole)) == 3
    logged = [[line["step"] for line in lines(w)] for w in (stopped, whole)]
    assert logged[0] == logged[1]
    scores = [
        [x for x in lines(w) if "eval/modes/sectors" in x] for w in (stopped, whole)
    ]
    assert scores[0] == scores[1] and len(scores[0]) == 24
    one, other = (run_json(w) for w in (stopped, whole))
    assert one["best"] == other["best"] and one["status"] == "finished"


DISK = [
    *SMALL,
    "--config.steps_per_call=10",
    "--config.steps=300",
    "--config.log_every=20",
    "--config.sample_every=300",
    "--config.checkpoint_every=20",
    "--config.keep_checkpoints=100",
]


def test_a_full_disk(tmp_path):
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(tmp_path)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a small file system can only be mounted by root")
    try:
        workdir = tmp_path / "run"
        code, said = run(*DISK, f"--workdir={workdir}")
        assert code == 1 and "Traceback" not in said
        error, kept = said.splitlines()[-1], steps(workdir)
        assert error.startswith(f"error: {workdir}") and str(kept) in error
        assert "No space left on device" in error
        assert kept and arrays(workdir)  # which are verified when they are restored
        assert [line["step"] for line in lines(workdir)][: len(kept)] == kept
        larger = ["mount", "-o", "remount,size=64m", str(tmp_path)]
        subprocess.run(larger, check=True)
        code, said = run(*DISK, f"--workdir={workdir}")
        assert code == 0, said
        found = [line["step"] for line in lines(workdir)]
        assert found == [*range(20, 301, 20)]
        assert not [*workdir.rglob("*tmp*")]
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)
