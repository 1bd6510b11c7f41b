"""The pictures of an ablation: learning curves, and samples of each arm."""

from __future__ import annotations

import math
import os
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from experiments.files import replacing
from experiments.pages import cut, short

COLOURS = {  # also distinct for readers who cannot tell red from green
    "better": "#1f62d0",
    "worse": "#cc5500",
    "higher": "#7a3fc0",
    "lower": "#7a3fc0",
    None: "#3d4450",
}
_WIDTH = 12.0  # inches
_COLUMNS = 6
_LEFT, _GAP, _TITLE, _HEADING, _FOOT = 0.55, 0.12, 0.24, 0.42, 0.34  # inches
_CHARACTER = {8: 0.068, 9: 0.08}  # inches of one, by the size of the font
_WIDE = 50  # greatest over least, from which an axis is logarithmic
_STRIP = 800  # pixels of samples side by side
_SIDE = 300  # pixels of a picture that is not a grid
_GREY = 128  # of the gaps in pictures.grid


def curves(
    path: str | os.PathLike,
    results: dict[str, Any],
    verdicts: dict[str, dict[str, str | None]],
) -> bool:
    """Draws each arm's learning curves against the baseline's, in panels of equal axes.

    Lines are means over seeds, bands go from the least seed to the greatest, a cross is
    where a seed diverged. Axes leave out a few wild values, and say so.

    Args:
      path: of the PNG.
      results: as in results.json, the baseline first.
      verdicts: {metric: {arm: key of COLOURS}}, of the last evaluation.

    Returns False if there is nothing to draw: then nothing is written.
    """
    drawn = {m: _series(results, m) for m in results["metrics"]}
    drawn = {m: series for m, series in drawn.items() if series}
    if not drawn:
        return False
    baseline = results["baseline"]
    panels = [a for a in results["arms"] if a != baseline] or [baseline]
    columns, width = _columns(panels)
    rows = -(-len(panels) // columns)
    height = max(min(0.62 * width, 2.5, 12 / rows), 1.15)
    room = _LEFT + columns * (width + _GAP) - 0.2
    lines = [
        (part, colour)
        for text, colour in _legend(results, verdicts)
        for part in textwrap.wrap(text, int(room / _CHARACTER[9]))
    ]
    top = 0.24 * len(lines) + 0.1
    block = _HEADING + rows * (height + _TITLE) + _FOOT
    total = top + len(drawn) * block
    figure = _figure(_LEFT + columns * (width + _GAP), total)
    size = np.array([_LEFT + columns * (width + _GAP), total])
    for i, (text, colour) in enumerate(lines):
        y = 1 - (0.2 + 0.24 * i) / total
        figure.text(0.1 / size[0], y, text, color=colour, fontsize=9, va="center")
    at = top
    for metric, series in drawn.items():
        better = results["metrics"][metric]
        note = f"{better} is better" if better else "neither way better"
        y = 1 - (at + 0.28) / total
        figure.text(0.1 / size[0], y, metric, fontsize=11, weight="bold")
        figure.text(0.995, y, f"({note})", fontsize=9, ha="right")
        limits, log = _limits(series)
        for i, arm in enumerate(panels):
            row, column = divmod(i, columns)
            corner = np.array(
                [
                    _LEFT + column * (width + _GAP),
                    total - at - _HEADING - (row + 1) * (height + _TITLE),
                ]
            )
            axes = figure.add_axes((*corner / size, *np.array([width, height]) / size))
            axes.set(xlim=(0, _reach(results)), ylim=limits)
            if log:
                axes.set_yscale("log")
            _panel(axes, results, series, arm, verdicts[metric].get(arm), width)
            axes.tick_params(labelsize=7, length=2)
            axes.tick_params(
                labelleft=column == 0, labelbottom=i + columns >= len(panels)
            )
            axes.tick_params(which="minor", labelleft=False, length=1)
            axes.xaxis.set_major_locator(_locator())
            axes.xaxis.set_major_formatter(lambda x, _: short(x))
            axes.yaxis.set_major_formatter(lambda y, _: short(y))
            axes.grid(lw=0.4, color="0.9")
        at += block
    _save(figure, path)
    return True


def samples(
    path: str | os.PathLike, results: dict[str, Any], folder: str | os.PathLike
) -> bool:
    """Puts samples of one seed of each arm, the first that has any, under its name.

    Of a grid of images as many rows as fit, side by side; other pictures as a whole.
    Returns False if no arm has samples: then nothing is written.
    """
    found = {}
    for name, arm in results["arms"].items():
        for seed in arm["seeds"]:
            if seed.get("samples") and (Path(folder) / seed["samples"]).is_file():
                label = name if seed["seed"] == 0 else f"{name} (seed {seed['seed']})"
                found[label] = _strip(Path(folder) / seed["samples"])
                break
        else:
            found[f"{name}: no samples"] = None
    pictures = [picture for picture in found.values() if picture is not None]
    if not pictures:
        return False
    height, width = np.max([p.shape[:2] for p in pictures], axis=0)
    columns = min(max(1, 1300 // width), 4, len(found))
    dpi, label, gap = 100, 24, 12
    rows = -(-len(found) // columns)
    size = np.array([columns * (width + gap) + gap, rows * (height + label) + gap])
    figure = _figure(*size / dpi, dpi)
    for i, (name, picture) in enumerate(found.items()):
        row, column = divmod(i, columns)
        x = gap + column * (width + gap)
        y = size[1] - row * (height + label) - label  # of the picture's upper edge
        shown = cut(name, max(int(width / dpi / _CHARACTER[9]), 8))
        figure.text(x / size[0], (y + 5) / size[1], shown, fontsize=9, va="bottom")
        if picture is None:
            continue
        h, w = picture.shape[:2]
        axes = figure.add_axes(
            (x / size[0], (y - h) / size[1], w / size[0], h / size[1])
        )
        axes.imshow(picture, interpolation="nearest", aspect="auto")
        axes.set_axis_off()
    _save(figure, path)
    return True


def _figure(width, height, dpi=100):
    # It takes a second to import, and not every run needs it.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=dpi)
    FigureCanvasAgg(figure)
    return figure


def _save(figure, path):
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", metadata={"Software": None})


# --- curves ---------------------------------------------------------------------------


def _series(results, metric):
    """{arm: (images [T], least, mean and greatest [T], ends of diverged seeds [K, 2])}.

    Without the arms that have no value.
    """
    series = {}
    for name, arm in results["arms"].items():
        at, ends = {}, []
        for seed in arm["seeds"]:
            points = [
                (p["images"], p["values"][metric])
                for p in seed["curve"]
                if _finite(p["values"].get(metric))
            ]
            for images, value in points:
                at.setdefault(images, []).append(value)
            if seed["status"] == "diverged" and points:
                ends.append(points[-1])
        if at:
            images = sorted(at)
            rows = [(min(at[x]), float(np.mean(at[x])), max(at[x])) for x in images]
            low, mean, high = np.array(rows).T
            ends = np.array(ends, float).reshape(-1, 2)
            series[name] = (np.array(images, float), low, mean, high, ends)
    return series


def _finite(value):
    return isinstance(value, int | float) and math.isfinite(value)


def _reach(results):
    points = [
        p["images"]
        for arm in results["arms"].values()
        for seed in arm["seeds"]
        for p in seed["curve"]
    ]
    return 1.04 * max(points)


def _limits(series):
    """Returns (limits that hold nearly all means, and most arms' ends; whether log)."""
    means = np.concatenate([mean for _, _, mean, _, _ in series.values()])
    ends = np.array([mean[-1] for _, _, mean, _, _ in series.values()])
    low = min(np.quantile(means, 0.02), np.quantile(ends, 0.05))
    high = max(np.quantile(means, 0.9), np.quantile(ends, 0.9))
    bands = [(low_, high_) for _, low_, _, high_, _ in series.values()]
    # What lies a little beyond is shown as well.
    room = 0.5 * (high - low)
    least = min(low_.min() for low_, _ in bands)
    greatest = max(high_.max() for _, high_ in bands)
    log = least > 0 and high / low > _WIDE
    if log:
        low, high = max(least, low / 1.5), min(greatest, high * 1.5)
        return (low / 1.15, high * 1.15), True
    low, high = max(least, low - room), min(greatest, high + room)
    margin = 0.06 * (high - low) or 0.1 * abs(high) or 1.0
    return (low - margin, high + margin), False


def _columns(panels):
    """(how many panels are in a row, their width): as many as leave room for titles."""
    longest = max(map(len, panels)) + 2
    columns = min(_COLUMNS, len(panels))
    while True:
        width = min((_WIDTH - _LEFT) / columns - _GAP, 6.0 if columns == 1 else 4.0)
        if longest * _CHARACTER[8] <= width or columns <= 2:
            return columns, width
        columns -= 1


def _panel(axes, results, series, arm, verdict, width):
    baseline, colour = results["baseline"], COLOURS[verdict]
    lost = [s["status"] for s in results["arms"][arm]["seeds"]].count("diverged")
    after = f" {_mark(verdict)}".rstrip() + (f" ({lost} diverged)" if lost else "")
    title = cut(arm, max(int(width / _CHARACTER[8]) - len(after), 8)) + after
    axes.set_title(title, fontsize=8, color=colour, pad=3, loc="left")
    if baseline in series and baseline != arm:
        images, low, mean, high, _ = series[baseline]
        axes.fill_between(images, low, high, color="0.55", alpha=0.3, lw=0)
        axes.plot(images, mean, color="0.55", lw=1.2)
    if arm not in series:
        place = {"transform": axes.transAxes, "ha": "center", "va": "center"}
        axes.text(0.5, 0.5, "no values", fontsize=8, color="0.4", **place)
        return
    images, low, mean, high, ends = series[arm]
    axes.fill_between(images, low, high, color=colour, alpha=0.25, lw=0)
    axes.plot(images, mean, color=colour, lw=1.6, marker=".", ms=3)
    axes.plot(*ends.T, "x", color=colour, ms=6, mew=1.5, clip_on=False)
    bottom, top = axes.get_ylim()
    if not bottom <= mean[-1] <= top:
        up = mean[-1] > top
        axes.text(
            0.98,
            0.94 if up else 0.06,
            f"{'↑' if up else '↓'} ends at {short(float(mean[-1]))}",
            transform=axes.transAxes,
            fontsize=7,
            color=colour,
            ha="right",
            va="top" if up else "bottom",
        )


def _mark(verdict):
    return {"better": "▲", "worse": "▼", "higher": "↑", "lower": "↓"}.get(verdict, "")


def _locator():
    from matplotlib.ticker import MaxNLocator  # as above

    return MaxNLocator(4)


def _legend(results, verdicts):
    """Lines of text, and their colours."""
    baseline = results["baseline"]
    text = (
        "Against images seen. Line: mean over the seeds left; band: least to greatest"
    )
    if any(
        s["status"] == "diverged" for a in results["arms"].values() for s in a["seeds"]
    ):
        text += "; ×: a seed that diverged, at its last evaluation"
    lines = [(f"{text}.", "k")]
    if baseline in results["arms"]:
        lines.append((f"Grey: the baseline, {baseline}.", "0.4"))
    known = {word for found in verdicts.values() for word in found.values()}
    texts = {
        "better": "significantly better at the end",
        "worse": "significantly worse at the end",
        "higher": "significantly higher or lower at the end",
    }
    if "lower" in known:
        known.add("higher")
    shown = [
        (f"{_mark(w)} {text}", COLOURS[w]) for w, text in texts.items() if w in known
    ]
    return lines + shown


# --- samples --------------------------------------------------------------------------


def _strip(path):
    """A picture, uint8 [h, w, 3]; of a grid, its first rows side by side."""
    with Image.open(path) as file:
        picture = file.convert("RGB")
    pixels = np.asarray(picture)
    grey = (pixels == _GREY).all(axis=(1, 2))
    # Rows of tiles are parted by lines of two pixels (see pictures.grid).
    starts = np.flatnonzero(grey[:-1] & grey[1:])
    tile = int(starts[0]) if len(starts) else 0
    if not tile or (len(pixels) + 2) % (tile + 2):
        picture.thumbnail((_SIDE, _SIDE), Image.Resampling.LANCZOS)
        return np.asarray(picture)
    n_rows = (len(pixels) + 2) // (tile + 2)
    n_rows = min(n_rows, max(1, _STRIP // pixels.shape[1]))
    rows = [pixels[i * (tile + 2) :][:tile] for i in range(n_rows)]
    gap = np.full((tile, 2, 3), _GREY, np.uint8)
    parts = [part for row in rows for part in (gap, row)]
    return np.concatenate(parts[1:], axis=1)
