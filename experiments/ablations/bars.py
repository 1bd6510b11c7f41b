"""The values of an ablation that was evaluated once: a bar for each arm."""

from __future__ import annotations

import math
import os
from typing import Any

import numpy as np

from experiments.ablations.figures import COLOURS
from experiments.files import replacing
from experiments.pages import cut

_MOST_PANELS = 4


def wanted(results: dict[str, Any]) -> bool:
    """Whether there is one evaluation only, and so no learning curve."""
    return results["evaluations"] == 1


def draw(
    path: str | os.PathLike,
    results: dict[str, Any],
    verdicts: dict[str, dict[str, str | None]],
) -> bool:
    """Draws the mean of each arm as a bar and each seed as a dot, a panel for a metric.

    The dotted line is the mean of the baseline; arms that differ from it significantly
    are in colour. Seeds that have diverged are counted in the first panel.

    Args:
      path: of the PNG.
      results: as in results.json, the baseline first.
      verdicts: {metric: {arm: key of COLOURS}}.

    Returns False if there is nothing to draw; then nothing is written.
    """
    # It takes a second to import, and not every run needs it.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    arms = results["arms"]
    values = {
        metric: {name: _values(arm, metric) for name, arm in arms.items()}
        for metric in results["metrics"]
    }
    values = {m: found for m, found in values.items() if any(found.values())}
    metrics = [*values][:_MOST_PANELS]
    if not metrics:
        return False
    names = [cut(name, 48) for name in arms]
    left = 0.5 + 0.06 * max(map(len, names))
    size = (left + 3.1 * len(metrics), 1.0 + 0.2 * len(arms))
    figure = Figure(figsize=size, dpi=80, layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(metrics), sharey=True, squeeze=False)[0]
    rows = np.arange(len(arms))
    for axes, metric in zip(panels, metrics, strict=True):
        found = values[metric]
        means = [np.mean(v) if v else math.nan for v in found.values()]
        colours = [COLOURS[verdicts.get(metric, {}).get(name)] for name in arms]
        axes.barh(rows, means, color=colours, alpha=0.4)
        for row, v in zip(rows, found.values(), strict=True):
            axes.plot(v, [row] * len(v), ".", c="k", ms=3)
        if found.get(results["baseline"]):
            axes.axvline(np.mean(found[results["baseline"]]), c="0.5", ls=":", lw=1)
        better = results["metrics"][metric]
        note = f"{better} is better" if better else "neither way better"
        title = cut(metric.removeprefix("eval/"), 38)
        axes.set_title(f"{title}\n({note})", fontsize=9)
        axes.tick_params(labelsize=7)
    for row, arm in zip(rows, arms.values(), strict=True):
        lost = sum(seed["status"] == "diverged" for seed in arm["seeds"])
        if lost:
            panels[0].text(0, row, f" {lost} diverged", va="center", fontsize=6)
    panels[0].set_yticks(rows, names)
    panels[0].set_ylim(len(arms) - 0.4, -0.6)
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", metadata={"Software": None})
    return True


def _values(arm, metric):
    """The last value of each seed that has finished."""
    found = [
        seed["curve"][-1]["values"].get(metric)
        for seed in arm["seeds"]
        if seed["status"] == "finished" and seed["curve"]
    ]
    return [v for v in found if v is not None and math.isfinite(v)]
