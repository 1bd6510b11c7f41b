"""run.json: the user's own code, and how a run ends before its time."""

import pytest

from experiments.rundir import manifest
from experiments.signals import Stopped
from experiments.training.record import Record

CONFIG = {"loss": "own_loss.f", "variant": "gan"}


@pytest.fixture
def own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    file = tmp_path / "own_loss.py"
    file.write_text("def f():\n    return 1\n")
    return file


def begun(folder, config, step):
    record = Record(folder, "", None)
    lines = record.continuing(config, step)
    record.write()
    return lines, manifest.read(folder)


def test_code_that_has_changed_is_said_once_and_kept(own, tmp_path):
    lines, kept = begun(tmp_path, CONFIG, None)
    assert lines == [] and list(kept["code"]) == ["own_loss"]
    assert begun(tmp_path, CONFIG, 4)[0] == ["continuing after step 4"]
    own.write_text("def f():\n    return 2\n")
    lines, kept = begun(tmp_path, CONFIG, 8)
    assert lines[1:] == [
        "own_loss has changed since: from here on, the steps are of the new code"
    ]
    lines, kept = begun(tmp_path, CONFIG, 12)
    assert lines == ["continuing after step 12"]
    assert kept["code_changes"] == [{"after_step": 8, "modules": ["own_loss"]}]


def test_runs_of_our_code_alone_have_no_such_entries(own, tmp_path):
    _, kept = begun(tmp_path, {"loss": "hinge"}, 4)
    assert "code" not in kept and "code_changes" not in kept


@pytest.mark.parametrize(
    "error, step, status",
    [
        (Stopped(2), 20, "stopped after step 20"),
        (Stopped(15), None, "stopped before a checkpoint"),
        (TypeError("two\nlines"), 20, "stopped: TypeError: two lines"),
    ],
)
def test_what_ends_a_run_is_its_status(tmp_path, error, step, status):
    record = Record(tmp_path, "", None)
    with pytest.raises(type(error)), record.ending(lambda: step):
        record.write()
        assert manifest.read(tmp_path)["status"] == "running"
        raise error
    assert manifest.read(tmp_path)["status"] == status


def test_a_status_that_says_more_stays(tmp_path):
    record = Record(tmp_path, "", None)
    with pytest.raises(ValueError), record.ending(lambda: 3):
        record.write(status="stopped: loss is nan")
        raise ValueError
    assert manifest.read(tmp_path)["status"] == "stopped: loss is nan"
