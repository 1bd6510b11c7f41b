"""The page of detected anomalies: each signal, what was made of it, and the scores."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from experiments import pages
from experiments.detection import results
from experiments.detection.detection import Detection, Rules
from experiments.detection.labels import Intervals
from gans.metrics.anomalies.intervals import overlap, total

_WIDE, _CLOSE = 1080, 420  # widths of plots, in units of about a pixel
_LEFT, _RIGHT, _FOOT, _TOP = 52, 8, 20, 10
_CHANNELS, _CLOSE_UPS = 6, 12  # drawn at most
_DAY = 86_400


def page(found: list[Detection], true: results.Labels, rules: Rules) -> str:
    """Returns the HTML of the detections of some signals.

    true: {signal: its true anomalies} of those that have labels.
    """
    of = results.counts(found, true)
    n = sum(len(x.found) for x in found)
    title = f"{n} {'anomaly' if n == 1 else 'anomalies'} in "
    title += found[0].signal.name if len(found) == 1 else f"{len(found)} signals"
    subtitle = [results.said(rules)]
    if len(of) > 1:
        subtitle.insert(0, f"All signals: {results.scored(total(of.values()))}")
    if of:
        subtitle.append(f"Protocol: {results.PROTOCOL}")
    return pages.fill(
        "series.html",
        title=pages.escape(title),
        subtitle="<br>".join(map(pages.escape, subtitle)),
        signals="\n".join(_signal(x, true.get(x.signal.name)) for x in found),
    )


def _signal(x, true):
    """A section: figures, plots, a table of anomalies and a close-up of each."""
    times, n = x.signal.times, len(x.signal.times)
    marks = x.intervals
    facts = {
        "steps": f"{n:,}",
        "seconds a step": f"{(times[-1] - times[0]) / max(n - 1, 1):,.6g}",
        "anomalies": len(marks),
    }
    if true is not None:
        of = overlap(true, marks)
        facts["true anomalies"] = len(true)
        scores = {"F1": of.f1, "precision": of.precision, "recall": of.recall}
        facts |= {k: f"{value:.3f}" for k, value in scores.items()}
    figures = "\n".join(
        f"<div><dt>{pages.escape(k)}</dt><dd>{pages.escape(v)}</dd></div>"
        for k, v in facts.items()
    )
    whole = slice(0, n)
    plots = [_channel(x, i, whole, true) for i in range(min(_channels(x), _CHANNELS))]
    for name, values in (
        ("score", x.scores),
        ("reconstruction error", x.errors),
        ("critic score", x.critic),
    ):
        drawn = [(values, "c2", "")]
        plots.append(_plot(name, times, drawn, whole, marks, true, height=110))
    hidden = _channels(x) - _CHANNELS
    note = f'<p class="quiet">{hidden} more channels.</p>' if hidden > 0 else ""
    return f"""<section>
<h2>{pages.escape(x.signal.name or "signal")}</h2>
<dl class="figures">
{figures}
</dl>
{"".join(plots)}
{note}
{_table(marks, true)}
{_close_ups(x, true)}
</section>"""


def _channels(x):
    return x.signal.values.shape[1]


def _channel(x, i, where, true, width=_WIDE, title=None):
    """The signal and its reconstruction, channel i."""
    columns = x.signal.columns
    name = title or (columns[i] if i < len(columns) else f"channel {i}")
    drawn = [
        (x.signal.values[:, i], "c0", "signal"),
        (x.made[:, i], "c1", "reconstruction"),
    ]
    return _plot(name, x.signal.times, drawn, where, x.intervals, true, width)


def _table(marks, true):
    if not marks:
        return '<p class="missing">No anomaly was found.</p>'
    head = "".join(
        f'<th scope="col">{x}</th>'
        for x in ("start", "end", "score", *(["label"] if true is not None else []))
    )
    rows = []
    for start, end, score in marks:
        hit = overlap(true or (), [(start, end)]).tp
        rows.append((start, end, f"{score:.3g}", "true" if hit else "false alarm"))
    missed = [x for x in true or () if not overlap([x], marks).tp]
    rows += [(start, end, "", "missed") for start, end in missed]
    rows = [
        "".join(f"<td>{x}</td>" for x in (results.date(a), results.date(b), *rest))
        for a, b, *rest in sorted(row if true is not None else row[:3] for row in rows)
    ]
    body = "\n".join(f"<tr>{row}</tr>" for row in rows)
    return f'<table class="card list"><tr>{head}</tr>\n{body}</table>'


def _close_ups(x, true):
    """What was found from near by, the highest scores first."""
    best = sorted(x.found, key=lambda f: -f[2])[:_CLOSE_UPS]
    n, plots = len(x.signal.times), []
    for first, last, score in best:
        beside = max(last - first, 20)
        where = slice(max(first - beside, 0), min(last + beside + 1, n))
        channel = np.abs(x.signal.values - x.made)[first : last + 1].mean(0).argmax()
        title = f"{results.date(x.signal.times[first])}, score {score:.3g}"
        plots.append(_channel(x, int(channel), where, true, _CLOSE, title))
    if not plots:
        return ""
    return f'<h3>Close-ups</h3>\n<div class="close">{"".join(plots)}</div>'


def _plot(
    title: str,
    times: np.ndarray,
    drawn: Sequence[tuple[np.ndarray, str, str]],
    where: slice,
    marks: Sequence[tuple],
    true: Intervals | None,
    width: int = _WIDE,
    height: int = 180,
) -> str:
    """A <figure> of series over time, with intervals.

    drawn: (values [N], class of its colour, label) of each. where: the steps shown.
    """
    times = times[where]
    shown = [values[where] for values, _, _ in drawn]
    low, high = min(x.min() for x in shown), max(x.max() for x in shown)
    margin = 0.05 * (high - low) or 0.5
    low, high = low - margin, high + margin
    first, span = times[0], max(times[-1] - times[0], 1)
    inner, bottom = width - _LEFT - _RIGHT, height - _FOOT

    def across(t):
        return _LEFT + inner * np.clip((t - first) / span, 0, 1)

    def up(y):
        return bottom - (bottom - _TOP) * (y - low) / (high - low)

    parts = [*_ticks(low, high, up, width), *_dates(times, across, height, width)]
    for start, end, *_ in marks:
        parts.append(_band("found", start, end, times, across, _TOP, bottom))
    for start, end in true or ():
        parts.append(_band("true", start, end, times, across, bottom, bottom + 4))
    for (_, colour, _), values in zip(drawn, shown, strict=True):
        t, y = _thinned(times, values, inner)
        points = " ".join(
            f"{a:.1f},{b:.1f}" for a, b in zip(across(t), up(y), strict=True)
        )
        parts.append(f'<polyline class="{colour}" points="{points}"/>')
    keys = [(f"var(--{c})", label, "") for _, c, label in drawn if label]
    keys.append(("var(--bad)", "found", " area"))
    if true is not None:
        keys.append(("var(--good)", "true", " area"))
    legend = "".join(
        f'<span class="key{kind}" style="--of: {colour}">{pages.escape(label)}</span>'
        for colour, label, kind in keys
    )
    name = pages.escape(f"{title} over time")
    return (
        f'<figure class="card plot"><figcaption><b>{pages.escape(title)}</b>{legend}'
        f'</figcaption>\n<div class="{"wide" if width == _WIDE else ""}">'
        f'<svg role="img" aria-label="{name}" viewBox="0 0 {width} {height}">'
        f"{''.join(parts)}</svg></div></figure>\n"
    )


def _band(kind, start, end, times, across, top, bottom):
    if end < times[0] or start > times[-1]:
        return ""
    a, b = across(start), across(end)
    return (
        f'<rect class="{kind}" x="{a:.1f}" y="{top}" width="{max(b - a, 2):.1f}" '
        f'height="{bottom - top}"><title>{kind}: {results.date(start)} to '
        f"{results.date(end)}</title></rect>"
    )


def _ticks(low, high, up, width):
    for y in _round(low, high):
        at = f"{up(y):.1f}"
        yield f'<line class="grid" x1="{_LEFT}" x2="{width}" y1="{at}" y2="{at}"/>'
        yield (
            f'<text x="{_LEFT - 6}" y="{at}" dy=".35em" text-anchor="end">'
            f"{pages.short(round(float(y), 12))}</text>"
        )


def _round(low, high):
    """Two to five round numbers between low and high."""
    rough = (high - low) / 4
    power = 10.0 ** np.floor(np.log10(rough))
    step = power * next(x for x in (1, 2, 5, 10) if x * power >= rough)
    return step * np.arange(np.ceil(low / step), np.floor(high / step) + 1) + 0.0


def _dates(times, across, height, width):
    n = max(width // 200, 2)
    by_day = times[-1] - times[0] > 4 * _DAY
    for i, t in enumerate(np.linspace(times[0], times[-1], n)):
        text = results.date(t)
        text = text.partition(" ")[0] if by_day else text.removesuffix(":00")
        anchor = "start" if i == 0 else "end" if i == n - 1 else "middle"
        yield (
            f'<text x="{across(t):.1f}" y="{height - 3}" text-anchor="{anchor}">'
            f"{pages.escape(text)}</text>"
        )


def _thinned(times, values, n):
    """At most 2 n points: the least and the largest value of every n-th part."""
    if len(values) <= 2 * n:
        return times, values
    keep = []
    for rows in np.array_split(np.arange(len(values)), n):
        part = values[rows]
        keep += sorted({int(rows[part.argmin()]), int(rows[part.argmax()])})
    return times[keep], values[keep]
