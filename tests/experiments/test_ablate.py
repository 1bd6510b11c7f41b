"""Ablations from end to end: run, stopped, continued, and failing in part."""

import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from configs import gan, presets
from experiments import config as configs
from experiments.ablations import ablation, replicas
from experiments.ablations import config as ablations
from experiments.ablations import report as reports
from experiments.signals import Interrupted
from experiments.training.vmapped import VmappedRuns

ROOT = pathlib.Path(__file__).parent.parent.parent
CONFIG = """
from configs import gan, presets

def get_config(preset="ring8"):
    base = gan.get_config(preset)
    base.generator.widths = base.discriminator.widths = (8, 8)
    base.batch_size, base.steps_per_call, base.n_evaluate = 8, 2, 200
    arms = {
        "base": {},
        "slow": {"generator.optimizer.learning_rate": 1e-4},
        "hinge": {"loss": "hinge"},
    }
    return presets.ablation(base, arms, baseline="base", seeds=2, steps=20)
"""


def small(changes=None, **options):
    base = gan.get_config("ring8")
    base.generator.widths = base.discriminator.widths = (8, 8)
    base.batch_size, base.steps_per_call, base.n_evaluate = 8, 2, 200
    changes = {"slow": {"generator.optimizer.learning_rate": 1e-4}, **(changes or {})}
    options = {"baseline": "base", "seeds": 2, "steps": 20} | options
    return presets.ablation(base, {"base": {}} | changes, **options)


def run(config, workdir):
    return ablation.run(config, workdir, name="small", command="the command")


def arms(results):
    """The results without what depends on the clock."""
    return {
        name: {k: v for k, v in arm.items() if k not in ("seconds", "program")}
        for name, arm in results["arms"].items()
    }


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """(config, results, workdir) of an ablation that is only read."""
    config, workdir = small(), tmp_path_factory.mktemp("finished")
    return config, run(config, workdir), workdir


@pytest.mark.slow
def test_a_replica_is_what_the_run_command_makes(tmp_path, finished):
    """The same losses and scores, to the rounding of a few steps."""
    config, results, _ = finished
    own = configs.override(config.base, config.arms["slow"].to_dict())
    own.steps, own.seed, own.evaluate_every = 20, 1, 4
    own.sample_every = own.checkpoint_every = 20
    own.log_every, own.diagnose_every = 4, 0
    from experiments.training import loop

    loop.train(own, tmp_path / "run")
    lines = (tmp_path / "run" / "evaluations.jsonl").read_text().splitlines()
    found = [json.loads(line)["results"] for line in lines]
    curve = results["arms"]["slow"]["seeds"][1]["curve"]
    assert len(found) == len(curve) == 5
    for report, point in zip(found, curve, strict=True):
        for name, x in report.items():
            ours = point["values"][f"eval/{name}"]
            assert ours == pytest.approx(x["value"], rel=1e-3), name
    # Scores of so short a run hardly change; losses do.
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    logged = [x for x in map(json.loads, lines) if "d/loss" in x]
    assert [x["step"] for x in logged] == [4, 8, 12, 16, 20]
    for name in ("d/loss", "g/loss", "d/grad_norm"):
        theirs = np.array([x[name] for x in logged])
        mine, other_seed, other_arm = (
            np.array(
                [p["values"][name] for p in results["arms"][arm]["seeds"][i]["curve"]]
            )
            for arm, i in (("slow", 1), ("slow", 0), ("base", 1))
        )
        error = np.abs(mine - theirs).max()
        assert error < 1e-4 * np.abs(theirs).max(), name
        assert np.abs(other_seed - theirs).max() > 10 * error, name
        assert np.abs(other_arm - theirs).max() > 10 * error, name


@pytest.mark.slow
def test_what_is_there_is_not_run_again_and_what_is_new_is_added(tmp_path, monkeypatch):
    first = run(small(), tmp_path)
    began = []
    real = replicas.Replicas.run

    def noted(self, *args):
        began.append(self.program.names)
        return real(self, *args)

    monkeypatch.setattr(replicas.Replicas, "run", noted)
    again = run(small(), tmp_path)
    assert began == [] and arms(again) == arms(first)
    assert len(again["runs"]) == 2

    more = run(small({"ema": {"ema": 0.5}}, seeds=3), tmp_path)
    assert began == [[("base", 2), ("slow", 2), ("ema", 0), ("ema", 1), ("ema", 2)]]
    for name in ("base", "slow"):
        assert more["arms"][name]["seeds"][:2] == first["arms"][name]["seeds"]
        assert len(more["arms"][name]["seeds"]) == 3
    # An arm whose meaning has changed is run again, and fewer seeds are shown.
    del began[:]
    other = run(small({"ema": {"ema": 0.25}}, seeds=1), tmp_path)
    assert began == [[("ema", 0)]]
    assert [len(arm["seeds"]) for arm in other["arms"].values()] == [1, 1, 1]

    with pytest.raises(ValueError, match="another base:\n  batch_size: 8 -> 4"):
        config = small()
        config.base.batch_size = 4
        run(config, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("at", [6, 8])  # between two evaluations, and at one
def test_stopped_by_a_signal_and_continued(at, tmp_path, monkeypatch):
    config = small({"hinge": {"loss": "hinge"}})
    whole = run(config, tmp_path / "whole")
    calls = []
    real = VmappedRuns.call

    def call(self, state, start):
        calls.append(start)
        if len(calls) == 10 + at // 2:  # in the second program
            os.kill(os.getpid(), signal.SIGTERM)
        return real(self, state, start)

    monkeypatch.setattr(VmappedRuns, "call", call)
    with pytest.raises(Interrupted):
        run(config, tmp_path / "half")
    half = json.loads((tmp_path / "half" / "results.json").read_text())
    assert list(half["arms"]) == ["base", "slow"]
    (folder,) = [p for p in (tmp_path / "half" / "programs").iterdir() if p.is_dir()]
    assert [p.name for p in (folder / "checkpoints").iterdir()] == [f"{at}"]
    del calls[:]
    resumed = run(config, tmp_path / "half")
    assert calls == [*range(at, 20, 2)]
    assert arms(resumed) == arms(whole)
    tables = [(tmp_path / x / "results.csv").read_bytes() for x in ("whole", "half")]
    assert tables[0] == tables[1]


@pytest.mark.slow
def test_killed_half_way_by_the_command(tmp_path):
    """SIGKILL, as by a scheduler: the same table as without it."""
    (tmp_path / "small.py").write_text(CONFIG)

    def start(workdir):
        return subprocess.Popen(
            [sys.executable, "-m", "experiments.ablate"]
            + [f"--config={tmp_path / 'small.py'}", f"--workdir={tmp_path / workdir}"],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    process = start("killed")
    until = time.monotonic() + 300
    while not list((tmp_path / "killed").glob("programs/*.json")):
        assert process.poll() is None and time.monotonic() < until, (
            process.stderr.read()
        )
        time.sleep(0.05)
    process.kill()
    process.wait()
    for workdir in ("killed", "whole"):
        process = start(workdir)
        out, errors = process.communicate()
        assert process.returncode == 0, errors
        assert out.strip() == str(tmp_path / workdir / "report.html")
    tables = [(tmp_path / x / "results.csv").read_bytes() for x in ("killed", "whole")]
    assert tables[0] == tables[1] and len(tables[0].splitlines()) == 91
    killed, whole = (
        arms(json.loads((tmp_path / x / "results.json").read_text()))
        for x in ("killed", "whole")
    )
    assert killed == whole and list(killed) == ["base", "slow", "hinge"]


def test_from_end_to_end_with_arms_that_diverge_or_fail(tmp_path, monkeypatch):
    """They are recorded, the rest goes on, and what failed is run again."""
    config = small(
        {
            "wild": {"discriminator.optimizer.learning_rate": 1e30},
            "hinge": {"loss": "hinge"},
        }
    )
    real = VmappedRuns.init

    def init(self):
        if not self._replicas["values"]:  # that of hinge, which has seeds alone
            raise RuntimeError("out of memory\nand much more")
        return real(self)

    monkeypatch.setattr(VmappedRuns, "init", init)
    results = run(config, tmp_path)
    assert [x["status"] for x in results["arms"]["base"]["seeds"]] == ["finished"] * 2
    for seed in results["arms"]["wild"]["seeds"]:
        assert seed["status"] == "diverged" and seed["diverged_by_step"] <= 4
        assert seed["curve"] == [] and seed["samples"] is None
    for seed in results["arms"]["hinge"]["seeds"]:
        assert seed["status"] == "failed"
        assert seed["error"] == "RuntimeError: out of memory and much more"
    said = ablation.failures(results)
    assert re.match(
        "2 runs of hinge failed; run again.*: RuntimeError: out of memory", said
    )
    monkeypatch.undo()
    again = run(config, tmp_path)
    assert ablation.failures(again) is None
    assert arms(again)["base"] == arms(results)["base"]

    assert again == json.loads((tmp_path / "results.json").read_text())
    assert list(again["arms"]) == ["base", "slow", "wild", "hinge"]
    assert again["metrics"]["eval/modes/kl"] == "lower"
    base, slow, _, hinge = again["arms"].values()
    assert base["program"] == slow["program"] != hinge["program"]
    assert hinge["overrides"] == {"loss": "hinge"} and hinge["steps"] == 20
    for arm in (base, slow, hinge):
        assert [seed["seed"] for seed in arm["seeds"]] == [0, 1]
        for seed in arm["seeds"]:
            assert seed["status"] == "finished"
            assert [point["step"] for point in seed["curve"]] == [4, 8, 12, 16, 20]
            assert seed["curve"][-1]["images"] == 160
            values = seed["curve"][-1]["values"]
            assert {"eval/modes/kl", "d/loss", "g/loss"} < set(values)
            assert (tmp_path / seed["samples"]).read_bytes()[:4] == b"\x89PNG"
    for name in ("report.html", "report.md", "results.csv"):
        assert (tmp_path / name).stat().st_size
    assert not [p for p in (tmp_path / "programs").iterdir() if p.is_dir()]


def test_a_program_whose_replicas_have_all_diverged_ends_early(tmp_path, monkeypatch):
    calls = []
    real = VmappedRuns.call

    def call(self, state, start):
        calls.append(start)
        return real(self, state, start)

    monkeypatch.setattr(VmappedRuns, "call", call)
    config = small(steps=100)
    for player in (config.base.generator, config.base.discriminator):
        player.optimizer = {"name": "sgd", "learning_rate": 1e30}
    config.arms["slow"]["generator.optimizer.learning_rate"] = 1e29
    results = run(config, tmp_path)
    states = [x["status"] for arm in results["arms"].values() for x in arm["seeds"]]
    assert states == ["diverged"] * 4 and len(calls) == 10  # one evaluation's


def test_the_plan(tmp_path):
    text = ablation.plan(small({"hinge": {"loss": "hinge"}}), tmp_path / "none")
    lines = text.splitlines()
    assert lines[0] == "3 arms x 2 seeds, 0 done"
    assert lines[1] == "program 1: 4 runs of base, slow"
    assert "differ in generator.optimizer.learning_rate" in lines[2]
    assert "differ in the seed only" in lines[4] and "20 steps of" in lines[4]
    assert not (tmp_path / "none").exists()


@pytest.mark.slow
def test_images_are_evaluated_by_their_features(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("experiments.evaluation.extractors.CLASSIFIER_STEPS", 20)
    from configs import dcgan

    base = dcgan.get_config("digits")
    base.generator.widths, base.discriminator.convolutions = (
        (8, 8),
        ((8, 4, 2), (8, 4, 2)),
    )
    base.batch_size, base.steps_per_call, base.n_evaluate = 8, 2, 100
    base.metrics = ("fid", "classes")
    config = presets.ablation(
        base, {"base": {}}, baseline="base", seeds=2, steps=4, evaluations=2
    )
    results = run(config, tmp_path / "run")
    assert results["metrics"]["eval/fd_classifier"] == "lower"
    first, second = (
        seed["curve"][-1]["values"] for seed in results["arms"]["base"]["seeds"]
    )
    assert first["eval/fd_classifier"] != second["eval/fd_classifier"]
    assert np.isfinite(first["eval/fd_classifier"])
    assert results["protocol"]["scores"]["extractor"] == "classifier"
    assert results["protocol"]["base"]["n_evaluate"] == 100


@pytest.mark.parametrize(
    "flags, message",
    [
        (["--config.arm.base=1"], "'arm' is not one of"),
        (["--config.base.stepz=1"], "'stepz' is not one of.*did you mean 'steps'"),
        (["--config.baseline=bas"], "config.baseline: 'bas' is not one of"),
        (["--config.lanes=4"], "'lanes' is called 'replicas_per_program' now"),
        (["--arms=hing"], "--arms: 'hing' is not one of.*did you mean 'hinge'"),
    ],
)
def test_a_mistake_is_one_line(tmp_path, flags, message):
    (tmp_path / "small.py").write_text(CONFIG)
    result = subprocess.run(
        [sys.executable, "-m", "experiments.ablate"]
        + [f"--config={tmp_path / 'small.py'}", f"--workdir={tmp_path / 'w'}", *flags],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 1 and len(result.stderr.splitlines()) == 1
    assert re.search(message, result.stderr), result.stderr


def test_some_arms_and_always_the_baseline():
    config = small({"hinge": {"loss": "hinge"}, "ema": {"ema": 0.5}})
    ablations.choose(config, ["ema"])
    assert config.order == ("base", "ema")
    with pytest.raises(ValueError, match="--arms: 'emma' is not one of"):
        ablations.choose(config, ["emma"])


def test_results_of_an_older_version_are_never_replaced(tmp_path, finished):
    """Its digests are of configs with other keys, so no arm can be found again."""
    config, _, workdir = finished
    shutil.copytree(workdir, tmp_path, dirs_exist_ok=True)
    base = json.loads(configs.to_json(config.base))
    base["critic"] = base.pop("discriminator")
    results = json.loads((tmp_path / "results.json").read_text())
    results["protocol"]["base"] = base
    arm = results["arms"]["slow"]
    arm["overrides"] = {"critic.penalties": ["r1(weight=2.0)"]}
    (tmp_path / "results.json").write_text(json.dumps(results))
    for path in (tmp_path / "programs").glob("*.json"):
        part = json.loads(path.read_text())
        part["lanes"] = part.pop("replicas")
        for record in part["lanes"]:
            record["digest"] = "0123456789abcdef"
        path.write_text(json.dumps(part))
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    for work in (run, ablation.plan):
        with pytest.raises(ValueError, match="made by an older version; choose"):
            work(config, tmp_path)
    assert before == {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    # Its report can still be made.
    reports.write(tmp_path)
    text = (tmp_path / "report.md").read_text()
    assert "discriminator.penalties = " in text and "critic." not in text
