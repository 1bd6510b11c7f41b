"""The command that evaluates."""

import importlib
import json
import subprocess
import sys

import pytest

from experiments.evaluation.runs import evaluate_run


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    from experiments.training.loop import train

    folder = tmp_path_factory.mktemp("run")
    config = importlib.import_module("configs.gan").get_config("ring8")
    for player in (config.generator, config.discriminator):
        player.widths = (8,)
    config.update({"batch_size": 4, "steps": 10, "steps_per_call": 10})
    config.update({"log_every": 10, "sample_every": 10, "checkpoint_every": 10})
    config.update({"evaluate_every": 0, "n_evaluate": 50})
    train(config, folder)
    return folder


def command(*flags):
    return subprocess.run(
        [sys.executable, "-m", "experiments.evaluate", *flags],
        capture_output=True,
        text=True,
    )


def test_the_command_prints_a_table_and_writes_json(run, tmp_path):
    out = tmp_path / "x.json"
    done = command(f"--workdir={run}", "--metrics=modes", "--n=60", f"--out={out}")
    assert done.returncode == 0, done.stderr
    (title, *rows) = done.stdout.splitlines()
    assert title.split() == ["samples"]
    assert [row.split()[0] for row in rows] == [
        "modes/modes",
        "modes/high_quality",
        "modes/kl",
    ]
    report = json.loads(out.read_text())
    assert report == evaluate_run(run, n=60, metrics=("modes",))


def test_other_data_than_the_run_was_trained_on(run):
    logged = (run / "metrics.jsonl").read_text()
    report = evaluate_run(run, n=60, metrics=("modes",), data="grid25")
    assert report["protocol"]["data"] == "grid25"
    assert report["results"] != evaluate_run(run, n=60, metrics=("modes",))["results"]
    added = (run / "metrics.jsonl").read_text()[len(logged) :]
    assert len(added.splitlines()) == 1  # of the second, the run's own data
    with pytest.raises(ValueError, match="grid26.* did you mean"):
        evaluate_run(run, metrics=("modes",), data="grid26")


def test_a_file_that_cannot_be_written_is_rejected_first(run):
    done = command(f"--workdir={run}", "--out=/no/folder/x.json")
    assert done.returncode == 1
    message = "error: --out=/no/folder/x.json: there is no folder /no/folder\n"
    assert done.stderr == message
