import csv
import dataclasses
import json

import pytest

from experiments.detection import documents, results
from experiments.detection.detection import Rules, detect, merge


@pytest.fixture
def found(spiked):
    signal, *windows = spiked
    detection = detect(signal, merge(*windows))
    return [dataclasses.replace(detection, found=[(290, 310, 1.5)])]


def truth(found):
    t = found[0].signal.times
    return {"spiked": [(int(t[300]), int(t[305])), (int(t[50]), int(t[60]))]}


def test_lines_have_scores_and_their_protocol(found):
    plain = results.lines(found, {}, Rules())
    assert plain[0] == "spiked: 1 anomaly" and not any("F1" in x for x in plain)
    said = results.lines(found, truth(found), Rules())
    assert said[0].endswith(
        "F1 0.667, precision 1.000, recall 0.500 (tp 1, fp 0, fn 1)"
    )
    assert said[-1].startswith("protocol: overlap") and "error dtw" in said[-2]


def test_csv_has_seconds_and_dates(found, tmp_path):
    path = tmp_path / "x.csv"
    documents.write(str(path), found, {}, Rules())
    (row,) = csv.DictReader(path.read_text().splitlines())
    ((start, end, _),) = found[0].intervals
    assert (int(row["start"]), int(row["end"])) == (start, end)
    assert row["signal"] == "spiked" and row["start_utc"].startswith(
        "2020-09-25 14:26:40"
    )


def test_json_has_the_rules_and_the_counts(found, tmp_path):
    path = tmp_path / "x.json"
    documents.write(str(path), found, truth(found), Rules())
    document = json.loads(path.read_text())
    assert document["rules"]["error"] == "dtw"
    assert document["counts"] == {"tp": 1, "fp": 0, "fn": 1}
    assert document["f1"] == pytest.approx(2 / 3) and "overlap" in document["protocol"]
    assert len(document["signals"]["spiked"]["anomalies"]) == 1


def test_undefined_scores_are_null(found, tmp_path):
    path, quiet = tmp_path / "x.json", found[0]
    quiet.found.clear()
    documents.write(str(path), [quiet], {"spiked": []}, Rules())
    assert json.loads(path.read_text())["precision"] is None


def test_times_that_are_steps_are_no_dates():
    assert results.date(1234) == "1234"
    assert results.date(1_600_000_000) == "2020-09-13 12:26:40"


def test_files_of_another_kind_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"--out=x.xlsx: wanted a file .csv, .json"):
        documents.check("x.xlsx")
    with pytest.raises(FileNotFoundError, match="no such folder"):
        documents.check(str(tmp_path / "none/x.csv"))
