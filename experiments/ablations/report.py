"""The report of an ablation: tables, curves and samples, from its results.json.

It writes results.csv, report.md, report.html, curves.png and samples.png; after a
single evaluation there is values.png in place of curves.png. The same results give the
same files.
"""

from __future__ import annotations

import base64
import csv
import io
import os
import re
from pathlib import Path

from PIL import Image

from experiments import pages
from experiments.ablations import bars, figures
from experiments.ablations import findings as findings_text
from experiments.ablations import results as results_file
from experiments.files import replacing

PICTURES = {  # in report.md, and in documents
    "curves.png": "Learning curves",
    "values.png": "Values",
    "samples.png": "Samples",
}
_CURVES_BYTES = 3_000_000  # of the pictures in the page; base64 adds a third
_SAMPLES_BYTES = 6_000_000
_MOST_PICTURES = 120
_SIDE = 256  # pixels, of those that are large even so


def write(workdir: str | os.PathLike) -> str:
    """Writes the report's files from WORKDIR/results.json; returns the page's path.

    Raises FileNotFoundError if there are no results.
    """
    folder = Path(workdir)
    path = folder / "results.json"
    if not path.is_file():
        raise FileNotFoundError(f"no results.json in {folder}: no program has ended")
    results = _ordered(results_file.read(path))
    findings = [findings_text.find(results, metric) for metric in results["metrics"]]
    findings = [finding for finding in findings if finding.final]
    verdicts = {finding.metric: finding.verdicts for finding in findings}
    draw, name = figures.curves, "curves.png"
    if bars.wanted(results):
        draw, name = bars.draw, "values.png"
    curves, samples = folder / name, folder / "samples.png"
    drawn = []
    if draw(curves, results, verdicts):
        drawn.append(curves)
    if figures.samples(samples, results, folder):
        drawn.append(samples)
    _write(folder / "results.csv", _csv(results))
    _write(folder / "report.md", _markdown(results, findings, drawn))
    shown = pages.data_url(curves, _CURVES_BYTES) if curves in drawn else None
    return _write(folder / "report.html", _page(results, findings, folder, shown))


def _write(path, text):
    with replacing(path) as temporary:
        Path(temporary).write_text(text, "utf-8", "replace", newline="")
    return str(path)


def _ordered(results):
    """The same results, with the baseline before the other arms."""
    arms = results["arms"]
    first = {k: v for k, v in arms.items() if k == results["baseline"]}
    return results | {"arms": first | arms}


def _csv(results):
    """In long form; a seed without values has one line, with its status."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["arm", "seed", "status", "step", "images", "metric", "value"])
    for name, arm in results["arms"].items():
        for seed in arm["seeds"]:
            head = [name, seed["seed"], seed["status"]]
            lines = [
                [*head, point["step"], point["images"], metric, point["values"][metric]]
                for metric in results["metrics"]
                for point in seed["curve"]
                if metric in point["values"]
            ]
            rows.writerows(lines or [[*head, "", "", "", ""]])
    return text.getvalue()


# --- report.md ------------------------------------------------------------------------


def _markdown(results, findings, drawn):
    say = findings_text
    parts = [f"## {say.title(results)}", _plain(say.introduction(results))]
    missing = say.missing(results)
    if missing:
        parts += ["### What is missing", _list(missing)]
    parts += ["### What is compared", _rows(say.overrides(results))]
    if findings:
        first, *others = findings
        parts += [
            f"### {_heading(first)}",
            _plain(" ".join(say.protocol(first))),
            _rows(say.details(results, first)),
        ]
        if others:
            parts += ["### Other metrics", _plain(say.OVERVIEW)]
            parts.append(_rows(say.overview(results, others)))
    for path in drawn:
        what = PICTURES[path.name]
        parts += [f"### {what}", f"![{what} of each arm]({path.name})"]
    parts += ["### What differs from the baseline"]
    parts.append(_list(say.differences(results, findings)))
    return "\n\n".join(parts) + "\n"


def _heading(finding):
    way = f"{finding.better} is better" if finding.better else "neither way better"
    return f"{finding.metric} ({way})"


def _plain(text):
    """The text with everything escaped that Markdown would interpret."""
    return re.sub(r"([\\|*`<~]|(?<!\w)_|_(?!\w))", r"\\\1", text)


def _list(lines):
    return "\n".join(f"- {_plain(line)}" for line in lines)


def _rows(table):
    lines = [[_plain(cell) for cell in row] for row in table]
    words = {"arm", "changes", "lost", "verdict"}
    rules = ["---" if cell in words else "--:" for cell in table[0]]
    return "\n".join(f"| {' | '.join(row)} |" for row in [lines[0], rules, *lines[1:]])


# --- report.html ----------------------------------------------------------------------


def _page(results, findings, folder, curves):
    say = findings_text
    tables = []
    for finding in findings:
        text = "".join(f"<p>{pages.escape(x)}</p>" for x in say.protocol(finding))
        table = _grid(say.details(results, finding), finding.verdicts)
        inner = f'<div class="quiet">{text}</div>{table}'
        if finding is findings[0]:
            tables.append(f"<h2>{pages.escape(_heading(finding))}</h2>{inner}")
        else:
            summary = f"<summary>{pages.escape(_heading(finding))}</summary>"
            tables.append(f"<details>{summary}{inner}</details>")
    if len(findings) > 1:
        overview = _grid(say.overview(results, findings))
        text = f'<p class="quiet">{pages.escape(say.OVERVIEW)}</p>'
        tables.insert(1, f"<h2>All metrics</h2>{text}{overview}")
    lacks = say.missing(results)
    return pages.fill(
        "ablation.html",
        title=pages.escape(say.title(results)),
        subtitle=pages.escape(say.introduction(results)),
        missing='<section class="warnings card"><h2>What is missing</h2>'
        f"{_items(lacks)}</section>"
        if lacks
        else "",
        overrides=_grid(say.overrides(results)),
        metrics="\n".join(tables) or '<p class="missing">Nothing is measured yet.</p>',
        curves=f'<figure class="card wide"><img class="curves" src="{curves}" '
        'alt="Learning curves, or values, of each arm"></figure>'
        if curves
        else '<p class="missing">Nothing is measured yet.</p>',
        differences=_items(say.differences(results, findings)),
        samples=_samples(results, folder),
        cost=_cost(results),
        protocol=pages.values_table(results["protocol"]),
        runs="\n".join(pages.values_table(run) for run in results["runs"])
        or pages.values_table({}),
    )


def _items(lines):
    return f"<ul>{''.join(f'<li>{pages.escape(line)}</li>' for line in lines)}</ul>"


def _grid(table, verdicts=None):
    """A table; rows of arms with a verdict are coloured by it."""
    head = "".join(f'<th scope="col">{pages.escape(cell)}</th>' for cell in table[0])
    rows = [f"<tr>{head}</tr>"]
    for name, *cells in table[1:]:
        verdict = (verdicts or {}).get(name)
        cells = "".join(f"<td>{pages.escape(cell)}</td>" for cell in cells)
        cells = cells.replace(" ± ", "&nbsp;±&nbsp;")
        kind = f' class="{verdict}"' if verdict else ""
        rows.append(f'<tr{kind}><th scope="row">{pages.escape(name)}</th>{cells}</tr>')
    text = "\n".join(rows)
    return f'<div class="wide card"><table class="grid">\n{text}\n</table></div>'


def _samples(results, folder):
    """A picture for each arm and seed, for as many seeds as the page has room for."""
    arms = results["arms"]
    n_seeds = max(1, _MOST_PICTURES // max(1, len(arms)))
    n_bytes = _SAMPLES_BYTES // max(
        1, sum(len(a["seeds"][:n_seeds]) for a in arms.values())
    )
    parts = []
    for name, arm in arms.items():
        figures = []
        for seed in arm["seeds"][:n_seeds]:
            text = f"seed {seed['seed']}"
            if seed["status"] != "finished":
                text += f": {seed['status']}"
            if "diverged_by_step" in seed:
                text += f" by step {seed['diverged_by_step']:,}"
            path = folder / seed["samples"] if seed.get("samples") else None
            picture = ""
            if path is not None and path.is_file():
                alt = pages.escape(f"Samples of {name}, {text}")
                source = _picture(path, n_bytes)
                picture = f'<img src="{source}" alt="{alt}" loading="lazy">'
            caption = f"<figcaption>{pages.escape(text)}</figcaption>"
            figures.append(f'<figure class="card">{picture}{caption}</figure>')
        left = len(arm["seeds"]) - len(figures)
        more = (
            f'<p class="quiet">and {left} more seeds, in samples/</p>' if left else ""
        )
        parts.append(f"<h3>{pages.escape(name)}</h3>")
        parts.append(f'<div class="samples">{"".join(figures)}</div>{more}')
    return "\n".join(parts) or '<p class="missing">No samples have been drawn yet.</p>'


def _picture(path, n_bytes):
    """A data URL of about n_bytes; if need be, smaller than `data_url` makes it."""
    source = pages.data_url(path, n_bytes)
    if len(source) < 1.5 * n_bytes:
        return source
    packed = io.BytesIO()
    with Image.open(path) as picture:
        picture.thumbnail((_SIDE, _SIDE))
        picture.save(packed, "WEBP", quality=75)
    return f"data:image/webp;base64,{base64.b64encode(packed.getvalue()).decode()}"


def _cost(results):
    arms = results["arms"]
    table = [["arm", "seeds", "time", "time of a seed", "trained in one program with"]]
    for name, arm in arms.items():
        n = sum(seed["status"] != "failed" for seed in arm["seeds"])
        with_ = [
            other
            for other, x in arms.items()
            if other != name and x["program"] == arm["program"] is not None
        ]
        table.append(
            [
                name,
                str(n),
                pages.duration(arm["seconds"]),
                pages.duration(arm["seconds"] / n) if n else "",
                ", ".join(with_),
            ]
        )
    total = pages.duration(sum(arm["seconds"] for arm in arms.values()))
    text = (
        f"In all {total}. The seeds of an arm, and arms that differ only in floats, "
        "are trained in one program; each has an equal share of its time, including "
        "compilation and evaluations."
    )
    return f'<p class="quiet">{pages.escape(text)}</p>{_grid(table)}'
