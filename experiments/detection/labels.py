"""Files of true anomalies: of one signal, or of many."""

from __future__ import annotations

import csv
import datetime
import json
from pathlib import Path

from gans.names import nearest

Intervals = list[tuple[int, int]]  # seconds, both ends included


def read(path: str, names: list[str]) -> dict[str, Intervals]:
    """Returns {signal: its true anomalies} for signals of these names.

    A .json holds {"FOLDER/NAME.csv": [[start, end], ...]}, as NAB's
    combined_windows.json does; the folder and the ending may be missing. A .csv has
    columns start,end; with those of several signals also the column signal, or, as
    Orion has it, signal,events, where events are [[start, end], ...]. A signal that a
    .csv does not name has no anomalies. Times are seconds or dates.

    Raises ValueError for another layout, and for a .json that lacks a signal.
    """
    suffix = Path(path).suffix.lower()
    if suffix == ".json":
        return _of_json(path, names)
    if suffix == ".csv":
        return _of_csv(path, names)
    raise ValueError(f"labels {path}: wanted a .csv or .json file")


def _of_json(path, names):
    try:
        given = json.loads(Path(path).read_text(encoding="utf-8"))
        found = {Path(key).stem: _pairs(value) for key, value in given.items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise ValueError(
            f"labels {path}: wanted {{signal: [[start, end], ...]}}; {error}"
        ) from None
    for name in names:
        if name not in found:
            near = nearest(name, found)
            raise ValueError(f"labels {path}: no signal {name!r} there{near}")
    return {name: found[name] for name in names}


def _of_csv(path, names):
    with open(path, newline="", encoding="utf-8-sig") as file:
        rows = csv.DictReader(file)
        columns = {x.strip() for x in rows.fieldnames or ()}
        events = {"signal", "events"} <= columns
        if not events and not {"start", "end"} <= columns:
            raise ValueError(
                f"labels {path}: columns {', '.join(columns) or 'none'}; wanted "
                "start,end or signal,start,end or signal,events"
            )
        if "signal" not in columns and len(names) > 1:
            raise ValueError(
                f"labels {path}: no column signal, but there are {len(names)} signals"
            )
        found = {name: [] for name in names}
        for row in rows:
            row = {k.strip(): x for k, x in row.items() if k}
            try:
                pairs = json.loads(row["events"]) if events else _row(row)
                name = row.get("signal", names[0])
                found.setdefault(Path(name).stem, []).extend(_pairs(pairs))
            except (ValueError, TypeError) as error:
                line = f"line {rows.line_num}"
                raise ValueError(f"labels {path}, {line}: {error}") from None
    return {name: found[name] for name in names}


def _row(row):
    return [(row["start"], row["end"])]


def _pairs(given):
    found = []
    for start, end in given:
        start, end = _seconds(start), _seconds(end)
        if end < start:
            raise ValueError(f"an interval ends at {end}, before its start {start}")
        found.append((start, end))
    return found


def _seconds(value):
    """Of a number, or of a date; one without a zone is in UTC."""
    try:
        return int(float(value))
    except ValueError:
        pass
    try:
        time = datetime.datetime.fromisoformat(value.strip())
    except ValueError:
        raise ValueError(
            f"{value!r} is neither a number of seconds nor a date"
        ) from None
    if time.tzinfo is None:
        time = time.replace(tzinfo=datetime.UTC)
    return int(time.timestamp())
