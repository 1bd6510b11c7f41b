"""Evaluates what a run has trained: what `experiments.evaluate` does."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path

from experiments import config as configs
from experiments.evaluation import gallery as galleries
from experiments.evaluation import reports, tables
from experiments.files import Lines
from experiments.pages import run as page
from experiments.rundir import restore
from experiments.sampling.model import Model

ERRORS = reports.ERRORS  # of the command


def evaluate_run(
    workdir: str | os.PathLike,
    *,
    checkpoint: str = "last",
    n: int | None = None,
    metrics: tuple[reports.Metric, ...] | None = None,
    extractor: str | None = None,
    resize: str = "tf",
    weights: dict[str, str | None] | None = None,
    recalibrate: bool = False,
    beside: Iterable[str | os.PathLike] = (),
    baselines: bool = False,
    gallery: bool = False,
    data: str | None = None,
) -> reports.Report:
    """Evaluates a checkpoint of a run; returns the report, and adds it to the run's.

    Arguments are those of `experiments.evaluate`; None means the value in the run's
    config. With `beside` or `baselines` the report has "others", {name: report}; with
    `gallery` it has "gallery", the path of the page.
    Raises FileNotFoundError without a run, checkpoint or weights; ValueError for the
    rest.
    """
    folder = Path(workdir)
    config = restore.config_of(folder)
    if metrics is None:
        metrics = config.metrics
    metrics = configs.expand(tuple(metrics), "--metrics")
    if not metrics:
        raise ValueError(
            "no metrics: the run's config has none; name some by --metrics"
        )
    reports.check(metrics)
    restore.step_of(folder, checkpoint)
    model = Model.load(folder, checkpoint, recalibrate=recalibrate)
    trained_on = model.config.data
    if data is not None:
        model = model.on(data)
    config = model.config.copy_and_resolve_references()
    with config.unlocked(), config.ignore_type():
        config.metrics = metrics
        if n is not None:
            config.n_evaluate = n
        if extractor is not None:
            config.extractor = extractor
    options = {"resize": resize, "weights": weights}
    evaluate = reports.make_evaluate(
        model.gan,
        config,
        model.data,
        baseline=True,
        folder=folder,
        samplers=model.samplers,
        **options,
    )
    report = evaluate(model.state)
    report["protocol"]["recalibrated"] = recalibrate
    if data is not None:
        report["protocol"]["data"] = data
    if beside or baselines:
        report["others"] = tables.others(
            model,
            config,
            beside=beside,
            with_baselines=baselines,
            trained_on=trained_on,
            **options,
        )
        report["title"] = f"{config.variant}, step {int(model.state.step):,}"
        tables.write(folder / "comparison.md", tables.markdown(report))
    if gallery:
        report["gallery"] = galleries.write(model, config, folder)
    step = int(model.state.step)
    reports.write(folder, step, report)
    if data is None:  # curves are of one set
        with contextlib.closing(Lines(folder / "metrics.jsonl")) as lines:
            lines.append({"step": step, **reports.values(report)})
    page.report(folder)  # shows these scores, too
    return report


def show(
    report: reports.Report, title: str, out: str | os.PathLike | None = None
) -> int:
    """Prints a report, see `reports.show`; one with "others" as a table in Markdown."""
    table = tables.markdown(report) if "others" in report else None
    code = reports.show(report, title, out, table=table)
    if "gallery" in report:
        print(report["gallery"])
    return code
