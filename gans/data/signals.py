"""Signals, which are time series: reading them, and making windows of them.

A signal goes through pure functions: `read`, `aggregate`, `filled`, `scale`, `windows`.
Their order and their results are those of Orion's primitives for TadGAN (arXiv
2009.07769, section V.C), with choices where those have none.
"""

from __future__ import annotations

import csv
import dataclasses
import fnmatch
import os
import re
from collections.abc import Sequence

import numpy as np

from gans.data.sets import expanded
from gans.names import nearest

ENDINGS = (".csv", ".npy", ".npz")
# Columns of times, and columns that are not values, by their names in lower case.
TIMES = ("timestamp", "timestamps", "time", "times", "date", "datetime", "ts", "")
LABELS = ("label", "labels", "anomaly", "is_anomaly")
METHODS = ("mean", "min", "max")
MISSING = ("linear", "mean", "refuse")
_DATE = re.compile(
    r"(\d{4}-\d\d-\d\d(?:[T ][\d:.]+)?)(?:Z|([+-])(\d\d):?(\d\d)?)?", re.ASCII
)
MOST = 10_000_000  # values of an aggregated signal
EMPTY = ("", "nan", "na", "n/a", "null", "none", "?")  # cells without a value


@dataclasses.dataclass(frozen=True, eq=False)
class Signal:
    """A time series.

    Attributes:
      times: int64 [N], seconds since 1970 (UTC), or 0, 1, ... where none are given.
      values: float64 [N, C]; NaN where there is none.
      name: of its file or array, without ending.
      columns: the names of the channels; () without names.
    """

    times: np.ndarray
    values: np.ndarray
    name: str = ""
    columns: tuple[str, ...] = ()


def read(path: str, columns: Sequence[str] = (), missing: str = "linear") -> Signal:
    """Returns the only signal of a file; see `read_all`."""
    found = read_all(path, columns=columns, missing=missing)
    if len(found) != 1:
        names = ", ".join(signal.name for signal in found[:5])
        raise ValueError(f"{path} holds {len(found)} signals ({names}); wanted one")
    return found[0]


def read_all(
    path: str,
    pattern: str = "*",
    columns: Sequence[str] = (),
    missing: str = "linear",
) -> list[Signal]:
    """Returns the signals of a file, or of all files of a folder, in order of names.

    A .csv is one signal: a column of times (called "timestamp", "time" or "date"; the
    first of several where there are no names), as seconds or ISO dates, and columns of
    values. An .npy is a signal [N] or [N, C], and so is each array of an .npz; there
    the times are 0, 1, ...

    Args:
      pattern: a shell pattern that names of signals match.
      columns: the names of those to be read; (): all but labels.
      missing: with "refuse", a cell without a value is an error.

    Raises FileNotFoundError without such files; ValueError, naming file and row, for
    what is not a number or a time, and for times that do not follow each other.
    """
    path = expanded(path)
    if os.path.isdir(path):
        entries = sorted(x for x in os.listdir(path) if x.lower().endswith(ENDINGS))
        files = [os.path.join(path, x) for x in entries if not x.startswith(".")]
    else:
        files = [path]
    found = [s for file in files for s in _file(file, pattern, columns, missing)]
    if not found:
        which = "" if pattern == "*" else f" called {pattern}"
        raise FileNotFoundError(
            f"{path} has no signals{which}; wanted files {', '.join(ENDINGS)}"
        )
    return found


def _file(path, pattern, columns, missing):
    stem, ending = os.path.splitext(os.path.basename(path))
    if not os.path.isfile(path):
        raise FileNotFoundError(f"{path}: no such file or folder")
    if ending.lower() not in ENDINGS:
        raise ValueError(f"{path} is not one of {', '.join(ENDINGS)}")
    if ending.lower() == ".csv":
        wanted = fnmatch.fnmatchcase(stem, pattern)
        return [_csv(path, stem, columns, missing)] if wanted else []
    try:
        content = np.load(path, allow_pickle=False)
        arrays = {stem: content} if ending.lower() == ".npy" else content
        names = sorted(n for n in arrays if fnmatch.fnmatchcase(n, pattern))
        arrays = {name: arrays[name] for name in names}
    except Exception as error:  # NumPy has half a dozen kinds for a damaged file
        raise ValueError(f"{path} is not a readable {ending}: {error}") from None
    return [_array(path, name, x, missing) for name, x in arrays.items()]


def _array(path, name, x, missing):
    if x.ndim not in (1, 2) or not len(x) or x.dtype.kind not in "biuf":
        raise ValueError(
            f"{path}: {name} is {x.dtype} {x.shape}; wanted numbers [N] or [N, C]"
        )
    x = x.reshape(len(x), -1).astype(np.float64)
    bad = np.isinf(x) if missing != "refuse" else ~np.isfinite(x)
    if bad.any():
        row = np.argwhere(bad)[0]
        raise ValueError(f"{path}: {name}, row {row[0]}: {x[tuple(row)]}")
    return Signal(np.arange(len(x)), x, name)


def _csv(path, name, columns, missing):
    with open(path, newline="", encoding="utf-8-sig") as file:
        try:
            lines = [(i, row) for i, row in enumerate(csv.reader(file), 1) if any(row)]
        except (csv.Error, UnicodeDecodeError) as error:
            raise ValueError(f"{path} is not a readable .csv: {error}") from None
    if not lines:
        raise ValueError(f"{path} is empty")
    header = [cell.strip() for cell in lines[0][1]]
    if any(_is_value(cell) for cell in header):
        timed = len(header) > 1
        header = [f"value{i + 1 - timed}" for i in range(len(header))]
        header[:timed] = ["timestamp"] * timed
    else:
        lines = lines[1:]
    called = [cell.lower() for cell in header]
    at = next((i for i, cell in enumerate(called) if cell in TIMES), None)
    for column in columns:
        if column not in header:
            known, near = ", ".join(header), nearest(column, header)
            raise ValueError(f"{path} has no column {column!r} among {known}{near}")
    own = [i for i, cell in enumerate(called) if i != at and cell not in LABELS]
    own = [header.index(column) for column in columns] or own
    if not lines or not own:
        raise ValueError(f"{path} has no {'values' if lines else 'rows'}")
    times = np.arange(len(lines))
    values = np.empty((len(lines), len(own)))
    for n, (line, row) in enumerate(lines):
        if len(row) != len(header):
            raise ValueError(
                f"{path}, line {line}: {len(row)} cells; wanted {len(header)}"
            )
        try:
            if at is not None:
                times[n] = _time(row[at].strip())
            values[n] = [_value(row[i].strip(), missing) for i in own]
        except ValueError as error:
            raise ValueError(f"{path}, line {line}: {error}") from None
    order = np.argsort(times, kind="stable")
    return Signal(times[order], values[order], name, tuple(header[i] for i in own))


def _is_value(text):
    try:
        float(text)
    except ValueError:
        return False
    return text.lower() not in EMPTY


def _value(text, missing):
    if text.lower() in EMPTY:
        if missing == "refuse":
            raise ValueError("no value; missing=linear or missing=mean fills it")
        return np.nan
    try:
        value = float(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a number") from None
    if not np.isfinite(value):
        raise ValueError(f"{text!r} is not finite")
    return value


def _time(text):
    """Seconds since 1970; a date without a zone is in UTC."""
    date = _DATE.fullmatch(text)
    try:
        if date is None:
            seconds = float(text)
        else:
            day, sign, hours, minutes = date.groups("0")
            ahead = 3600 * int(hours) + 60 * int(minutes)
            seconds = int(np.datetime64(day, "s").astype(np.int64))
            seconds -= -ahead if sign == "-" else ahead
    except ValueError:
        raise ValueError(
            f"{text!r} is not a time; wanted seconds since 1970, or a date such as "
            "2014-04-01 00:05:00"
        ) from None
    if not (abs(seconds) < 1e11 and seconds == int(seconds)):
        raise ValueError(f"{text!r} is not a time in whole seconds since 1970")
    return int(seconds)


def aggregate(
    signal: Signal, interval: int | None = None, method: str = "mean"
) -> Signal:
    """Returns one value an interval: that of all values in [t, t + interval).

    interval: in seconds, from the first time on; None: the median distance of times, so
      that a signal of regular times stays as it is. Intervals without values are NaN.
    method: of METHODS; NaN are left out.
    """
    times = signal.times
    if interval is None:
        interval = max(int(np.median(np.diff(times))), 1) if len(times) > 1 else 1
    place = (times - times[0]) // interval
    n = int(place[-1]) + 1
    if n > MOST:
        raise ValueError(
            f"{signal.name}: interval={interval} s makes {n} values of {len(times)}; "
            "wanted a longer one"
        )
    rows, starts = np.unique(place, return_index=True)
    held = ~np.isnan(signal.values)
    values = np.full((n, signal.values.shape[1]), np.nan)
    if method == "mean":
        total = np.add.reduceat(np.where(held, signal.values, 0.0), starts)
        count = np.add.reduceat(held.astype(np.int64), starts)
        values[rows] = total / np.where(count, count, np.nan)
    else:
        function = {"min": np.fmin, "max": np.fmax}[method]
        values[rows] = function.reduceat(signal.values, starts)
    times = times[0] + interval * np.arange(n)
    return dataclasses.replace(signal, times=times, values=values)


def filled(signal: Signal, missing: str = "linear") -> Signal:
    """Returns the signal without NaN.

    missing: "linear", between neighbours in time (at the ends, the nearest value);
      "mean", of the channel; "refuse", an error that says where.
    """
    gaps, values = np.isnan(signal.values), signal.values.copy()
    for channel in np.flatnonzero(gaps.any(0)):
        gap, x = gaps[:, channel], values[:, channel]
        if missing == "refuse":
            row = int(np.flatnonzero(gap)[0])
            raise ValueError(
                f"{signal.name}: no value at the time {signal.times[row]} (row {row}); "
                "missing=linear or missing=mean fills it"
            )
        if gap.all():
            raise ValueError(f"{signal.name}: channel {channel} has no values")
        if missing == "mean":
            x[gap] = x[~gap].mean()
        else:
            x[gap] = np.interp(signal.times[gap], signal.times[~gap], x[~gap])
    return dataclasses.replace(signal, values=values)


def scale(
    values: np.ndarray, low: np.ndarray | None = None, high: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns (values [N, C] scaled, low [C], high [C]); low becomes -1, high 1.

    low, high: of other values of the same signal, beyond which these may be; by default
      the extremes of these. A channel of one value becomes 0.
    """
    low = values.min(0) if low is None else np.asarray(low)
    high = values.max(0) if high is None else np.asarray(high)
    middle, half = (low + high) / 2, (high - low) / 2
    return (values - middle) / np.where(half > 0, half, 1.0), low, high


def windows(values: np.ndarray, size: int, step: int = 1) -> np.ndarray:
    """Returns all windows of values [N, C]: a view [(N - size) // step + 1, size, C].

    Raises ValueError for fewer than `size` values.
    """
    if len(values) < size:
        raise ValueError(f"{len(values)} values are fewer than a window of {size}")
    view = np.lib.stride_tricks.sliding_window_view(values, size, axis=0)
    return np.moveaxis(view[::step], -1, 1)
