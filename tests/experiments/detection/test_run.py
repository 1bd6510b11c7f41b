import csv
import types

import pytest
from ml_collections import ConfigDict

from experiments.detection import networks, prepared
from experiments.detection.run import detect_run
from experiments.rundir import restore
from gans.data.sets.series import demo


def saved(path, n=200, channels=1, start=1577836800):
    signal, _ = demo()
    head = ["timestamp", *(f"v{i}" for i in range(channels))]
    rows = [
        [start + 3600 * i, *[float(x[0])] * channels]
        for i, x in enumerate(signal.values[:n])
    ]
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows([head, *rows])
    return str(path)


def test_a_run_detects_its_own_signal_and_others(series_run, tmp_path):
    _, true = demo()
    text = "".join(f"{a},{b}\n" for a, b in true)
    (tmp_path / "true.csv").write_text("start,end\n" + text)
    out = tmp_path / "x.html"
    said = detect_run(series_run, str(out), true=str(tmp_path / "true.csv"))
    assert said[0].startswith("demo: ") and "F1" in said[0]
    assert "<svg" in out.read_text()
    said = detect_run(series_run, path=saved(tmp_path / "part.csv"))
    assert said[0].startswith("part: ") and len(said) == 2


def test_others_have_the_scale_of_the_training(series_run, tmp_path):
    config = restore.config_of(series_run)
    (own,) = prepared.of_run(config)
    (part,) = prepared.of_run(config, saved(tmp_path / "part.csv"))
    assert (part.low, part.high) == (own.low, own.high)
    assert own.scaled.max() == 1 and part.scaled.max() < 0.9  # without the spike


def test_signals_that_do_not_fit_are_refused(series_run, tmp_path):
    with pytest.raises(ValueError, match="two has 2 channels, .* trained on 1"):
        detect_run(series_run, path=saved(tmp_path / "two.csv", channels=2))
    with pytest.raises(ValueError, match="few has 9 values, fewer than window=16"):
        detect_run(series_run, path=saved(tmp_path / "few.csv", n=9))
    with pytest.raises(FileNotFoundError, match="none.csv: no such file"):
        detect_run(series_run, path=str(tmp_path / "none.csv"))


def test_runs_that_do_not_fit_are_refused():
    other = ConfigDict({"data": "python:a:b"})
    with pytest.raises(ValueError, match="python:a:b, which are no signals; wanted"):
        prepared.of_run(other)
    images = types.SimpleNamespace(outputs={"sample": None})
    with pytest.raises(ValueError, match="gan has no output reconstruct and no score"):
        networks.check(images, "gan")
