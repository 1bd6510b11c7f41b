"""How many examples a run has seen, whatever its batches were in between."""

import json

import pytest

from experiments.rundir.checkpoint import Checkpoints
from experiments.rundir.log import examples_until
from experiments.training.loop import train

pytestmark = pytest.mark.usefixtures("compiled_once")


@pytest.mark.parametrize("older", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_after_a_resume_with_another_batch(tmp_path, tiny, monkeypatch, older):
    options = {"steps_per_call": 5, "log_every": 10, "checkpoint_every": 10}
    options |= {"metrics": (), "sample_every": 1000}

    def run(steps, batch_size):
        config = tiny("gan", "circle", steps=steps, batch_size=batch_size, **options)
        train(config, tmp_path, allow_config_change=True)
        return json.loads((tmp_path / "run.json").read_text())["examples"]

    if older:  # its checkpoints do not say it; the log does
        restore = Checkpoints.restore

        def without(self, template):
            found = restore(self, template)
            if found:
                found[1].pop("examples")
            return found

        monkeypatch.setattr(Checkpoints, "restore", without)
    assert run(20, 4) == 80
    assert run(40, 8) == 80 + 20 * 8
    assert run(50, 2) == 80 + 20 * 8 + 10 * 2


def test_from_a_log(tmp_path):
    path = tmp_path / "metrics.jsonl"
    assert examples_until(path, 10) is None
    lines = [
        {"step": 10, "d/loss": 1.0},  # the first has no speed: it was compiling
        {"step": 20, "steps_per_s": 3.0, "images_per_s": 12.0},
        {"step": 20, "eval/fid": 3.0},
        {"step": 30, "steps_per_s": 0.3, "images_per_s": 0.3 * 7},
        {"step": 10, "eval/fid": 3.0},
        {"step": 40, "steps_per_s": 1.0, "images_per_s": 1.0},
    ]
    path.write_text("".join(json.dumps(x) + "\n" for x in lines) + '{"step": 50, "st')
    assert examples_until(path, 30) == 20 * 4 + 10 * 7
    assert examples_until(path, 35) == 20 * 4 + 15 * 7
    assert examples_until(path, 9) is None
