"""The curves of a run as SVG, drawn by matplotlib and coloured by the page's style."""

from __future__ import annotations

import dataclasses
import io
import re
from collections.abc import Mapping, Sequence

import numpy as np

from experiments import pages
from experiments.pages import trends
from experiments.pages.panels import (
    ACCURACY,
    DIAGNOSTICS,
    MAIN,
    SEPARATION,
    SIGMA,
    Panel,
)

Points = Sequence[tuple[int, float]]

_WIDE = 50  # greatest over least, from which an axis is logarithmic
_MANY = 60  # points; a curve of more is drawn smoothed as well
# Points: of the drawing, of its plot, beside and under that, and of a row of names.
_WIDTH, _PLOT, _LEFT, _FOOT, _ROW = 360, 160, 58, 36, 16
_SAID = 11  # points that a caption in the plot is high
_PIXELS = 500  # points at most; a panel has no more pixels
# Colours that stand for those of the page, which differ by day and night.
_COLOURS = {
    "#c00000": "var(--c0)",
    "#c00001": "var(--c1)",
    "#c00002": "var(--c2)",
    "#c00003": "var(--c3)",
    "#c000f0": "var(--text)",
    "#c000f1": "var(--quiet)",
    "#c000f2": "var(--line)",
}
_LINES = [c for c, of in _COLOURS.items() if of.startswith("var(--c")]
_TEXT, _QUIET, _GRID = list(_COLOURS)[-3:]
_PLAYERS = {"d": "discriminator", "g": "generator"}


def curves_of(records) -> dict[str, list[tuple[int, float]]]:
    """{metric: [(step, value)]} of the finite values of metrics.jsonl."""
    found = {}
    for record in records:
        for name, value in record.items():
            if name not in ("step", "seconds", "images_per_s") and trends.finite(value):
                found.setdefault(name, []).append((record["step"], value))
    return found


def main(
    curves: Mapping[str, Points],
    *,
    boundary: bool = True,
    meanings: Mapping[str, str] | None = None,
    baseline: Mapping[str, float] | None = None,
    breaks: Mapping[str, Sequence[tuple[int, str]]] | None = None,
    of: Mapping[str, int | None] | None = None,
    changes: Sequence[tuple[int, str]] = (),
) -> list[str]:
    """Figures of the scores that were measured more than once, and of MAIN.

    Args:
      curves: see `curves_of`.
      boundary: whether the loss has one, so that accuracies say something.
      meanings: a sentence for each score.
      baseline: the scores of real images.
      breaks: of scores, see `experiments.pages.trends.breaks`.
      of: how many a score that is a count can reach.
      changes: of the data, see `experiments.pages.data.marks`.
    """
    figures = []
    for name in (x for x in curves if x.startswith("eval/")):
        if len({step for step, _ in curves[name]}) > 1:
            score = name.removeprefix("eval/")
            text = (meanings or {}).get(score, "")
            level = (baseline or {}).get(score)
            level = None if level is None else (level, "real images")
            panel = Panel(score.replace("_", " "), "score", text, (), None, level)
            panel = dataclasses.replace(
                panel, breaks=tuple((breaks or {}).get(score, ()))
            )
            n = (of or {}).get(score)
            if n and all(float(y).is_integer() and y <= n for _, y in curves[name]):
                limits = (-0.03 * n, 1.03 * n)
                panel = dataclasses.replace(
                    panel, label=f"of {n}", limits=limits, whole=True
                )
            figures.append(figure(panel, {score: curves[name]}, changes))
    for panel in MAIN:
        if panel is ACCURACY and not boundary:
            panel = SEPARATION
        if shown := _of(panel, curves):
            figures.append(figure(panel, shown, changes))
    return figures


def diagnostics(
    curves: Mapping[str, Points], changes: Sequence[tuple[int, str]] = ()
) -> list[str]:
    """Figures of DIAGNOSTICS, of singular values, and of whatever else was logged.

    changes: see `main`.
    """
    figures, told = [], {q for panel in MAIN for q in panel.quantities}
    for panel in DIAGNOSTICS:
        told |= {*panel.quantities}
        if shown := _of(panel, curves):
            figures.append(figure(panel, shown, changes))
    rest: dict[str, dict] = {}
    for name, points in curves.items():
        if name.startswith("sigma/"):
            network, _, layer = name.removeprefix("sigma/").partition("/")
            rest.setdefault(f"sigma/{network}", {})[layer] = points
        elif not name.startswith("eval/"):
            quantity = name.rpartition("/")[2]
            if quantity not in told:
                rest.setdefault(quantity, {})[name] = points
    for title, shown in rest.items():
        panel = Panel(title.replace("_", " "), "value", "Logged by the updates.")
        if title.startswith("sigma/"):
            player = title.removeprefix("sigma/")
            whose = _PLAYERS.get(player, player)
            panel = Panel(f"Singular values, {whose}", "largest", SIGMA)
        figures.append(figure(panel, shown, changes))
    return figures


def _of(panel, curves):
    """{label: points} of the panel's curves; updates are named where they differ."""
    found = {q: [] for q in panel.quantities}
    for name in curves:
        update, _, quantity = name.rpartition("/")
        if quantity in found:
            found[quantity].append((update, name))
    updates = {update for names in found.values() for update, _ in names}
    shown = {}
    for quantity, names in found.items():
        what = quantity.rpartition("_")[2].replace("fake", "generated")
        for update, name in names:
            whose = _PLAYERS.get(update, update)
            if len(panel.quantities) == 1:
                label = whose or quantity.replace("_", " ")
            else:
                label = what if len(updates) == 1 else f"{whose}: {what}"
            shown[label] = curves[name]
    return shown


def figure(
    panel: Panel,
    shown: Mapping[str, Points],
    changes: Sequence[tuple[int, str]] = (),
) -> str:
    """Returns a <figure>: title, sentence, and the curves of {label: points} as SVG.

    changes: (step, what is other from there on), beside those of the panel.
    """
    marks = sorted({*panel.breaks, *changes})
    panel = dataclasses.replace(panel, breaks=tuple(marks))
    title, text = pages.escape(panel.title), pages.escape(panel.text)
    text = f'<p class="quiet">{text}</p>' if text else ""
    name = pages.escape(f"{panel.title}: {', '.join(shown)} over the training steps")
    svg = draw(panel, shown).replace(
        "<svg ", f'<svg role="img" aria-label="{name}" ', 1
    )
    return (
        f'<figure class="card"><figcaption><h3>{title}</h3>{text}</figcaption>\n'
        f"{svg}</figure>"
    )


def draw(panel: Panel, shown: Mapping[str, Points]) -> str:
    """Returns the curves as an SVG element without width, height and fixed colours."""
    # Slow to import. The object-oriented interface shares no state with other plots.
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    n_rows = -(-len(shown) // 3) if len(shown) > 1 else 0
    # In points, of which the page makes about as many pixels. A layout that matplotlib
    # computes would take as long as all the rest.
    top = _PLOT + _ROW * n_rows
    height = _FOOT + top + 8
    drawn = Figure(figsize=(_WIDTH / 72, height / 72), dpi=72)
    FigureCanvasSVG(drawn)
    axes = drawn.add_axes(
        (_LEFT / _WIDTH, _FOOT / height, 1 - (_LEFT + 4) / _WIDTH, _PLOT / height)
    )
    for i, (label, points) in enumerate(shown.items()):
        style = {"color": _LINES[i % len(_LINES)], "ls": ("-", "--", ":")[i // 4 % 3]}
        x, y = np.array(points, float).T
        if len(points) > _MANY:
            axes.plot(*_thin(x, y), lw=0.8, alpha=0.35, color=style["color"])
            x, y = _thin(x, _smooth(y))
        marker = "o" if len(points) <= 20 else ""
        label = _plain(f"{label} {pages.short(points[-1][1])}")
        axes.plot(x, y, lw=1.6, marker=marker, ms=3.5, label=label, **style)
    low, high, log = _limits(panel, [y for points in shown.values() for _, y in points])
    if log:
        axes.set_yscale("log")
    axes.set(ylim=(low, high), ylabel=panel.label, xlabel="training step")
    axes.set_xlim(0, 1.02 * max(1, *(p[-1][0] for p in shown.values())))
    if panel.level is not None and low <= panel.level[0] <= high:
        axes.axhline(panel.level[0], lw=1, ls=(0, (4, 3)), color=_QUIET)
        at = (0.01, panel.level[0])
        axes.annotate(
            panel.level[1],
            at,
            (0, 3),
            xycoords=("axes fraction", "data"),
            textcoords="offset points",
            fontsize=9,
            color=_QUIET,
        )
    end = axes.get_xlim()[1]
    for i, (step, said) in enumerate(x for x in panel.breaks if x[0] <= end):
        axes.axvline(step, lw=1, ls=(0, (2, 2)), color=_QUIET)
        left = step > end / 2
        axes.annotate(
            _plain(said),
            (step, 1),
            (-4 if left else 4, -3 - _SAID * (i % 4)),  # neighbours may be near
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            fontsize=9,
            color=_QUIET,
            va="top",
            ha="right" if left else "left",
        )
    _style(axes, panel.whole)
    if n_rows:
        drawn.legend(
            loc="upper left",
            bbox_to_anchor=(0.0, 1.0),
            ncols=min(3, len(shown)),
            frameon=False,
            fontsize=10,
            labelcolor=_TEXT,
            handlelength=1.2,
            columnspacing=1.2,
            borderpad=0,
        )
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "page"}):
        file = io.StringIO()
        drawn.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    return _embedded(file.getvalue())


def _limits(panel, values):
    """(lower, upper) end of the vertical axis, and whether it is logarithmic.

    A few wild values at the start must not flatten all that follows.
    """
    if panel.limits:
        return *panel.limits, False
    low, high = min(values), max(values)
    if len(values) > _MANY:
        low, high = np.percentile(values, [1, 99])
    if panel.level is not None:
        low, high = min(low, panel.level[0]), max(high, panel.level[0])
    low = low if panel.least is None else min(low, panel.least)
    if low > 0 and high > _WIDE * low:
        return low / 1.3, high * 1.3, True
    margin = 0.08 * (high - low) or 0.1 * abs(high) or 1.0
    if margin < 1e-9 * abs(high):  # of values that differ by rounding
        margin = 0.1 * abs(high)
    return low - margin, high + margin, False


def _style(axes, whole):
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: pages.short(x)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: pages.short(y)))
    if axes.get_yscale() != "log":
        axes.yaxis.set_major_locator(MaxNLocator(5, integer=whole))
    axes.tick_params(which="both", labelsize=10, colors=_QUIET, length=0)
    axes.tick_params(which="minor", labelleft=False)
    axes.grid(axis="y", color=_GRID, lw=0.8)
    axes.set_axisbelow(True)
    for side, spine in axes.spines.items():
        spine.set(visible=side == "bottom", color=_GRID)
    for label in (axes.xaxis.label, axes.yaxis.label):
        label.set(color=_QUIET, fontsize=10)


def _embedded(svg):
    """An SVG document as an element of a page: its colours, no names, few digits."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\s*<style type="text/css">.*?</style>', "", svg, flags=re.DOTALL)
    svg = re.sub(r"<!--.*?-->\s*", "", svg, flags=re.DOTALL)
    head, end, rest = svg.partition(">")
    view = re.search(r'viewBox="[^"]*"', head)[0]
    rest = re.sub(r'<g id="[^"]*"', "<g", rest)
    rest = re.sub(r"<[^>]*>", lambda tag: re.sub(r"(\.\d)\d+", r"\1", tag[0]), rest)
    rest = re.sub(r"font: ([\d.]+px) [^;\"]*", r"font-size: \1", rest)
    rest = re.sub(r"font-family: [^;\"]*;?", "", rest)
    for colour, variable in _COLOURS.items():
        rest = rest.replace(colour, variable)
    return f"<svg {view}{end}{rest.strip()}\n"


def _plain(text):
    """Text that matplotlib neither leaves out nor takes for a formula."""
    return text.lstrip("_").replace("$", r"\$")


def _smooth(y):
    """The mean of each value [N] and its neighbours, a thirtieth of all."""
    window = np.ones(len(y) // 30 | 1)
    count = np.convolve(np.ones(len(y)), window, "same")
    return np.convolve(y, window, "same") / count


def _thin(x, y):
    """At most _PIXELS of the points, evenly chosen."""
    chosen = np.linspace(0, len(x) - 1, min(_PIXELS, len(x))).round().astype(int)
    return x[chosen], y[chosen]
