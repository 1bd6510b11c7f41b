"""What the process of a trial checks before a sweep begins."""

import io

import jax
import numpy as np
import pytest

from experiments import config as configs
from experiments.sweeps import progress, training
from experiments.training import loop
from experiments.training.stage import Stages

VARIANT = """
from gans.stages import Stage
from gans.variants import gan

def stages(config, spec):
    return Stage(10, 4, spec), Stage(10, 4, spec)

def build(config, spec, stage=0):
    if stage == 1 and config["latent"] > 5:
        raise ValueError("the second stage takes 5 numbers at most")
    return gan.build(config, spec)
"""


def test_every_stage_of_every_corner_is_built(tmp_path, tiny, monkeypatch):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "growing.py").write_text(VARIANT)
    monkeypatch.syspath_prepend(tmp_path)
    config = tiny("gan", "circle", steps=20, steps_per_call=5, n_evaluate=100)
    config.variant = "mine.growing"
    text = configs.to_json(config)
    found = training._check([text, text])
    assert found == {"objective": "eval/modes/high_quality", "better": "higher"}
    config.latent = 6
    with pytest.raises(ValueError, match="second stage takes 5"):
        training._check([text, configs.to_json(config)])


def small(tiny, **changes):
    changes = {"steps": 20, "steps_per_call": 10, "n_evaluate": 100} | changes
    return configs.override(tiny("gan", "circle"), changes)


def pairs(tiny, key, low, high, **changes):
    both = (small(tiny, **changes | {key: x}) for x in (low, high))
    return {key: [[*map(configs.to_json, both)]]}


def test_a_key_without_effect_is_said(tiny):
    training._check_effects(pairs(tiny, "ema", 0.5, 0.9))
    training._check_effects(pairs(tiny, "batch_size", 4, 8))
    with pytest.raises(ValueError, match="--space: ema has no effect: .* replaces it"):
        training._check_effects(pairs(tiny, "ema", 0.5, 0.9, ema_half_life=10.0))
    with pytest.raises(ValueError, match="--space: ema_ramp has no effect"):
        training._check_effects(pairs(tiny, "ema_ramp", 0.1, 0.2))


RATE = "discriminator.optimizer.learning_rate"
PLACE = tuple(RATE.split("."))


def lowered(config, inputs):
    source = configs.load_data(config)
    stages = Stages(configs.resolve(config, source), source, inputs=inputs)
    programs = stages.get(0).programs
    stages.close()
    return programs.lower().as_text()


def test_configs_that_differ_in_floats_are_one_program(tiny):
    one, other = (small(tiny, **{RATE: rate}) for rate in (1e-3, 2e-3))
    assert lowered(one, [PLACE]) == lowered(other, [PLACE])
    assert lowered(one, []) != lowered(other, [])  # control
    # What has to be known, such as whether there is dropout, is a constant.
    dropout = ("discriminator", "dropout")
    assert lowered(one, [PLACE, dropout, ("n_critic",)]) == lowered(one, [PLACE])


def test_a_trial_is_what_a_plain_run_is(tiny, tmp_path):
    config, seen = small(tiny, **{RATE: 3e-3}), []
    plain = loop.train(config, tmp_path / "plain")
    trial = loop.train(config, tmp_path / "trial", inputs=[PLACE], on_call=seen.append)
    assert seen == [10, 20]
    for a, b in zip(*map(jax.tree.leaves, (plain.params, trial.params)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_progress_says_the_step_and_the_value_so_far():
    stream = io.StringIO()
    shown = progress.Progress(20, "fid", stream)
    shown.step(3, 100, 1000, 2)
    shown.step(3, 200, 1000, 2)  # less than 30 s later
    shown.step(3, 400, 1000, 2, value=12.34)
    shown.ended(3, "trial 3 finished")
    assert stream.getvalue().splitlines() == [
        "2 of 20 trials done; trial 3: step 100 of 1,000",
        "2 of 20 trials done; trial 3: step 400 of 1,000, fid 12.34",
        "trial 3 finished",
    ]
    stream = Terminal()
    shown = progress.Progress(20, "fid", stream)
    for step in (100, 200):
        shown.step(3, step, 1000, 2)
    shown.ended(3, "trial 3 finished")
    *lines, last = stream.getvalue().split("\r")
    assert "step 100 of 1,000" in lines[0] and "step 200 of 1,000" in lines[2]
    assert lines[1].strip() == lines[3].strip() == "" and last == "trial 3 finished\n"


def test_a_trial_whose_own_code_raises_says_where(tmp_path, tiny, monkeypatch, capfd):
    (tmp_path / "own_of_trial.py").write_text("def loss():\n    return [][1]\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    config = tiny("gan", "circle")
    config.loss = "own_of_trial.loss"

    class Line:
        def say(self, **message):
            self.message = message

    request = {"kind": "check", "configs": [configs.to_json(config)], "pairs": {}}
    assert training.work(request, line := Line()) == 0
    assert line.message == {
        "kind": "failed",
        "error": "config.loss='own_of_trial.loss': IndexError: list index out of range "
        "(own_of_trial.py, line 2)",
    }
    shown = capfd.readouterr().err
    assert "  own_of_trial.py, line 2, in loss\n    return [][1]\n" in shown
    assert "Traceback" not in shown
