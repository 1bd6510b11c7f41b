"""What the laboratory of mode collapse found: kept, as a table, and drawn."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from experiments import config as configs
from experiments.files import replacing
from experiments.sampling import pictures

QUANTITIES = {"modes": "modes", "high_quality": "high quality", "kl": "KL (nats)"}
COLUMNS = 6  # of samples in the figure
Report = dict[str, Any]


class Results:
    """OUT.json, with a part for each data set, and this one's samples.

    Attributes:
      report: this data set's part: {"protocol", "n_modes", "real": {quantity: value},
        "runs", "arms": {name: result}}.
      samples: {name: [n, ...]} of one seed of each arm, points or images uint8.
    """

    def __init__(self, out: Path, data: str, protocol: dict[str, Any], n_modes: int):
        """Reads what is there; raises ValueError if it is of another protocol."""
        self.json = out.with_name(f"{out.name}.json")
        stem = f"{out.name}_{data.replace(':', '_')}"
        self.png, self.npz = (out.with_name(f"{stem}.{x}") for x in ("png", "npz"))
        self._whole = json.loads(self.json.read_text()) if self.json.is_file() else {}
        fresh = {"protocol": protocol, "n_modes": n_modes, "runs": [], "arms": {}}
        self.report = self._whole.setdefault(data, fresh)
        self._compare(data, protocol)
        self.samples = {}
        if self.npz.is_file():
            with np.load(self.npz) as kept:
                self.samples = dict(kept)

    def _compare(self, data, protocol):
        changed = configs.differences(self.report["protocol"], protocol)
        if changed:
            lines = "\n  ".join(changed)
            raise ValueError(
                f"{self.json} holds arms of another protocol for {data}:\n  {lines}\n"
                "name another --out, or move the file away"
            )

    def add(
        self,
        name: str,
        result: dict[str, Any],
        samples: np.ndarray | None,
        run: dict[str, Any],
    ) -> None:
        """Puts an arm, and facts of the run it comes from, into the report."""
        runs = self.report["runs"]
        if run not in runs:
            runs.append(run)
        self.report["arms"][name] = result | {"run": runs.index(run)}
        self.samples.pop(name, None)
        if samples is not None:
            self.samples[name] = samples

    def write(self, order: list[str]) -> None:
        """Writes OUT.json and OUT_DATA.npz, with the arms in this order."""
        self.json.parent.mkdir(parents=True, exist_ok=True)
        arms = self.report["arms"]
        places = {name: i for i, name in enumerate(order)}
        ordered = sorted(arms, key=lambda name: places.get(name, len(places)))
        self.report["arms"] = {name: arms[name] for name in ordered}
        with replacing(self.npz) as path, open(path, "wb") as file:
            np.savez_compressed(file, **self.samples)
        with replacing(self.json) as path:
            Path(path).write_text(json.dumps(self._whole, indent=1) + "\n")


def finite(result: dict[str, Any], quantity: str) -> list[float]:
    """Values of the seeds that have not diverged."""
    return [seed[quantity] for seed in result["seeds"] if quantity in seed]


def table(report: Report) -> str:
    """Returns the arms as text: mean and standard deviation (n - 1) over seeds.

    The first row is of as many samples of the data. Seeds that have diverged are
    counted in a column, and left out of the others.
    """
    n_seeds = report["protocol"]["n_seeds"]
    head = [f"{QUANTITIES['modes']} of {report['n_modes']}"]
    head += [QUANTITIES[name] for name in QUANTITIES if name != "modes"]
    lines = [["arm", *head, f"diverged of {n_seeds}", "seconds"]]
    real = [f"{report['real'][quantity]:.4g}" for quantity in QUANTITIES]
    lines.append(["(the data)", *real, "-", "-"])
    for name, result in report["arms"].items():
        shown = [_shown(finite(result, quantity)) for quantity in QUANTITIES]
        diverged = str(n_seeds - len(finite(result, "modes")))
        lines.append([name, *shown, diverged, f"{result['seconds']:.0f}"])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if i else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    )


def _shown(values):
    if not values:
        return "-"
    mean, deviation = np.mean(values), np.std(values, ddof=min(len(values) - 1, 1))
    digits = 1 if abs(mean) >= 10 else 2
    return f"{mean:.{digits}f} ± {deviation:.{digits}f}"


def draw(path: Path, report: Report, samples: dict[str, np.ndarray], modes) -> None:
    """Draws the arms' figures, each seed a point, and samples of one seed of each.

    samples: {arm: points [n, 2] or images uint8 [n, H, W, C]}; modes: [K, 2] of points,
    or None.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    arms = report["arms"]
    pictured = [name for name in arms if name in samples]
    rows = -(-len(pictured) // COLUMNS)
    heights = [0.8 + 0.2 * len(arms), 1.9 * rows]
    figure = Figure(figsize=(11, sum(heights)), dpi=80, layout="constrained")
    FigureCanvasAgg(figure)
    if not rows:
        _bars(figure, report)
    else:
        upper, lower = figure.subfigures(2, 1, height_ratios=heights)
        _bars(upper, report)
        axes = lower.subplots(rows, COLUMNS, squeeze=False).ravel()
        for name, place in zip(pictured, axes, strict=False):
            note = _panel(place, samples[name], modes)
            place.set_title(f"{name}{note}", fontsize=7)
        for place in axes:
            place.set(xticks=[], yticks=[])
        for place in axes[len(pictured) :]:
            place.set_axis_off()
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png")


def _bars(figure, report):
    arms = report["arms"]
    places = np.arange(len(arms))
    panels = figure.subplots(1, len(QUANTITIES), sharey=True)
    for axes, (quantity, title) in zip(panels, QUANTITIES.items(), strict=True):
        values = [finite(result, quantity) for result in arms.values()]
        means = [np.mean(v) if v else math.nan for v in values]
        axes.barh(places, means, color="tab:blue", alpha=0.4)
        for place, v in zip(places, values, strict=True):
            axes.plot(v, [place] * len(v), ".", c="k", ms=3)
        if "base" in arms:
            axes.axvline(means[list(arms).index("base")], c="0.5", ls=":", lw=1)
        real = report["real"][quantity]
        axes.axvline(real, c="tab:green", lw=1)
        axes.set_title(f"{title} (the data: {real:.4g})", fontsize=9)
        axes.tick_params(labelsize=7)
    for place, result in zip(places, arms.values(), strict=True):
        lost = sum("diverged_by_step" in seed for seed in result["seeds"])
        if lost:
            panels[0].text(0, place, f" {lost} diverged", va="center", fontsize=6)
    panels[0].set_yticks(places, list(arms))
    panels[0].set_ylim(len(arms) - 0.4, -0.6)


def _panel(axes, samples, modes):
    """Draws samples; returns what does not show, for the title."""
    if samples.ndim == 4:
        grid = pictures.grid(samples.astype(np.float32) / 127.5 - 1)
        axes.imshow(grid, interpolation="nearest")
        return ""
    reach = 1.3 * np.abs(modes).max()
    axes.scatter(*modes.T, s=25, c="0.6", marker="+", lw=0.6)
    axes.scatter(*samples.T, s=2, c="tab:red", alpha=0.4, lw=0)
    axes.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")
    outside = np.mean(~(np.abs(samples) <= reach).all(axis=1))
    return f" ({outside:.0%} outside)" if outside >= 0.05 else ""
