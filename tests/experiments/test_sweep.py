"""Searches of a cheap function, in processes that are killed; and of a real GAN."""

import contextlib
import csv
import functools
import json
import os
import shlex
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import jax
import numpy as np
import pytest

from configs import gan
from experiments import config as configs
from experiments.rundir.checkpoint import Checkpoints
from experiments.rundir.lock import Lock
from experiments.signals import Interrupted
from experiments.sweeps import figures, report
from experiments.sweeps import space as spaces
from experiments.training.loop import train
from gans import core

pytest.importorskip("optuna", reason="optuna is not installed (extra sweep)")
from experiments.sweeps import search, sweep  # noqa: E402

ROOT = Path(__file__).parents[2]
SPACE = "discriminator.optimizer.learning_rate=log(1e-5, 1e-2); n_critic=int(1, 3)"
# In place of training: x = 1e4 learning_rate + 1000 / step, lower is better. It leaves
# its step in a file and goes on from there, as from a checkpoint.
TOY = """
import json, os, pathlib, signal, sys, time

def say(**message):
    print(json.dumps(message), flush=True)

better, mode, *when = sys.argv[1:]
request = json.loads(sys.stdin.readline())
if request["kind"] == "check":
    say(kind="checked", objective="eval/x", better=better)
    sys.exit()
config, number = json.loads(request["config"]), request["number"]
folder = pathlib.Path(request["folder"])
folder.mkdir(parents=True, exist_ok=True)
reached = folder / "step.txt"
start = int(reached.read_text()) if reached.exists() else 0
with open(folder / "starts.txt", "a") as file:
    print(start, file=file)
values = {"eval/x": 1e4 * config["discriminator"]["optimizer"]["learning_rate"]}
every, steps = config["evaluate_every"], config["steps"]
for step in range(start + every, steps + 1, every):
    known = values | {"eval/x": values["eval/x"] + 1000 / step}
    if mode == "flat" and when == [str(number)]:
        known = {"eval/x": 5.7}
    say(kind="value", step=step, values=known, last=step == steps)
    if when == [str(number), str(step)] and not (folder / "once").exists():
        (folder / "once").touch()
        if mode == "kill-sweep":
            os.kill(os.getppid(), signal.SIGKILL)
        if mode == "stop-sweep":
            os.kill(os.getppid(), signal.SIGTERM)
        if mode == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if mode == "fail":
            say(kind="failed", error="not finite")
            sys.exit()
    answer = sys.stdin.readline()
    if not answer or json.loads(answer):
        sys.exit(1)
    reached.write_text(str(step))
    if mode == "meet" and step == every:
        (folder.parent / f"here_{number}").touch()
        other = folder.parent / f"here_{number ^ 1}"
        ends = time.monotonic() + 60
        while not other.exists() and time.monotonic() < ends:
            time.sleep(0.01)
        if not other.exists():
            say(kind="failed", error="alone")
            sys.exit()
if mode == "always" or (mode == "nan" and [str(number)] == when):
    known = {"eval/x": float("nan")}
known |= {"eval/step": step}
run = {"seconds": 1.0, "hardware": "none", "versions": {}}
say(kind="finished", step=step, values=known, run=run)
"""


@pytest.fixture
def toy(request, tmp_path, monkeypatch):
    """toy(folder, **options) -> what sweep.run returns of the cheap function.

    `mode` is what the cheap function does beside that. With this seed the first two
    trials finish, and the next three are pruned.
    """
    file = tmp_path / "toy.py"
    file.write_text(TOY)
    monkeypatch.setattr(search, "STARTUP", 2)
    if "report" not in request.function.__name__:  # what takes seconds
        monkeypatch.setattr(search.Search, "_importances", lambda self: None)
        monkeypatch.setattr(figures, "draw", lambda path, _: Path(path).touch())

    def run(folder, *, space=SPACE, mode="-", better="lower", changes=None, **options):
        process = [sys.executable, str(file), better, *mode.split()]
        options = {"n_trials": 5, "seed": 1, "process": process} | options
        config = gan.get_config()
        config.steps = config.sample_every = config.log_every = 1000
        config.evaluate_every = 200
        config.update(changes or {})
        return sweep.run(config, spaces.parse(space), tmp_path / folder, **options)

    return run


def table(folder):
    """The lines of sweep.csv, without how long each took."""
    with open(folder / "sweep.csv") as file:
        rows = list(csv.DictReader(file))
    return [{k: v for k, v in row.items() if k != "seconds"} for row in rows]


def statuses(results):
    return [trial["status"] for trial in results["trials"]]


def test_a_wrong_value_is_called_wrong_not_another_sweep(toy, tmp_path):
    toy("x", n_trials=1)
    with pytest.raises(
        ValueError, match=r"holds another sweep:\n  loss: .*wasserstein"
    ):
        toy("x", n_trials=1, changes={"loss": "wasserstein"})
    file = tmp_path / "refusing.py"
    said = "config of gan: loss: 'hing' is not one of hinge"
    file.write_text(
        f'import json; print(json.dumps({{"kind": "failed", "error": "{said}"}}))'
    )
    process = [sys.executable, str(file)]
    with pytest.raises(ValueError, match=f"^{said}$"):
        toy("x", n_trials=1, changes={"loss": "hing"}, process=process)


# --- what is searched -----------------------------------------------------------------


@pytest.mark.parametrize(
    "better, wanted",
    [
        # By rates of 0.84, 8.41, 7.65, 47.12 and 5.09e-4: all but the last of the
        # higher ones are above the median of those before.
        ("lower", ["finished"] * 2 + ["pruned"] * 3),
        ("higher", ["finished"] * 4 + ["pruned"]),
    ],
)
def test_trials_that_the_median_beats_are_pruned(tmp_path, toy, better, wanted):
    results = toy("pruning", better=better)
    assert statuses(results) == wanted
    sign = 1 if better == "lower" else -1
    finished = []
    for trial in results["trials"]:
        steps, values = np.array(trial["curve"]).T
        is_pruned = trial["status"] == "pruned"
        # The rule by hand: once 2 have finished, from step 300 on, best so far against
        # the median of the finished ones at that step.
        for i, step in enumerate(steps if is_pruned else steps[:-1]):
            others = [sign * dict(t["curve"])[step] for t in finished]
            best = (sign * values[: i + 1]).min()
            worse = best > np.median(others) if others else False
            pruned = len(finished) >= 2 and step >= 300 and worse
            assert pruned == (is_pruned and i == len(steps) - 1)
        if is_pruned:
            reached = tmp_path / "pruning" / "trials" / f"{trial['number']:04d}"
            # It was not trained beyond the step that it was pruned at.
            assert int((reached / "step.txt").read_text()) == steps[-1] - 200
        else:
            finished.append(trial)


def test_nothing_is_pruned_if_it_should_not_or_has_come_to_its_end(toy):
    results = toy("whole", n_trials=4, prune=False)
    assert statuses(results) == ["finished"] * 4
    # The others' median falls to 5.875 at step 800, and to 5.625 at the last.
    results = toy("flat", n_trials=3, mode="flat 2")
    assert statuses(results) == ["finished"] * 3
    finals = [trial["final"] for trial in results["trials"]]
    assert finals[2] == 5.7 > np.median(finals[:2]) == pytest.approx(5.626, abs=1e-3)


def test_the_better_end_is_that_of_the_metric(toy):
    for better, best in (("lower", min), ("higher", max)):
        results = toy(better, better=better, prune=False, n_trials=3)
        rates = [
            x["params"]["discriminator.optimizer.learning_rate"]
            for x in results["trials"]
        ]
        finals = [trial["final"] for trial in results["trials"]]
        assert finals == pytest.approx([1e4 * rate + 1 for rate in rates])
        first = report.ranked(results)[0]
        assert first["final"] == best(finals)
        # 1000 / step falls, from 5 at the first evaluation to 1.
        step, more = {"lower": (1000, 0), "higher": (200, 4)}[better]
        assert first["best"]["step"] == step
        assert first["best"]["value"] == pytest.approx(best(finals) + more)


def test_every_trial_draws_its_own_values(tmp_path, toy):  # which writes toy.py
    """Evenly, although each has a sampler of its own; and by --seed."""
    from scipy import stats

    config = gan.get_config()
    config.evaluate_every = 2000
    space = spaces.parse("ema=uniform(0, 1)")

    def draw(seed, n=40):
        known = {"sampler": "random", "seed": seed, "prune": False}
        folder = tmp_path / str(seed)
        process = [sys.executable, str(tmp_path / "toy.py"), "lower", "-"]
        search.create(folder, config, space, protocol=known, process=process)
        made = search.Search(
            folder, config, space, n_trials=n, protocol=known, head={"train": []}
        )
        requests = [made.next() for _ in range(n)]
        return [json.loads(request["config"])["ema"] for request in requests]

    drawn, other = draw(0), draw(1, n=2)
    assert len({*drawn, *other}) == 42
    assert stats.kstest(drawn, "uniform").pvalue > 0.01
    pairs = np.corrcoef(drawn[:-1], drawn[1:])[0, 1]
    assert abs(pairs) < 3 / np.sqrt(39)  # three standard errors of no correlation


def test_workers_are_processes_at_the_same_time(tmp_path, toy):
    """Each trial waits for its neighbour, so that one at a time would fail; and values
    that are drawn at random are those of one worker."""
    options = {"n_trials": 4, "sampler": "random", "prune": False}
    results = toy("two", mode="meet", n_workers=2, **options)
    assert statuses(results) == ["finished"] * 4
    toy("one", **options)
    assert table(tmp_path / "two") == table(tmp_path / "one")


# --- what goes wrong ------------------------------------------------------------------


@pytest.fixture
def whole(toy, tmp_path):
    """The table of a sweep that nobody disturbs."""
    toy("whole", n_trials=4)
    return table(tmp_path / "whole")


def drive(tmp_path, folder, mode):
    """The sweep in a process of its own, which the cheap function can kill."""
    process = [sys.executable, str(tmp_path / "toy.py"), "lower", *mode.split()]
    code = f"""
from pathlib import Path
from configs import gan
from experiments.sweeps import search, space, sweep

search.STARTUP = 2
config = gan.get_config()
config.steps = config.sample_every = config.log_every = 1000
config.evaluate_every = 200
ranges = space.parse({SPACE!r})
folder = Path({str(tmp_path / folder)!r})
sweep.run(config, ranges, folder, n_trials=4, seed=1, process={process!r})
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("number, step", [(0, 200), (1, 1000), (2, 400)])
def test_killed_at_any_moment_the_sweep_ends_as_if_it_had_not_been(
    tmp_path, toy, whole, number, step
):
    code, _ = drive(tmp_path, "killed", f"kill-sweep {number} {step}")
    assert code == -signal.SIGKILL
    toy("killed", n_trials=4)
    assert table(tmp_path / "killed") == whole
    trial = tmp_path / "killed" / "trials" / f"{number:04d}"
    assert (trial / "starts.txt").read_text().split() == ["0", str(step - 200)]
    assert len([*(tmp_path / "killed" / "trials").iterdir()]) == 4
    # And the trials differ from each other.
    assert len({row["discriminator.optimizer.learning_rate"] for row in whole}) == 4


def test_a_signal_leaves_trials_to_continue(tmp_path, toy, whole):
    code, said = drive(tmp_path, "stopped", "stop-sweep 1 400")
    assert code == 1 and "Interrupted: SIGTERM" in said
    results = json.loads((tmp_path / "stopped" / "sweep.json").read_text())
    assert statuses(results) == ["finished", "not finished"]
    assert (
        "1 finished, 1 not finished; 3 of 4"
        in (tmp_path / "stopped/report.md").read_text()
    )
    toy("stopped", n_trials=4)
    assert table(tmp_path / "stopped") == whole


def test_more_trials_continue_where_it_ended(tmp_path, toy, whole, capfd):
    toy("more", n_trials=2)
    assert table(tmp_path / "more") == whole[:2]
    toy("more", n_trials=4)
    assert table(tmp_path / "more") == whole
    capfd.readouterr()
    toy("more", n_trials=4)
    assert "trial" not in capfd.readouterr().err  # nothing was left to do


@pytest.mark.parametrize(
    "mode, said",
    [
        ("kill 1 400", "killed by SIGKILL"),
        ("fail 1 400", "not finite"),
        ("nan 1", "eval/x is not finite"),
    ],
)
def test_a_trial_that_dies_has_failed_and_the_sweep_goes_on(tmp_path, toy, mode, said):
    results = toy("dies", mode=mode, n_trials=3, prune=False)
    assert statuses(results) == ["finished", "failed", "finished", "finished"]
    assert results["trials"][1]["error"] == said
    assert f"- trial 1: {said}" in (tmp_path / "dies" / "report.md").read_text()


def test_a_sweep_whose_trials_all_fail_ends(tmp_path, toy):
    with pytest.raises(ValueError, match="3 trials have failed, the last with: eval/x"):
        toy("fails", mode="always", n_trials=3)
    assert "No trial has finished" in (tmp_path / "fails" / "report.html").read_text()


def test_another_sweep_in_the_same_folder_is_rejected(tmp_path, toy):
    toy("same", n_trials=1)
    before = (tmp_path / "same" / "sweep.json").read_bytes()
    for options, said in (
        ({"changes": {"batch_size": 8}}, "batch_size: 256 -> 8"),
        ({"changes": {"n_evaluate": 8}}, "n_evaluate: 10000 -> 8"),
        (
            {"space": "n_critic=int(1, 3)"},
            "space.discriminator.optimizer.learning_rate: log(1e-05, 0.01) -> (absent)",
        ),
        ({"space": SPACE.replace("3", "4")}, "space.n_critic: int(1, 3) -> int(1, 4)"),
        ({"sampler": "random"}, "sampler: tpe -> random"),
        ({"seed": 7}, "seed: 1 -> 7"),
        ({"prune": False}, "prune: True -> False"),
    ):
        with pytest.raises(ValueError) as caught:
            toy("same", n_trials=2, **options)
        assert caught.value.args[0].splitlines()[1:-1] == [f"  {said}"]
    assert (tmp_path / "same" / "sweep.json").read_bytes() == before


def age(path):
    """Gives a study the keys and the config of an older version, in place."""
    with contextlib.closing(sqlite3.connect(path)) as base, base:
        old = "replace({0}, 'discriminator', 'critic')"
        for table, column in (
            ("trial_params", "param_name"),
            ("study_user_attributes", "value_json"),
        ):
            base.execute(f"UPDATE {table} SET {column} = {old.format(column)}")
        (count,) = base.execute(
            "SELECT count(*) FROM trial_params WHERE param_name LIKE 'critic.%'"
        ).fetchone()
    return count


def test_a_sweep_of_an_older_version_goes_on(tmp_path, toy, whole):
    toy("old", n_trials=3)
    path = tmp_path / "old" / "sweep.db"
    assert age(path) == 3
    before = path.read_bytes()
    with pytest.raises(ValueError, match=r"^[^\n]*\n  batch_size: 256 -> 8\n[^\n]*$"):
        toy("old", changes={"batch_size": 8})
    assert path.read_bytes() == before
    results = toy("old")
    # The sampler has seen the trials before: the later ones are those of a whole sweep.
    assert table(tmp_path / "old")[:4] == whole
    keys = {key for trial in results["trials"] for key in trial["params"]}
    assert keys == set(spaces.parse(SPACE))


def test_what_does_not_matter_may_change_but_two_at_once_may_not(tmp_path, toy):
    toy("same", n_trials=1)
    toy("same", n_trials=2, changes={"checkpoint_every": 100})
    with Lock(tmp_path / "same", "sweep"):
        with pytest.raises(ValueError, match="same is in use by a sweep, process"):
            toy("same", n_trials=3)
    assert len(table(tmp_path / "same")) == 2


# --- the report -----------------------------------------------------------------------


def test_the_report_says_what_was_found(tmp_path, toy):
    results = toy(
        "report",
        n_trials=8,
        prune=False,
        mode="fail 1 400",
        name="gan",
        preset="circle",
        command="python -m experiments.sweep --space=...",
        train=["--config=configs/gan.py:circle", "--config.n_critic=2"],
    )
    folder = tmp_path / "report"
    best = min(
        (t for t in results["trials"] if t["status"] == "finished"),
        key=lambda trial: trial["final"],
    )
    rate = best["params"]["discriminator.optimizer.learning_rate"]
    n_critic = best["params"]["n_critic"]
    again = (
        "python -m experiments.run --config=configs/gan.py:circle "
        + f"--config.n_critic={n_critic} " * (n_critic != 2)
        + f"--config.discriminator.optimizer.learning_rate={rate}"
    )
    said = (folder / "report.md").read_text()
    (line,) = (x for x in said.splitlines() if x.startswith("python -m"))
    flags = shlex.split(line)
    # What the space sets takes the place of what the command line said.
    assert [x for x in flags if "n_critic" in x] == [f"--config.n_critic={n_critic}"]
    assert {*shlex.split(again)} <= {*flags}
    rows = [x for x in said.splitlines() if x.startswith("| ") and x[2].isdigit()]
    finals = [float(row.split("|")[2]) for row in rows]
    assert finals == sorted(finals) and int(rows[0].split("|")[1]) == best["number"]
    assert "the lowest x after 1,000 steps" in said
    assert "trial 1: not finite" in said and "1 failed" in said
    page = (folder / "report.html").read_text()
    assert page.count("<tr><td") == len(results["trials"]) == len(table(folder))
    assert "http" not in page.replace("http-equiv", "")  # nothing beside itself
    shares = results["importances"]
    assert shares["discriminator.optimizer.learning_rate"] > 0.6 > shares["n_critic"]
    assert sum(shares.values()) == pytest.approx(1)
    written = ("report.html", "report.md", "sweep.csv", "sweep.png")
    before = {name: (folder / name).read_bytes() for name in written}
    report.write(folder)
    assert before == {name: (folder / name).read_bytes() for name in written}


def test_trials_of_code_that_has_changed_are_not_mixed(tmp_path, toy, monkeypatch):
    own = tmp_path / "own_of_sweep.py"
    own.write_text("def one():\n    return 1\n\ndef other():\n    return 2\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    space = f"{SPACE}; loss=choice('own_of_sweep.one', 'own_of_sweep.other')"
    sweep_of = functools.partial(toy, "w", space=space)
    sweep_of(n_trials=1)
    sweep_of(n_trials=2)
    own.write_text("def one():\n    return 3\n\ndef other():\n    return 2\n")
    said = (
        "w holds trials of other code: own_of_sweep has changed since; --changed=keep"
    )
    with pytest.raises(ValueError, match=said):
        sweep_of(n_trials=3)
    assert len(sweep_of(n_trials=3, keep_changed=True)["trials"]) == 3
    assert len(sweep_of(n_trials=4)["trials"]) == 4, "once is enough"


# --- the command, and real training ---------------------------------------------------

SMALL = [
    "--config=configs/gan.py:ring8",
    "--config.generator.widths=(8, 8)",
    "--config.discriminator.widths=(8, 8)",
    "--config.batch_size=4",
    "--config.latent=5",
    "--config.n_evaluate=100",
    "--config.steps_per_call=10",
    *(f"--config.{x}_every=200" for x in ("log", "checkpoint")),
]


def start(*flags):
    command = [sys.executable, "-m", "experiments.sweep", *flags]
    return subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize(
    "flags, said",
    [
        ([SMALL[0]], "--space is missing"),
        ([*SMALL, "--space=n_critik=int(1, 2)"], "did you mean 'n_critic'?"),
        ([*SMALL, "--space=latent=int(1, 2)"], "--config.latent has no effect, as"),
        ([*SMALL, "--space=seed=int(1, 2)"], "seed cannot be searched"),
        ([*SMALL, "--space=loss.smooth_rael=uniform(0, 1)"], "'smooth_rael'"),
        (
            [*SMALL, "--space=ema=log(0.9, 1)", "--config.metrics=()"],
            "metrics is empty",
        ),
    ],
)
def test_a_mistake_is_one_line_before_anything_is_run(tmp_path, flags, said):
    process = start(*flags, f"--workdir={tmp_path / 'new'}")
    lines = process.communicate()[1].splitlines()
    lines = [x for x in lines if not x.startswith("config.evaluate_every=")]
    assert process.returncode == 1
    assert len(lines) == 1 and lines[0].startswith("error: ") and said in lines[0]
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("missing, extra", [("optuna", "sweep"), ("ray", "ray")])
def test_what_is_not_installed_is_said_with_its_extra(tmp_path, missing, extra):
    flags = [*SMALL, "--space=ema=log(0.9, 1)", f"--workdir={tmp_path / 'new'}"]
    line = ["sweep", *flags, "--engine=ray"]
    code = (
        f"import runpy, sys; sys.argv = {line}; sys.modules[{missing!r}] = None; "
        "runpy.run_module('experiments.sweep', run_name='__main__')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True
    )
    wanted = f"error: {missing} is not installed: pip install -e '.[{extra}]'\n"
    assert (done.returncode, done.stderr) == (1, wanted)
    assert not (tmp_path / "new").exists()


def arrays(workdir):
    """The bytes of each array of the newest checkpoint."""
    config = configs.from_json((workdir / "config.json").read_text())
    init = functools.partial(core.init, configs.build(config))
    template = jax.eval_shape(init, jax.random.key(0))
    state, _ = Checkpoints(workdir, keep=None).restore(template)
    return [x.tobytes() for x in jax.tree.leaves(state)]


@pytest.mark.slow
def test_a_real_sweep_stopped_by_a_signal_goes_on_to_the_same_models(tmp_path):
    workdir = tmp_path / "sweep"
    flags = [
        *SMALL,
        "--config.steps=2000",
        "--space=discriminator.optimizer.learning_rate=log(1e-4, 1e-2); "
        "loss.smooth_real=uniform(0, 0.3)",
        f"--workdir={workdir}",
        "--trials=1",
    ]
    process, trial = start(*flags), workdir / "trials" / "0000"
    while not [*trial.glob("checkpoints/*/checksums.json")]:
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    said = process.communicate()[1]
    assert process.returncode == 128 + signal.SIGTERM, said
    command = shlex.split(said.splitlines()[-1])
    assert command == ["python", "-m", "experiments.sweep", *flags]
    process = start(*flags)
    said = process.communicate()[1]
    assert process.returncode == 0, said
    assert "continuing after step" in (trial / "log.txt").read_text()
    (found,) = json.loads((workdir / "sweep.json").read_text())["trials"]
    assert [step for step, _ in found["curve"]] == [400, 800, 1200, 1600, 2000]

    config = configs.from_json((trial / "config.json").read_text())
    assert config.loss.name == "non_saturating" and 0 < config.loss.smooth_real < 1
    seen = {}
    train(config, tmp_path / "alone", on_evaluation=seen.__setitem__)
    assert arrays(trial) == arrays(tmp_path / "alone")
    values = {step: values["eval/modes/modes"] for step, values in seen.items()}
    assert values == dict(found["curve"])
    assert seen[2000] == found["values"]


def test_what_is_raised_at_an_evaluation_ends_the_run(tmp_path, tiny):
    """The checkpoint of that step is there; it is evaluated again."""
    config = tiny("gan", "ring8", steps=40, steps_per_call=10, n_evaluate=100)
    config.log_every = config.sample_every = config.checkpoint_every = 10
    config.evaluate_every = 20
    seen = []

    def on_evaluation(step, values):
        seen.append(step)
        assert "eval/modes/high_quality" in values
        if seen == [20]:
            raise KeyError(step)

    with pytest.raises(KeyError):
        train(config, tmp_path, on_evaluation=on_evaluation)
    assert Checkpoints(tmp_path, keep=None).steps() == [10, 20]
    train(config, tmp_path, on_evaluation=on_evaluation)
    assert seen == [20, 20, 40]


# --- on a cluster ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def cluster():
    """A Ray of two CPUs on this machine."""
    ray = pytest.importorskip("ray", reason="ray is not installed (extra ray)")
    before = {n: signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)}
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield ray
    ray.shutdown()
    assert not ray.is_initialized()
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.slow
def test_ray_finds_what_processes_here_find(tmp_path, toy, cluster):
    options = {"mode": "fail 1 400", "n_trials": 3}
    toy("here", **options)
    results = toy("cluster", engine="ray", **options)
    assert statuses(results) == ["finished", "failed", "finished", "pruned"]
    assert table(tmp_path / "cluster") == table(tmp_path / "here")
    assert cluster.is_initialized()  # it is not the sweep's to shut down


@pytest.mark.slow
def test_ray_stops_at_a_signal(tmp_path, toy, cluster):
    """And what is left goes on here."""
    reached = tmp_path / "stopped" / "trials" / "0000" / "step.txt"

    def send():
        while not reached.exists():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=send, daemon=True).start()
    with pytest.raises(Interrupted):
        toy("stopped", engine="ray", n_trials=2, mode="meet")
    toy("stopped", n_trials=2)
    toy("whole", n_trials=2)
    assert table(tmp_path / "stopped") == table(tmp_path / "whole")
    starts = (reached.parent / "starts.txt").read_text().split()
    assert len(starts) == 2 and starts[1] != "0"
