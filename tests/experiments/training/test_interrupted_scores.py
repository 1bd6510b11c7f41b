"""An end during an evaluation: its step is on disk, and nothing is missing later."""

import json
import os
import signal
import time

import pytest

from experiments import config as configs
from experiments.rundir.checkpoint import Checkpoints
from experiments.signals import Interrupted
from experiments.training import milestones, stage
from experiments.training.loop import train

pytestmark = pytest.mark.usefixtures("compiled_once")


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


class Killed(BaseException):
    """Stands for kill -9: nothing in the run handles it."""


@pytest.fixture
def config(tiny):
    options = {"log_every": 10, "sample_every": 40, "n_evaluate": 100}
    options |= {"checkpoint_every": 40, "diagnose_every": 0, "keep_checkpoints": 9}
    return tiny(
        "gan", "circle", steps=40, steps_per_call=5, evaluate_every=10, **options
    )


def lines(workdir):
    found = map(json.loads, (workdir / "metrics.jsonl").read_text().splitlines())
    clock = ("steps_per_s", "images_per_s", "seconds")
    return [{k: v for k, v in x.items() if k not in clock} for x in found]


def best(workdir):
    return json.loads((workdir / "run.json").read_text())["best"]


def counted(monkeypatch, seen, kill_at=None):
    """Has `seen` get the steps that are scored; one of them is never completed."""
    make = stage.reports.make_evaluate

    def counting(*args, **options):
        evaluate = make(*args, **options)

        def one(state):
            seen.append(int(state.step))
            if kill_at == int(state.step):
                raise Killed
            return evaluate(state)

        return one

    monkeypatch.setattr(stage.reports, "make_evaluate", counting)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Workdir by config: a run that nothing ends, made once."""
    made = {}

    def run(config):
        key = configs.to_json(config)
        if key not in made:
            made[key] = tmp_path_factory.mktemp("whole")
            train(config, made[key])
        return made[key]

    return run


# At the first and the last evaluation, too.
@pytest.mark.parametrize(
    "at", [20, *(pytest.param(at, marks=pytest.mark.slow) for at in (10, 40))]
)
def test_a_kill_while_it_scores_costs_no_step(tmp_path, config, whole, monkeypatch, at):
    reference = whole(config)
    with monkeypatch.context() as patch, pytest.raises(Killed):
        counted(patch, [], kill_at=at)
        train(config, tmp_path)
    assert Checkpoints(tmp_path, keep=None).latest() == at
    seen = []
    counted(monkeypatch, seen)
    train(config, tmp_path)
    assert seen == [*range(at, 41, 10)]
    assert evaluations(tmp_path) == evaluations(reference)
    assert lines(tmp_path) == lines(reference) and best(tmp_path) == best(reference)


@pytest.mark.parametrize("at", [20, pytest.param(40, marks=pytest.mark.slow)])
def test_scores_that_were_half_written_are_written_once(
    tmp_path, config, whole, monkeypatch, at
):
    """metrics.jsonl has them, evaluations.jsonl and run.json have not."""
    reference, write = whole(config), milestones.reports.write

    def killed(workdir, step, report):
        if step == at:
            raise Killed
        write(workdir, step, report)

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(milestones.reports, "write", killed)
        train(config, tmp_path)
    assert sum(x["step"] == at for x in lines(tmp_path)) == 2
    train(config, tmp_path)
    assert lines(tmp_path) == lines(reference)
    assert evaluations(tmp_path) == evaluations(reference)


def test_what_was_scored_is_not_scored_again_when_the_run_goes_on(
    tmp_path, config, whole, monkeypatch
):
    reference, seen = whole(config), []

    def on_call(step):
        if step == 25:  # the newest checkpoint is of step 20, and its scores are known
            raise Killed

    with pytest.raises(Killed):
        train(config, tmp_path, on_call=on_call)
    found = best(tmp_path)
    counted(monkeypatch, seen)
    train(config, tmp_path)
    assert seen == [30, 40] and found["step"] <= 20
    assert lines(tmp_path) == lines(reference) and best(tmp_path) == best(reference)
    # A run that is trained longer does not score its former end again, either.
    config.steps = 60
    train(config, tmp_path)
    assert seen == [30, 40, 50, 60]


def test_a_checkpoint_before_the_last_one_scored_is_scored_again(
    tmp_path, config, whole, monkeypatch
):
    """The newest one is damaged: its scores go, and come again."""
    reference, seen = whole(config), []
    with monkeypatch.context() as patch, pytest.raises(Killed):
        counted(patch, [], kill_at=30)
        train(config, tmp_path)
    for step in (20, 30):
        (tmp_path / "checkpoints" / str(step) / "manifest.ocdbt").write_bytes(b"x")
    counted(monkeypatch, seen)
    train(config, tmp_path)
    assert seen == [10, 20, 30, 40] and lines(tmp_path) == lines(reference)
    assert evaluations(tmp_path) == evaluations(reference)


def test_a_signal_before_scores_is_not_kept_waiting_by_them(
    tmp_path, config, whole, monkeypatch
):
    reference, seen, save = whole(config), [], milestones.Milestones.save

    def signalled(self, stage, state, step, **options):
        save(self, stage, state, step, **options)
        if step == 20:
            os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patch, pytest.raises(Interrupted):
        counted(patch, seen)
        patch.setattr(milestones.Milestones, "save", signalled)
        train(config, tmp_path)
    assert seen == [10] and Checkpoints(tmp_path, keep=None).latest() == 20
    train(config, tmp_path)
    assert lines(tmp_path) == lines(reference)
    assert evaluations(tmp_path) == evaluations(reference)


def test_without_metrics_evaluations_make_no_checkpoints(tmp_path, config):
    config.metrics = ()
    train(config, tmp_path)
    assert Checkpoints(tmp_path, keep=None).steps() == [40]
