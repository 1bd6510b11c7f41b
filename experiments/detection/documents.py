"""Files of what was found: .csv, .json, or an .html page."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from pathlib import Path

from experiments.detection.detection import Detection, Rules
from experiments.detection.results import DATES, PROTOCOL, Labels, counts, date
from experiments.files import replacing
from experiments.pages import series
from gans.metrics.anomalies.intervals import total

FORMS = (".csv", ".json", ".html")


def write(path: str, found: list[Detection], true: Labels, rules: Rules) -> None:
    """Writes a .csv, .json or .html file."""
    suffix = check(path)
    if suffix == ".csv":
        text = _csv(found)
    elif suffix == ".json":
        text = _json(found, true, rules)
    else:
        text = series.page(found, true, rules)
    with replacing(path) as temporary:
        Path(temporary).write_text(text, encoding="utf-8")


def check(path: str) -> str:
    """Returns the ending of a file to write; raises ValueError for others."""
    suffix = Path(path).suffix.lower()
    if suffix not in FORMS:
        raise ValueError(f"--out={path}: wanted a file {', '.join(FORMS)}")
    if not Path(path).resolve().parent.is_dir():
        raise FileNotFoundError(f"--out={path}: there is no such folder")
    return suffix


def _csv(found):
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["signal", "start", "end", "score", "start_utc", "end_utc"])
    for x in found:
        for start, end, score in x.intervals:
            row = [x.signal.name, start, end, f"{score:.6g}"]
            writer.writerow([*row, *(date(t) if t >= DATES else "" for t in row[1:3])])
    return file.getvalue()


def _json(found, true, rules):
    of = counts(found, true)
    signals = {}
    for x in found:
        anomalies = [
            {"start": start, "end": end, "score": float(f"{score:.6g}")}
            for start, end, score in x.intervals
        ]
        signals[x.signal.name] = {"anomalies": anomalies}
        if x.signal.name in of:
            signals[x.signal.name]["counts"] = of[x.signal.name]._asdict()
    document = {"rules": dataclasses.asdict(rules), "signals": signals}
    if of:
        every = total(of.values())
        scores = {k: getattr(every, k) for k in ("f1", "precision", "recall")}
        scores = {k: None if x != x else x for k, x in scores.items()}  # NaN
        document |= {"protocol": PROTOCOL, "counts": every._asdict(), **scores}
    return json.dumps(document, indent=1) + "\n"
