"""A model beside others and beside baselines: what its scores are worth."""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from experiments.evaluation import baselines, scores
from experiments.evaluation.reports import Report, make_evaluate
from experiments.files import replacing
from experiments.sampling.model import Model

REAL = "real images of the other side"
_ARROWS = {"lower": " ↓", "higher": " ↑", None: ""}
_BOLD = 2  # rows from which the best of each column is marked


def others(
    model: Model,
    config: Any,
    *,
    beside: Iterable[str | os.PathLike] = (),
    with_baselines: bool = False,
    trained_on: str,
    **options: Any,
) -> dict[str, Report]:
    """Returns {what it is: its report}, of other runs and of baselines.

    Args:
      model: whose test rows and metrics they share.
      config: its run's, with these metrics.
      beside: folders of other runs, whose last checkpoints are taken.
      with_baselines: whether to measure those that these outputs have.
      trained_on: the data that the other runs must have been trained on.
      options: of `make_evaluate`.

    Raises ValueError for a run of other data, FileNotFoundError without one.
    """
    found = {}
    for folder in beside:
        other = Model.load(folder)
        wanted = {"data": trained_on, "spec": config.get("spec")}
        for key, ours in wanted.items():
            if ours != (theirs := other.config.get(key)):
                ours, theirs = (_plain(x) for x in (ours, theirs))
                raise ValueError(
                    f"--beside={folder}: config.{key} is {theirs}, here it is {ours}"
                )
        evaluate = make_evaluate(other.gan, config, model.data, **options)
        step = f"{os.fspath(folder)}, step {int(other.state.step):,}"
        found[step] = evaluate(other.state)
    if not with_baselines:
        return found
    for name, kind in baselines.KINDS.items():
        samplers = baselines.Baselines(model.samplers, model.data, kind)
        evaluate = functools.partial(
            make_evaluate, model.gan, source=model.data, samplers=samplers, **options
        )
        can = [x for x in config.metrics if _can(evaluate, config, x)]
        if can:
            found[name] = evaluate(_of_metrics(config, can))(model.state)
    if not found.keys() & baselines.KINDS.keys():
        raise ValueError(
            "--baselines: no metric is of an output that is made of examples of "
            f"something else; the metrics are {', '.join(map(_name, config.metrics))}"
        )
    return found


def _name(metric):
    return metric if isinstance(metric, str) else metric["name"]


def _plain(value):
    return value.to_dict() if hasattr(value, "to_dict") else value


def _of_metrics(config, metrics):
    config = config.copy_and_resolve_references()
    with config.unlocked(), config.ignore_type():
        config.metrics = tuple(metrics)
    return config


def _can(evaluate, config, metric):
    """Whether a baseline has what a metric measures."""
    try:
        evaluate(_of_metrics(config, [metric]))
    except ValueError:
        return False
    return True


def markdown(report: Report) -> str:
    """Returns a report with "title" and "others" as a table with its protocol."""
    rows = {report["title"]: report["results"]}
    rows |= {other: x["results"] for other, x in report["others"].items()}
    if report.get("baseline"):
        rows[REAL] = report["baseline"]
    columns = list(dict.fromkeys(x for results in rows.values() for x in results))
    better = {x: _better(x, rows.values()) for x in columns}
    head = ["", *(f"{x}{_ARROWS[better[x]]}" for x in columns)]
    lines = [head, ["---"] * len(head)]
    best = {
        x: _best(x, better[x], {k: r for k, r in rows.items() if k != REAL})
        for x in columns
    }
    for row, results in rows.items():
        cells = [_cell(results.get(x), best[x] == row) for x in columns]
        lines.append([row, *cells])
    parts = [_table(lines), protocol(report)]
    if report.get("each"):
        parts.insert(1, _table(_each(report)))
    return "\n\n".join(parts)


def _table(lines):
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _each(report):
    """The lines of a table of single pictures: the model's, below it the others'."""
    reports = {report["title"]: report, **report["others"]}
    metrics = list(next(iter(report["each"].values())))
    lines = [["picture", "", *metrics], ["---"] * (2 + len(metrics))]
    for picture in report["each"]:
        for title, other in reports.items():
            found = other.get("each", {}).get(picture)
            if found:
                cells = (f"{found[x]:.4g}" if x in found else "-" for x in metrics)
                lines.append([picture, title, *cells])
    return lines


def _better(name, rows):
    return next(x[name]["better"] for x in rows if name in x)


def _best(name, better, rows):
    """The row with the best value, if there are several to choose from."""
    values = {row: x[name]["value"] for row, x in rows.items() if name in x}
    if better is None or len(values) < _BOLD:
        return None
    return (max if better == "higher" else min)(values, key=values.get)


def _cell(result, best):
    shown = scores.shown(result)
    return f"**{shown}**" if best else shown


def protocol(report: Report) -> str:
    """Returns what the numbers of a report depend on, as a list in Markdown."""
    found: dict[str, Any] = dict(report["protocol"])
    for name, result in report["results"].items():
        own = {
            k: x
            for k, x in result.items()
            if k not in ("value", "standard_error", "better", "seconds")
        }
        if own:
            found[name] = own
    lines = [f"- {key}: {_said(x)}" for key, x in found.items()]
    return "\n".join(
        ["± is one standard error over the images. Protocol:", "", *lines, ""]
    )


def _said(value):
    if isinstance(value, Mapping):
        return ", ".join(f"{k} {_said(x)}" for k, x in value.items())
    return value if isinstance(value, str) else json.dumps(value)


def write(path: Path, text: str) -> None:
    """Writes a table into a file."""
    with replacing(path) as temporary:
        Path(temporary).write_text(text, "utf-8")
