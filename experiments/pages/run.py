"""The page of a run: WORKDIR/report.html, one file that needs nothing else."""

from __future__ import annotations

import datetime
import json
import os
import pathlib
import re
import shlex
import time
from typing import Any, NamedTuple

import numpy as np

from experiments import pages
from experiments.files import replacing
from experiments.pages import curves, data, evidence, samples, scores, trends
from experiments.pages import verdict as verdicts
from experiments.sampling import pictures

_FORMER = re.compile(r"/(real|fake|gap)$")
_N_WARNINGS = 20
_PAUSE = 10.0  # seconds between two pages of a run that is being trained
_SHARE = 0.05  # of its time at most is spent on them


class Written(NamedTuple):
    """What a run has written: its config, its manifest, its logs; {} or [] if not."""

    config: dict[str, Any]
    run: dict[str, Any]
    records: list[dict[str, Any]]
    evaluations: list[dict[str, Any]]


def read(folder: pathlib.Path) -> Written:
    """Reads the files of a run; a line that is still being written is left out."""
    return Written(
        _read(folder / "config.json"),
        _read(folder / "run.json"),
        # Older runs have d/real, d/fake and d/gap, which are d/score_real, ... now.
        [
            {_FORMER.sub(r"/score_\1", k): x for k, x in record.items()}
            for record in _lines(folder / "metrics.jsonl")
        ],
        _lines(folder / "evaluations.jsonl"),
    )


def verdict(workdir: str | os.PathLike) -> verdicts.Verdict:
    """Returns the verdict on a run, see `experiments.pages.verdict`."""
    return verdicts.verdict(*read(pathlib.Path(workdir)))


def write(workdir: str | os.PathLike) -> str:
    """Writes WORKDIR/report.html from the run's files, and returns its path.

    Whatever is not there yet (metrics, samples, config.json, run.json) is left out.
    Raises FileNotFoundError if there is no such folder.
    """
    folder = pathlib.Path(workdir)
    if not folder.is_dir():
        raise FileNotFoundError(f"no such workdir: {folder}")
    config, run, records, evaluations = written = read(folder)
    judged = verdicts.verdict(*written)
    step = evidence.Seen(*written).step
    drawn, frames = samples.samples(folder)
    where = shlex.quote(os.fspath(workdir))
    resume = run.get("command") or (
        f"python -m experiments.run --config={config.get('variant', 'NAME')}"
        f" --workdir={where}"
    )
    of = curves.curves_of(records)
    last, _ = scores.latest(evaluations)
    measured = {x.removeprefix("eval/") for x in of if x.startswith("eval/")} | {*last}
    meanings = _meanings(measured)
    figures = curves.main(
        of,
        boundary=evidence.has_boundary(config),
        meanings=meanings,
        baseline=scores.baseline(evaluations),
        breaks=trends.breaks(evaluations),
        of={name: _of(result) for name, (_, result) in last.items()},
        changes=data.marks(run),
    )
    text = pages.fill(
        "run.html",
        title=pages.escape(
            f"{config.get('variant', 'GAN')} on {config.get('data', '?')}"
        ),
        subtitle=pages.escape(_subtitle(step, config, run, folder)),
        data=pages.escape(data.sentence(config, run)),
        verdict=_verdict(judged),
        warnings=_warnings(run.get("warnings")),
        figures=_figures(step, config, run, records),
        samples=drawn,
        frames=frames,
        scores=scores.table(evaluations, of, meanings) + scores.beside(evaluations),
        curves=_gallery(figures),
        diagnostics=_diagnostics(curves.diagnostics(of, data.marks(run))),
        memorisation=samples.memorisation(folder, evaluations),
        resume=pages.escape(resume),
        sample=pages.escape(f"python -m experiments.sample --workdir={where} --n=64"),
        translate=_translate(config, where),
        config=pages.values_table(config),
        manifest=pages.values_table({k: v for k, v in run.items() if k != "warnings"}),
    )
    path = folder / "report.html"
    with replacing(path) as temporary:
        pathlib.Path(temporary).write_text(text, "utf-8", "replace")
    return str(path)


def report(workdir: str | os.PathLike) -> str:
    """Writes the page of a run; returns the verdict, unless "done", and where it is.

    Whatever is wrong with the page is told instead: a training must not end by it.
    """
    try:
        where, judged = write(workdir), verdict(workdir)
    except Exception as error:
        from experiments.evaluation.failures import reason  # slow to import

        return f"report.html could not be written: {reason(error)}"
    said = "" if judged.kind == "done" else f"{judged.headline}. "
    return f"{said}Report: {where}"


class Live:
    """The page of a run that is being trained.

    It is written again when there are new samples, but only so often that it takes at
    most a twentieth of the time.
    """

    def __init__(self, workdir: pathlib.Path):
        self._workdir, self._due = workdir, 0.0

    def refresh(self) -> None:
        """Writes the page if it is due."""
        began = time.monotonic()
        if began >= self._due:
            report(self._workdir)
            took = time.monotonic() - began
            self._due = time.monotonic() + max(_PAUSE, took / _SHARE)


def _read(path):
    return json.loads(path.read_text()) if path.exists() else {}


def _lines(path):
    """The lines of a file that are whole, and have a step."""
    records = []
    for line in path.read_text().splitlines() if path.exists() else []:
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if isinstance(record, dict) and "step" in record:
            records.append(record)
    return records


def _of(result):
    """What a count is of: modes, classes; None of another score."""
    return result.get("of", result.get("n_classes"))


def _meanings(names):
    """{score: sentence}; evaluators are imported only if there are scores."""
    if not names:
        return {}
    from experiments.evaluation import evaluators

    return {name: evaluators.meaning(name) for name in names}


# --- figures and tables ---------------------------------------------------------------


def _subtitle(step, config, run, folder):
    """How far the run is, its status, and of when that is."""
    steps, status = config.get("steps"), run.get("status", "")
    parts = [f"step {step:,} of {steps:,}" if steps else f"step {step:,}"]
    parts += [status.partition("; the metrics")[0]] if status else []
    log, when = folder / "metrics.jsonl", run.get("stop", "")
    if status == "running" and log.exists():  # run.json is written seldom
        when = datetime.datetime.fromtimestamp(log.stat().st_mtime).isoformat()
    parts += [when[:16].replace("T", " ")] if when else []
    return " · ".join(parts) + (": reload for what is new" * (status == "running"))


def _verdict(judged):
    """The verdict in a box of its colour."""
    found = "".join(f"<li>{pages.escape(x)}</li>" for x in judged.evidence)
    found = f"<ul>{found}</ul>" if found else ""
    advice = f"<p>Try {pages.escape(judged.advice)}.</p>" if judged.advice else ""
    return f"""<section class="verdict card {judged.tone}" aria-labelledby="verdict">
<h2 id="verdict">{pages.escape(judged.headline)}</h2>
{found}{advice}
</section>"""


def _figures(step, config, run, records):
    """The key figures, without the unknown ones."""
    what = _examples(config)
    seen = run.get("examples") or step * config.get("batch_size", 0)
    speed = {
        key: run.get(key) or _median(records, key)
        for key in ("steps_per_s", "images_per_s")
    }
    peak = run.get("peak_memory_bytes")
    seconds = run.get("seconds") or max(_values(records, "seconds"), default=None)
    figures = {
        "Steps": f"{step:,}",
        f"{what} seen": f"{seen:,}" if seen else None,
        "Steps per second": pages.short(speed["steps_per_s"]),
        f"{what} per second": pages.short(speed["images_per_s"]),
        "Time": pages.duration(seconds),
        "To the first step": pages.duration(run.get("seconds_to_first_step")),
        "Peak memory": f"{peak / 2**20:,.0f} MiB" if peak else None,
        "Hardware": run.get("hardware"),
    }
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
    try:
        (kind,) = kinds
        return pictures.of_kind(kind).PLURAL
    except (ValueError, AttributeError):  # several, or one without a picture
        return "Examples"


def _translate(config, where):
    """The command for pictures of the user's own, if the data have images of two."""
    fields = (config.get("spec") or {}).values()
    images = [field for field in fields if field["kind"] == "image"]
    if len(images) < 2:
        return ""
    alike = len({tuple(field.get("shape", ())[:2]) for field in images}) == 1
    what, command = ("Translate", "translate") if alike else ("Enlarge", "upscale")
    text = f"python -m experiments.{command} --workdir={where} --input=FOLDER "
    text = pages.escape(text + "--out=FOLDER")
    return f'<p>{what} pictures:</p>\n<pre class="card">{text}</pre>'


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


def _gallery(figures):
    if not figures:
        return '<p class="missing">Nothing has been measured yet.</p>'
    return f'<div class="curves">\n{"".join(figures)}</div>'


def _diagnostics(figures):
    if not figures:
        return ""
    return f"<details>\n<summary>Diagnostics</summary>\n{_gallery(figures)}\n</details>"


def _values(records, key):
    return [r[key] for r in records if trends.finite(r.get(key))]


def _median(records, key):
    values = _values(records, key)
    return float(np.median(values)) if values else None
