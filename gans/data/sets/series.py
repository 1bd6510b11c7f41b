"""Time series as windows: `series:PATH` of files or a folder, and `series:demo`.

The functions that a signal goes through are those of `gans.data.signals`.
"""

from __future__ import annotations

import dataclasses
import os

import numpy as np

from gans.data.sets import NoSplit, expanded, options
from gans.data.signals import (
    METHODS,
    MISSING,
    Signal,
    aggregate,
    filled,
    read_all,
    scale,
)
from gans.data.source import Arrays, Source
from gans.data.spec import Field, Spec
from gans.data.tree import splits

NAMES = ("series:PATH",)
SEEDED = False
OPTIONS = {
    "window": (),
    "step": (),
    "interval": (),
    "method": METHODS,
    "missing": MISSING,
    "columns": (),
    "signals": (),
}


@dataclasses.dataclass(frozen=True, eq=False)
class Windows(Source):
    """Windows of signals, cut when they are asked for: `series` float32 [T, C].

    Attributes:
      name: of the set.
      signals: prepared, in their own units.
      values: float32 [N, C], scaled, one signal after the other.
      starts: int64 [n], where windows begin.
      size: T.
    """

    name: str
    signals: tuple[Signal, ...]
    values: np.ndarray
    starts: np.ndarray
    size: int

    @property
    def spec(self) -> Spec:
        return _fields(self.size, self.values.shape[1])

    def __len__(self) -> int:
        return len(self.starts)

    def take(self, indices: np.ndarray) -> Arrays:
        """Windows `indices` [B]: [B, T, C]."""
        return {
            "series": self.values[self.starts[indices, None] + np.arange(self.size)]
        }


def load(argument: str, *, split: str = "train", **_unused) -> Windows:
    """All windows of the signals at a path, each scaled to [-1, 1].

    argument: "demo" (see `demo`), a file, or a folder of files (see `read_all`), in
      which train/ and test/ are splits. After it options: "window=100", "step=1",
      "interval=600" and "method=mean" (see `aggregate`), "missing=linear" (`filled`),
      "columns=cpu,disk" of .csv files, "signals=art_*", a shell pattern of names.

    Signals of test/ are scaled as the one of the same name in train/.
    """
    name = f"series:{argument}"
    path, given = options(name, argument, OPTIONS)
    size = _positive(name, given, "window", 100)
    step = _positive(name, given, "step", 1)
    given["interval"] = _positive(name, given, "interval", None)
    folders = _splits(path)
    if split not in folders:
        raise NoSplit(f"{name} has no split {split!r}, only {', '.join(folders)}")
    signals = _signals(folders[split], given)
    scales = signals if split == "train" else _signals(folders["train"], given)
    ranges = {signal.name: scale(signal.values)[1:] for signal in scales}
    parts, starts, n = [], [], 0
    for signal in signals:
        _check(name, signal, signals[0], size)
        if signal.name not in ranges:
            raise ValueError(f"{name}: train/ has no {signal.name}, which scales it")
        parts.append(scale(signal.values, *ranges[signal.name])[0])
        starts.append(np.arange(n, n + len(signal.values) - size + 1, step))
        n += len(signal.values)
    values = np.concatenate(parts).astype(np.float32)
    return Windows(name, tuple(signals), values, np.concatenate(starts), size)


def fields(name: str, argument: str, channels: int) -> Spec:
    """Returns what an example of the set holds, of signals of so many channels."""
    _, given = options(name, argument, OPTIONS)
    return _fields(_positive(name, given, "window", 100), channels)


def _fields(size, channels):
    return {"series": Field("series", (size, channels), "float32")}


def _splits(path):
    """The path of each split."""
    folder = expanded(path)
    if path != "demo" and os.path.isdir(folder):
        found = splits(x.name for x in os.scandir(folder) if x.is_dir())
        if "train" in found:
            return {split: os.path.join(folder, x) for split, x in found.items()}
    return {"train": path}


def _signals(path, given):
    columns, missing = given.get("columns"), given.get("missing", "linear")
    if path == "demo":
        found = [demo()[0]]
    else:
        columns = columns.split(",") if columns else ()
        found = read_all(path, given.get("signals", "*"), columns, missing)
    method = given.get("method", "mean")
    return [filled(aggregate(x, given["interval"], method), missing) for x in found]


def _check(name, signal, first, size):
    (length, channels), wanted = signal.values.shape, first.values.shape[1]
    if channels != wanted:
        raise ValueError(
            f"{name}: {signal.name} has {channels} channels, {first.name} {wanted}"
        )
    if length < size:
        raise ValueError(
            f"{name}: {signal.name} has {length} values, fewer than window={size}"
        )


def _positive(name, given, option, default):
    text = given.get(option)
    if text is None:
        return default
    if not text.isdecimal() or int(text) < 1:
        raise ValueError(f"{name}: {option}={text!r} is not a whole number from 1 on")
    return int(text)


def demo() -> tuple[Signal, tuple[tuple[int, int], ...]]:
    """Returns a signal of 2,400 hours, and its anomalies: (start, end), ends included.

    A day's wave and a week's, and noise of a fixed seed; in it a spike, a flat day, a
    raised level, a wave twice as fast, and a day upside down.
    """
    n, hour = 2400, 3600
    t = np.arange(n)
    x = np.sin(2 * np.pi * t / 24) + 0.4 * np.sin(2 * np.pi * t / 168)
    x += 0.05 * np.random.default_rng(0).standard_normal(n)
    places = (400, 405), (850, 885), (1300, 1340), (1750, 1800), (2150, 2185)
    spike, flat, raised, fast, inverted = (slice(a, b + 1) for a, b in places)
    x[spike] += 2.5
    x[flat] = x[flat.start]
    x[raised] += 1.2
    x[fast] = np.sin(2 * np.pi * t[fast] / 8)
    x[inverted] *= -1
    start = 1577836800  # 2020-01-01
    signal = Signal(start + hour * t, x[:, None], "demo", ("value",))
    return signal, tuple((start + hour * a, start + hour * b) for a, b in places)
