"""A signal during an evaluation: prompt, with a checkpoint, and nothing is missing."""

import json
import os
import signal
import time

import pytest

from experiments.rundir.checkpoint import Checkpoints
from experiments.signals import Interrupted
from experiments.training import stage
from experiments.training.loop import train


def evaluations(workdir):
    found = map(json.loads, (workdir / "evaluations.jsonl").read_text().splitlines())
    return [(x["step"], x["results"]) for x in found]


def test_it_is_made_up_for_when_the_run_goes_on(tmp_path, tiny, monkeypatch):
    config = tiny("gan", "circle", steps=20, steps_per_call=5, evaluate_every=10)
    with config.unlocked():
        config.update(log_every=10, checkpoint_every=20, n_evaluate=100)
    train(config, tmp_path / "whole")
    whole = evaluations(tmp_path / "whole")
    assert [step for step, _ in whole] == [10, 20]

    make = stage.reports.make_evaluate

    def slow(*args, **options):
        def evaluate(state):
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(60)

        return evaluate

    monkeypatch.setattr(stage.reports, "make_evaluate", slow)
    began = time.monotonic()
    with pytest.raises(Interrupted) as caught:
        train(config, tmp_path / "w")
    assert caught.value.step == 10 and time.monotonic() - began < 50
    assert Checkpoints(tmp_path / "w", keep=None).steps() == [10]
    monkeypatch.setattr(stage.reports, "make_evaluate", make)
    train(config, tmp_path / "w")
    assert evaluations(tmp_path / "w") == whole
