"""Ablations of a user's own code: after it has changed, and when it raises errors.

What trains is replaced; arms are resolved and traced as they are.
"""

import json
import re
import sys

import pytest

from configs import gan, presets
from experiments.ablations import ablation, kept
from experiments.ablations import report as reports

LOSSES = """
import jax.numpy as jnp
from gans.losses.adversarial import Adversarial

def squared(by=1.0):
    def generator(fake, real=None, weights=None):
        return (-fake,)
    return Adversarial(lambda real, fake: ((by - real) ** 2, fake), generator)

def other():
    return squared(2.0)

def unfit():
    def discriminator(real, fake):
        return real @ jnp.ones(7), fake
    return Adversarial(discriminator, squared().generator)

def unmade():
    return [][0]
"""
METRICS = """
from experiments.evaluation.result import Result

def one(gan, spec, source, *, setting, output="sample"):
    return lambda state: {"one": Result(1.0, "lower")}
"""


class Trained:
    """In place of `Replicas`."""

    trained = []

    def __init__(self, program, load, folder):
        self.program = program

    def run(self, progress, stopped, samples):
        self.trained.append([name for name, _ in self.program.names])
        steps = self.program.config.steps
        curve = [{"step": steps, "images": 1, "values": {"eval/one": 1.0}}]
        replicas = [
            {
                "arm": name,
                "seed": seed,
                "digest": self.program.arms[i].digest,
                "status": "finished",
                "curve": curve,
                "samples": None,
            }
            for (name, seed), (i, _) in zip(
                self.program.names, self.program.replicas, strict=True
            )
        ]
        progress.advance(steps * len(replicas))
        progress.evaluated(steps, steps)
        known = {"metrics": {"eval/one": "lower"}, "protocol": {}}
        return {"replicas": replicas, **known, "seconds": 1.0}

    def forget(self):
        pass


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """mine(file, code) writes a file of the user's, as another process would see it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.setattr(ablation, "Replicas", Trained)
    monkeypatch.setattr(ablation.report, "write", lambda workdir: None)
    monkeypatch.setattr(Trained, "trained", [])

    def write(file, code):
        (tmp_path / f"{file}.py").write_text(code)
        sys.modules.pop(file, None)

    write("own_losses", LOSSES)
    write("own_metrics", METRICS)
    yield write
    for name in ("own_losses", "own_metrics"):
        sys.modules.pop(name, None)


def config(changes=None, **options):
    base = gan.get_config("ring8")
    base.generator.widths = base.discriminator.widths = (8,)
    base.batch_size, base.steps_per_call, base.metrics = 8, 2, ("own_metrics.one",)
    changes = changes or {"hinge": {"loss": "hinge"}, "squared": loss("squared")}
    options = {"baseline": "base", "seeds": 2, "steps": 20} | options
    return presets.ablation(base, {"base": {}} | changes, **options)


def loss(name):
    return {"loss": f"own_losses.{name}"}


def run(*args, changed="refuse", **options):
    Trained.trained.clear()
    results = ablation.run(config(*args, **options), PATH, name="own", changed=changed)
    return results, Trained.trained


PATH = ablation.Path("w")
CHANGED = LOSSES.replace("(by - real) ** 2", "(by - real) ** 4")


def test_results_of_code_that_has_changed_are_refused(mine, capsys):
    _, trained = run()
    assert [set(names) for names in trained] == [{"base"}, {"hinge"}, {"squared"}]
    assert run()[1] == []
    mine("own_losses", CHANGED)
    said = r"w holds results of other code \(arm squared: own_losses has changed\)"
    with pytest.raises(ValueError, match=f"{said}: --changed=rerun .*--changed=keep"):
        run()
    with pytest.raises(ValueError, match=said):
        ablation.plan(config(), PATH)
    capsys.readouterr()
    results, trained = run(changed="rerun")
    assert trained == [["squared"] * 2], "the others stand"
    assert "arm squared is trained again: own_losses has changed" in (
        capsys.readouterr().err
    )
    assert "code" not in results["arms"]["squared"]["seeds"][0]
    assert run()[1] == [], "the new results are found beside the former ones"


def test_they_can_be_kept(mine):
    run()
    mine("own_losses", CHANGED)
    assert run(changed="keep")[1] == []
    assert run()[1] == [], "once is enough"


def test_code_that_computes_the_same_is_the_same(mine):
    run()
    mine("own_losses", "# more\n" + LOSSES + "\n\ndef added():\n    return 1\n")
    both = {"hinge": {"loss": "hinge"}, "squared": loss("squared")}
    _, trained = run(both | {"other": loss("other")})
    assert trained == [["other"] * 2], (
        "a loss was added to the file, an arm to the rest"
    )
    mine("own_losses", LOSSES.replace("by - real", "by - 2 * real"))
    with pytest.raises(ValueError, match="arm squared: .*; arm other: own_losses has"):
        run(both | {"other": loss("other")})


def test_what_measures_is_no_part_of_what_is_traced(mine):
    run()
    mine("own_metrics", METRICS.replace("1.0", "2.0"))
    with pytest.raises(ValueError, match="arm base: own_metrics has changed"):
        run()


def test_results_of_an_older_version_stand(mine):
    run()
    for path in PATH.glob("programs/*.json"):
        part = json.loads(path.read_text())
        for record in part["replicas"]:
            del record["code"], record["computes"]
        path.write_text(json.dumps(part))
    mine("own_losses", CHANGED)
    assert run()[1] == []


def test_another_budget_is_refused(mine):
    run()
    before = (PATH / "results.json").read_bytes()
    for options, said in [
        ({"steps": 40}, "steps of base: 20 -> 40; steps of hinge: 20 -> 40"),
        ({"evaluations": 2}, "evaluations: 5 -> 2"),
        ({"steps": 0, "images": 800}, "steps of base: 20 -> 100"),
    ]:
        with pytest.raises(ValueError, match=f"another budget .*{said}.*--workdir"):
            run(**options)
    assert (PATH / "results.json").read_bytes() == before
    run({"hinge": {"loss": "hinge"}, "squared": {**loss("squared"), "steps": 10}})
    assert kept.CHANGED == ("refuse", "rerun", "keep")


@pytest.mark.parametrize(
    "name, said",
    [
        ("unfit", "TypeError: dot_general requires .* (own_losses.py, line 15)"),
        ("unmade", "IndexError: list index out of range (own_losses.py, line 19)"),
    ],
)
def test_an_arm_whose_code_raises_is_failed_and_the_others_are_run(
    mine, name, said, capsys
):
    arms = {"bad": loss(name), "hinge": {"loss": "hinge"}}
    results, trained = run(arms)
    assert [set(names) for names in trained] == [{"base"}, {"hinge"}]
    said = re.escape(f"config.loss='own_losses.{name}': {said}").replace(r"\.\*", ".*")
    for seed in results["arms"]["bad"]["seeds"]:
        assert seed["status"] == "failed" and re.fullmatch(said, seed["error"])
    error = capsys.readouterr().err
    assert re.search(f"^arm bad failed: {said}$", error, re.M), error
    assert "  own_losses.py, line 1" in error and "Traceback" not in error
    assert "program 2 of 2, hinge: step 20 of 20 evaluated" in error
    assert re.match("2 runs of bad failed; .*config.loss", ablation.failures(results))
    fixed = LOSSES.replace("real @ jnp.ones(7)", "real * 7").replace(
        "[][0]", "squared(3.0)"
    )
    mine("own_losses", fixed)
    results, trained = run(arms)
    assert trained == [["bad"] * 2] and ablation.failures(results) is None


def test_an_option_of_a_term_is_an_arm(mine):
    arms = {
        f"w{w}": {"discriminator.penalties[0].weight": float(w)} for w in (1, 10, 100)
    }
    made = config(arms)
    made.base.discriminator.penalties = ("r1(weight=0.1)",)
    results = ablation.run(made, PATH, name="own")
    (together,) = Trained.trained
    assert set(together) == {"base", "w1", "w10", "w100"}, "floats share a program"
    assert results["arms"]["w10"]["overrides"] == {
        "discriminator.penalties[0].weight": 10.0
    }


def test_a_baseline_that_is_broken_leaves_a_report_of_the_others(mine, monkeypatch):
    made = config({"hinge": {"loss": "hinge"}, "plain": {"loss": "minimax"}})
    made.base.loss = "own_losses.unmade"
    results = ablation.run(made, PATH, name="own")
    assert [set(names) for names in Trained.trained] == [{"hinge"}, {"plain"}]
    assert ablation.failures(results).startswith("2 runs of base failed")
    folder = PATH.absolute()
    monkeypatch.undo()
    reports.write(folder)
    text = (folder / "report.md").read_text()
    assert "base: failed with seed 0, 1: config.loss='own" in text.replace("\\", "")


def test_data_of_ones_own_that_cannot_be_loaded(mine, capsys):
    mine("own_data", "def points(**options):\n    return 1 / 0\n")
    broken = {"other": {"data": "python:own_data:points"}}
    results, trained = run(broken)
    assert [set(names) for names in trained] == [{"base"}]
    (first, _) = results["arms"]["other"]["seeds"]
    assert first["error"] == (
        "config.data='own_data:points': ZeroDivisionError: division by zero "
        "(own_data.py, line 2)"
    )
