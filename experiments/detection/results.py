"""Anomalies as files, and as lines of text with their protocol."""

from __future__ import annotations

import csv
import dataclasses
import datetime
import io
import json
from pathlib import Path

from experiments.detection.detection import Detection, Rules
from experiments.detection.labels import Intervals
from experiments.files import replacing
from gans.metrics.anomalies.intervals import Counts, overlap, total

PROTOCOL = (
    "overlap: a true interval is found if a detection shares a second with it, "
    "however many do; a detection that shares none is false; ends are included; "
    "F1 of the summed counts"
)
FORMS = (".csv", ".json", ".html")
_DATES = 100_000_000  # seconds since 1970; fewer are no dates, but steps

Labels = dict[str, Intervals]


def said(rules: Rules) -> str:
    """Returns the rules in words."""
    weight = f" of weight {rules.weight:g}" if rules.combine == "sum" else ""
    return (
        f"error {rules.error}{weight}, combination {rules.combine}, means over "
        f"{rules.smoothing:.2%} of the windows; threshold: mean + "
        f"{rules.deviations:g} standard deviations of {rules.window:.0%} of the signal "
        f"at a time, {rules.step:.0%} of that further each time; intervals extended by "
        f"{rules.padding} steps, pruned by {rules.drop:.0%}"
    )


def counts(found: list[Detection], true: Labels) -> dict[str, Counts]:
    """Returns {signal: Counts} of those that have labels."""
    return {
        x.signal.name: overlap(true[x.signal.name], x.intervals)
        for x in found
        if x.signal.name in true
    }


def scored(of: Counts) -> str:
    """Returns the scores of counts in words."""
    return (
        f"F1 {of.f1:.3f}, precision {of.precision:.3f}, recall {of.recall:.3f} "
        f"(tp {of.tp}, fp {of.fp}, fn {of.fn})"
    )


def lines(found: list[Detection], true: Labels, rules: Rules) -> list[str]:
    """Returns what a command prints: a line a signal, the sum, and the protocol."""
    of = counts(found, true)
    text = []
    for x in found:
        n, name = len(x.found), x.signal.name
        line = f"{name}: {n} {'anomaly' if n == 1 else 'anomalies'}"
        text.append(f"{line}; {scored(of[name])}" if name in of else line)
    if len(of) > 1:
        text.append(f"all: {scored(total(of.values()))}")
    text.append(f"rules: {said(rules)}")
    return [*text, f"protocol: {PROTOCOL}"] if of else text


def write(path: str, found: list[Detection], true: Labels, rules: Rules) -> None:
    """Writes a .csv, .json or .html file."""
    suffix = check(path)
    if suffix == ".csv":
        text = _csv(found)
    elif suffix == ".json":
        text = _json(found, true, rules)
    else:
        from experiments.pages import series  # which draws what is here

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


def date(seconds: float) -> str:
    """Returns a time as a date in UTC; a number of steps as it is."""
    if seconds < _DATES:
        return str(int(seconds))
    time = datetime.datetime.fromtimestamp(int(seconds), datetime.UTC)
    return time.strftime("%Y-%m-%d %H:%M:%S")


def _csv(found):
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["signal", "start", "end", "score", "start_utc", "end_utc"])
    for x in found:
        for start, end, score in x.intervals:
            row = [x.signal.name, start, end, f"{score:.6g}"]
            writer.writerow([*row, *(date(t) if t >= _DATES else "" for t in row[1:3])])
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
