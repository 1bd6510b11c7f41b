"""The page of a run: WORKDIR/report.html, one file that needs nothing else."""

from __future__ import annotations

import json
import math
import os
import pathlib
import re
import shlex

import numpy as np

from experiments import pages
from experiments.files import replacing
from experiments.sampling import pictures

_N_FRAMES = 40
_FRAMES_BYTES = 5_000_000  # of all earlier pictures; base64 adds a third
_LAST_BYTES = 2_000_000

# A panel, in the units of its viewBox.
_WIDTH, _HEIGHT = 400, 210
_LEFT, _RIGHT, _TOP, _BOTTOM = 48, 10, 8, 24
_N_COLOURS = 4
_FORMER = re.compile(r"/(real|fake|gap)$")
_N_WARNINGS = 20
_MANY = 60  # points; a curve of more is drawn smoothed as well


def write(workdir: str | os.PathLike) -> str:
    """Writes WORKDIR/report.html from the run's files, and returns its path.

    Whatever is not there yet (metrics, samples, config.json, run.json) is left out.
    Raises FileNotFoundError if there is no such folder.
    """
    folder = pathlib.Path(workdir)
    if not folder.is_dir():
        raise FileNotFoundError(f"no such workdir: {folder}")
    config, run = _read(folder / "config.json"), _read(folder / "run.json")
    records = _records(folder / "metrics.jsonl")
    step = max((r["step"] for r in records), default=0)
    samples, frames = _samples(folder)
    where = shlex.quote(os.fspath(workdir))
    resume = run.get("command") or (
        f"python -m experiments.run --config={config.get('variant', 'NAME')}"
        f" --workdir={where}"
    )
    text = pages.fill(
        "run.html",
        title=pages.escape(
            f"{config.get('variant', 'GAN')} on {config.get('data', '?')}"
        ),
        subtitle=pages.escape(_subtitle(step, config, run)),
        warnings=_warnings(run.get("warnings")),
        figures=_figures(step, config, run, records),
        samples=samples,
        frames=frames,
        curves=_curves(records),
        resume=pages.escape(resume),
        sample=pages.escape(f"python -m experiments.sample --workdir={where} --n=64"),
        config=pages.values_table(config),
        manifest=pages.values_table({k: v for k, v in run.items() if k != "warnings"}),
    )
    path = folder / "report.html"
    with replacing(path) as temporary:
        pathlib.Path(temporary).write_text(text, encoding="utf-8")
    return str(path)


def _read(path):
    return json.loads(path.read_text()) if path.exists() else {}


def _records(path):
    """The lines of metrics.jsonl; one that is still being written is left out.

    Older runs have d/real, d/fake and d/gap, which are d/score_real, ... now.
    """
    records = []
    for line in path.read_text().splitlines() if path.exists() else []:
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if isinstance(record, dict) and "step" in record:
            records.append({_FORMER.sub(r"/score_\1", k): x for k, x in record.items()})
    return records


# --- figures and tables ---------------------------------------------------------------


def _subtitle(step, config, run):
    steps = config.get("steps")
    parts = [f"step {step:,} of {steps:,}" if steps else f"step {step:,}"]
    if "status" in run:
        parts.append(run["status"])
    if "stop" in run:
        parts.append(run["stop"][:16].replace("T", " "))
    return " · ".join(parts)


def _figures(step, config, run, records):
    """The key figures, without the unknown ones."""
    what = _examples(config)
    seen = run.get("examples") or step * config.get("batch_size", 0)
    speed = {
        key: run.get(key) or _median(records, key)
        for key in ("steps_per_s", "images_per_s")
    }
    peak = run.get("peak_memory_bytes")
    figures = {
        "Steps": f"{step:,}",
        f"{what} seen": f"{seen:,}" if seen else None,
        "Steps per second": pages.short(speed["steps_per_s"]),
        f"{what} per second": pages.short(speed["images_per_s"]),
        "Time": pages.duration(run.get("seconds") or _last(records, "seconds")),
        "To the first step": pages.duration(run.get("seconds_to_first_step")),
        "Peak memory": f"{peak / 2**20:,.0f} MiB" if peak else None,
        "Hardware": run.get("hardware"),
    }
    names = {key for record in records for key in record if key.startswith("eval/")}
    for name in sorted(names):
        title = name.removeprefix("eval/").replace("_", " ")
        figures[title] = pages.short(_last(records, name))
    return "\n".join(
        f"<div><dt>{pages.escape(name)}</dt><dd>{pages.escape(value)}</dd></div>"
        for name, value in figures.items()
        if value is not None
    )


def _examples(config):
    """What the data's examples are called."""
    fields = config.get("spec") or {}
    kinds = {field["kind"] for field in fields.values()} - {"label"}
    if not fields and config.get("shape"):  # of an older run
        kinds = {"point" if len(config["shape"]) == 1 else "image"}
    if len(kinds) != 1 or not kinds <= {*pictures.kinds()}:
        return "Examples"
    return pictures.of_kind(kinds.pop()).PLURAL


def _warnings(messages):
    """A box with the warnings of the health monitor, if there are any."""
    if not messages:
        return ""
    items = [f"<li>{pages.escape(x['message'])}</li>" for x in messages[-_N_WARNINGS:]]
    if len(messages) > _N_WARNINGS:
        items.insert(
            0, f"<li>{len(messages) - _N_WARNINGS} earlier ones, in run.json</li>"
        )
    return "\n".join(
        [
            '<section class="warnings card" aria-labelledby="warnings">',
            '<h2 id="warnings">Warnings during training</h2>',
            f"<ul>{''.join(items)}</ul>",
            "</section>",
        ]
    )


def _values(records, key):
    return [r[key] for r in records if _finite(r.get(key))]


def _last(records, key):
    return (_values(records, key) or [None])[-1]


def _median(records, key):
    values = _values(records, key)
    return float(np.median(values)) if values else None


def _finite(value):
    return isinstance(value, int | float) and math.isfinite(value)


# --- samples --------------------------------------------------------------------------


def _samples(folder):
    """Returns (the last pictures with their players, the frames as JavaScript).

    There is one player for each series of pictures samples/step_STEP[_NAME].png.
    """
    series = {}
    for path in sorted(folder.glob("samples/step_*.png")):
        named = re.fullmatch(r"step_(\d+)(?:_(.*))?", path.stem)
        if named:  # a user may keep other pictures there
            series.setdefault(named[2] or "", []).append((int(named[1]), path))
    if not series:
        return '<p class="missing">No samples have been drawn yet.</p>', "[]"
    players = [
        _player(name, pictures, len(series)) for name, pictures in series.items()
    ]
    figures, frames = zip(*players, strict=True)
    return "\n".join(figures), json.dumps(frames)


def _player(name, pictures, n_series):
    """Returns (the last picture with its player, its frames)."""
    n_frames = min(_N_FRAMES, len(pictures))
    chosen = [
        pictures[i]
        for i in np.linspace(0, len(pictures) - 1, n_frames).round().astype(int)
    ]
    # The page already holds the last picture: its script takes it from there.
    size = _FRAMES_BYTES // n_series // n_frames
    frames = [
        {"step": step, "src": pages.data_url(path, size)} for step, path in chosen[:-1]
    ]
    step, path = chosen[-1]
    frames.append({"step": step})
    last = n_frames - 1
    player = f"""
<div class="player" hidden>
<button type="button">Play</button>
<input type="range" min="0" max="{last}" value="{last}" step="1" aria-label="Step">
<output>step {step:,}</output>
</div>"""
    title = pages.escape(name.replace("_", " "))
    heading = f"<h2>{title}</h2>\n" if name else ""
    moving = path.with_suffix(".webp")
    animation = ""
    if moving.exists() and moving.stat().st_size <= _LAST_BYTES:
        url = pages.data_url(moving, _LAST_BYTES)
        alt = f"Animation of step {step}"
        animation = f'\n<img class="moving" src="{url}" alt="{alt}">'
    figure = f"""<figure class="samples card">
{heading}<img src="{pages.data_url(path, _LAST_BYTES // n_series)}" \
alt="{title or "Samples"} at step {step}">
{player if last else f"<figcaption>step {step:,}</figcaption>"}{animation}
</figure>"""
    return figure, frames


# --- curves ---------------------------------------------------------------------------


def _curves(records):
    series = {}
    for record in records:
        for name, value in record.items():
            if _finite(value) and name not in ("step", "seconds", "images_per_s"):
                series.setdefault(name, []).append((record["step"], value))
    groups = {}
    for name, points in series.items():
        if not name.startswith("eval/"):
            # One panel for a quantity, whichever updates report it: d/loss and g/loss.
            groups.setdefault(name.rpartition("/")[2], {})[name] = np.array(points)
        elif len(points) > 1:  # a single value is among the key figures
            groups[name] = {name: np.array(points)}
    if not groups:
        return '<p class="missing">Nothing has been measured yet.</p>'
    order = sorted(
        groups, key=lambda name: (not name.startswith("eval/"), name != "loss")
    )
    panels = [_panel(groups[group]) for group in order]
    return f'<div class="curves">\n{"".join(panels)}</div>'


def _panel(series):
    """One figure: `series` maps names to points [N, 2] of (step, value)."""
    points = np.concatenate(list(series.values()))
    x_low, x_high = 0.0, 1.02 * max(points[:, 0].max(), 1.0)
    y_low, y_high = points[:, 1].min(), points[:, 1].max()
    if len(points) > _MANY:
        # A few wild values at the start must not flatten all that follows.
        y_low, y_high = np.percentile(points[:, 1], [1, 99])
    margin = 0.06 * (y_high - y_low) or 0.1 * abs(y_high) or 1.0
    y_low, y_high = y_low - margin, y_high + margin
    width, height = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM

    def place(points):
        x = (points[:, 0] - x_low) / (x_high - x_low) * width
        y = (y_high - points[:, 1]) / (y_high - y_low) * height
        return np.stack([x, y], 1).round(1).tolist()

    axes, lines, keys = [], [], []
    for y in _ticks(y_low, y_high):
        at = _TOP + (y_high - y) / (y_high - y_low) * height
        axes.append(
            f'<line class="axis" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" '
            f'y1="{at:.1f}" y2="{at:.1f}"/>'
            f'<text x="{_LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">'
            f"{pages.short(y)}</text>"
        )
    for x in _ticks(x_low, x_high):
        at = _LEFT + (x - x_low) / (x_high - x_low) * width
        axes.append(
            f'<text x="{at:.1f}" y="{_HEIGHT - 6}" text-anchor="middle">'
            f"{pages.short(x)}</text>"
        )
    for i, (name, points) in enumerate(series.items()):
        colour = f"s{i % _N_COLOURS}"
        if len(points) > _MANY:
            lines.append(_path(place(_thin(points)), f"raw {colour}"))
            lines.append(_path(place(_thin(_smooth(points))), colour))
        else:
            lines.append(_path(place(points), colour))
        if len(points) <= 20:
            lines += [
                f'<circle class="{colour}" cx="{x}" cy="{y}" r="2.5"/>'
                for x, y in place(points)
            ]
        keys.append(
            f'<span class="key"><svg viewBox="0 0 8 8" aria-hidden="true">'
            f'<rect class="{colour}" width="8" height="8" rx="1.5"/></svg> '
            f"{pages.escape(name)} <b>{pages.short(points[-1, 1])}</b></span>"
        )
    label = pages.escape(f"{', '.join(series)} over the steps")
    return f"""<figure class="card">
<figcaption>{"".join(keys)}</figcaption>
<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{label}">
{"".join(axes)}
<svg x="{_LEFT}" y="{_TOP}" width="{width}" height="{height}">{"".join(lines)}</svg>
</svg>
</figure>
"""


def _path(places, classes):
    points = " L".join(f"{x} {y}" for x, y in places)
    return f'<path class="{classes}" d="M{points}"/>'


def _ticks(low, high):
    """Three to six round numbers in [low, high]."""
    rough = (high - low) / 4
    unit = 10.0 ** math.floor(math.log10(rough))
    spacing = unit * min((1, 2, 5, 10), key=lambda m: abs(math.log(m * unit / rough)))
    first, last = math.ceil(low / spacing - 1e-9), math.floor(high / spacing + 1e-9)
    return [float(f"{i * spacing:.10g}") for i in range(first, last + 1)]


def _smooth(points):
    """The mean of each point [N, 2] and its neighbours, a thirtieth of all."""
    window = np.ones(len(points) // 30 | 1)
    count = np.convolve(np.ones(len(points)), window, "same")
    mean = np.convolve(points[:, 1], window, "same") / count
    return np.stack([points[:, 0], mean], 1)


def _thin(points):
    """At most 500 of the points [N, 2], evenly chosen: a panel has no more pixels."""
    chosen = np.linspace(0, len(points) - 1, min(500, len(points))).round().astype(int)
    return points[chosen]
