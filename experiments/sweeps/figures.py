"""The picture of a sweep: its history, its curves, and each key against the result."""

from __future__ import annotations

import math
import os
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from experiments.pages import cut

COLUMNS = 3
GREY, BLUE, ORANGE = "0.72", "#2f6bd8", "#d2622a"


def draw(path: str | os.PathLike, sweep: dict[str, Any]) -> None:
    """Writes a PNG of what sweep.json holds.

    Finished trials are dots at their final value, pruned ones crosses at their last
    one, failed ones ticks on the axis; the best is a star.
    """
    trials, space = sweep["trials"], sweep["protocol"]["space"]
    keys = list(sweep["importances"] or space)  # the most important first
    n_rows = math.ceil((2 + len(keys)) / COLUMNS)
    figure = Figure(figsize=(4.2 * COLUMNS, 3.2 * n_rows), layout="constrained")
    panels = figure.subplots(n_rows, COLUMNS, squeeze=False).flat
    metric = sweep["objective"].removeprefix("eval/")
    limits = _limits(sweep)

    history = next(panels)
    _points(history, sweep, [trial["number"] for trial in trials])
    done = [t for t in trials if t["status"] == "finished"]
    best = np.minimum if sweep["better"] == "lower" else np.maximum
    if done:
        so_far = best.accumulate([trial["final"] for trial in done])
        history.step([t["number"] for t in done], so_far, where="post", color=ORANGE)
    history.set(xlabel="trial", ylabel=f"final {metric}", title="history")
    if history.get_legend_handles_labels()[1]:
        history.legend(loc="best", fontsize=8)

    curves = next(panels)
    winner = _winner(sweep)
    for trial in sorted(trials, key=lambda trial: trial is winner):
        points = np.array(trial["curve"], float).reshape(-1, 2)
        is_best = trial is winner
        colour = ORANGE if is_best else BLUE if trial in done else GREY
        width = 2 if is_best else 0.8
        style = {"marker": ".", "markersize": 3, "linewidth": width}
        curves.plot(*points.T, color=colour, zorder=2 + is_best, **style)
    curves.set(xlabel="step", title=f"{metric} in training")

    for key in keys:
        panel = next(panels)
        values = [trial["params"][key] for trial in trials]
        if space[key].startswith("choice"):
            names = sorted({*map(str, values)})
            values = [names.index(str(x)) for x in values]
            shown = [cut(name, 24) for name in names]
            crowded = sum(map(len, shown)) > 40
            turned = {"rotation": 30, "ha": "right"} if crowded else {}
            panel.set_xticks(range(len(names)), shown, fontsize=8, **turned)
            panel.set_xlim(-0.5, len(names) - 0.5)
        elif space[key].startswith("log"):
            panel.set_xscale("log")
            _label_log(panel.xaxis, values)
        elif space[key].startswith("int"):
            panel.xaxis.get_major_locator().set_params(integer=True)
        _points(panel, sweep, values)
        share = (sweep["importances"] or {}).get(key)
        after = "" if share is None else f" ({share:.0%})"
        panel.set_title(cut(key, 44 - len(after)) + after, fontsize=10)
    for panel in figure.axes:
        if panel.has_data():
            panel.spines[["top", "right"]].set_visible(False)
            if limits:
                panel.set_yscale(limits[2])
                panel.set_ylim(*limits[:2])
                if limits[2] == "log":
                    _label_log(panel.yaxis, limits[:2])
        else:
            panel.set_axis_off()
    figure.savefig(path, dpi=110, format="png")


def _label_log(axis, values):
    """Labels powers of ten; over less than two of them 1, 2 and 5 times each."""
    decades = math.log10(max(values) / min(values)) if len(values) else 0
    axis.set_major_locator(LogLocator(subs=(1, 2, 5) if decades < 2 else (1,)))
    axis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    axis.set_minor_formatter(NullFormatter())


def _winner(sweep):
    done = [t for t in sweep["trials"] if t["status"] == "finished"]
    sign = 1 if sweep["better"] == "lower" else -1
    return min(done, key=lambda t: (sign * t["final"], t["number"]), default=None)


def _last(trial):
    """Its final value, or the last one before it ended."""
    known = [value for _, value in trial["curve"] if value is not None]
    return trial["final"] if trial["final"] is not None else (known or [None])[-1]


def _limits(sweep):
    """(low, high, scale): that of values, but for what is far worse than most."""
    values = np.array([x for x in map(_last, sweep["trials"]) if x is not None])
    if not len(values):
        return None
    scale = "linear"
    if values.min() > 0 and values.max() > 20 * values.min():
        scale, values = "log", np.log(values)
    low, high = values.min(), values.max()
    if scale == "linear" and len(values) > 4:
        quarter, half, three = np.percentile(values, [25, 50, 75])
        far = 4 * (three - quarter) or np.inf
        low, high = max(low, half - far), min(high, half + far)
    margin = 0.08 * (high - low) or 0.1 * abs(high) or 1.0
    ends = np.array([low - margin, high + margin])
    return (*(np.exp(ends) if scale == "log" else ends), scale)


def _points(panel, sweep, xs):
    """Every trial at its x, marked by its status."""
    winner = _winner(sweep)
    limits = _limits(sweep)
    styles = {
        "finished": {"marker": "o", "color": BLUE, "s": 22},
        "pruned": {"marker": "x", "color": GREY, "s": 22},
        "not finished": {"marker": "o", "color": GREY, "s": 14},
    }
    for status, style in styles.items():
        some = [
            (x, _last(trial))
            for x, trial in zip(xs, sweep["trials"], strict=True)
            if trial["status"] == status and _last(trial) is not None
        ]
        if some:
            panel.scatter(*zip(*some, strict=True), label=status, **style)
    failed = [
        x
        for x, trial in zip(xs, sweep["trials"], strict=True)
        if trial["status"] == "failed"
    ]
    if failed:
        bottom = limits[0] if limits else 0.0
        style = {"marker": "|", "color": "#c02020", "s": 120, "clip_on": False}
        panel.scatter(failed, [bottom] * len(failed), label="failed", **style)
    if winner:
        x = xs[sweep["trials"].index(winner)]
        style = {"marker": "*", "color": ORANGE, "s": 150, "zorder": 4}
        panel.scatter([x], [winner["final"]], label="best", **style)
