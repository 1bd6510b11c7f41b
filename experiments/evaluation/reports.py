"""How good a model is: all evaluators that a config names, in one report."""

from __future__ import annotations

import contextlib
import datetime
import functools
import inspect
import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from experiments.evaluation import evaluators, scores
from experiments.evaluation.failures import attempt, reason
from experiments.evaluation.result import Result
from experiments.evaluation.setting import Setting
from experiments.files import Lines, replacing
from gans import core, names

# Errors of a measurement that a user can correct.
ERRORS = (ValueError, OSError, RuntimeError)

Report = dict[str, Any]
Metric = str | Mapping[str, Any]


def named(metric: Metric, place: str = "config.metrics") -> tuple[str, dict[str, Any]]:
    """Returns name and options of a metric: "fid", or {"name": "pr", "k": 5}.

    Raises ValueError for an unknown name.
    """
    name, options = names.named(metric, place)
    names.check_file(name, evaluators.names(), place)
    return name, options


def check(metrics: Iterable[Metric], place: str = "config.metrics") -> None:
    """Raises ValueError for a metric that is not known."""
    for metric in metrics:
        named(metric, place)


def make_evaluate(
    gan: core.GAN,
    config,
    source,
    *,
    resize: str = "tf",
    weights: dict[str, str | None] | None = None,
    baseline: bool = False,
    equal_n: bool = True,
    folder: Path | None = None,
    samplers: Any = None,
) -> Callable[[core.State], Report]:
    """Returns evaluate(state) -> {"results", "failed", ...}, or {} of nothing.

    It draws config.n_evaluate samples (by the EMA) from latents that are always the
    same, of classes as frequent as in the data; what is made of examples is made of the
    test rows, each at most once, and compared with the test side (see `Setting`).
    Features of real images are computed once, and kept in the cache folder. A report
    holds

        results      {quantity: {"value", "better", ...}}
        failed       {metric: why it could not be computed, in one line}
        chosen_by    the quantity that chooses the best checkpoint: the first one of the
                     first metric; None if that metric failed
        protocol     what the results depend on
        warnings     what makes them weaker than they look

    of an output that is made of whole pictures also "each" {picture: {metric: value}},
    and with `baseline` also "baseline", the results of real images of the other side
    (test images against the training images that samples are compared with), computed
    once, and with `equal_n` besides "equal_n": {"column": its name, "results"}, of
    another output than "sample" "OUTPUT/equal_n". Pictures go to `folder`.
    `samplers` are those of the outputs, if not the model's own.

    Raises ValueError for a metric that is unknown, or that cannot be computed from
    these images or by this extractor; FileNotFoundError for weights that are not there.
    """
    if not config.metrics:
        return lambda state: {}
    check(config.metrics)
    setting = Setting(
        gan,
        source,
        config,
        resize=resize,
        weights=weights,
        baseline=baseline,
        equal_n=equal_n,
        folder=folder,
        samplers=samplers,
    )
    made = [_make(setting, metric) for metric in config.metrics]

    def evaluate(state):
        setting.begin()
        results, failed, chosen_by = {}, {}, None
        for i, (metric, output, evaluator) in enumerate(made):
            named = functools.partial(setting.named, output=output)
            found = attempt(functools.partial(_results, evaluator, state, named))
            if isinstance(found, Exception):
                failed[named(metric)] = reason(found, config)
                continue
            for name in results.keys() & found.keys():
                failed[named(metric)] = f"another metric gives {name} too"
            results |= {k: x for k, x in found.items() if k not in results}
            if i == 0:
                chosen_by = next(iter(found), None)
        report = {"results": results, "failed": failed, "chosen_by": chosen_by}
        report |= {"protocol": {}, "warnings": []}
        for images in setting.images.values():
            found = attempt(functools.partial(images.summary, state))
            if isinstance(found, Exception):
                found = {"warnings": [f"the baseline failed: {reason(found)}"]}
            report["warnings"] += found.pop("warnings", [])
            for part in ("protocol", "baseline"):
                if part in found:
                    report[part] = {**found.pop(part), **report.get(part, {})}
            report |= {key: x for key, x in found.items() if key not in report}
        frozen = {k: net.module.name for k, net in gan.nets.items() if net.frozen}
        known = {"frozen_networks": frozen} if frozen else {}
        report["protocol"] = {**setting.noted, **known, **report["protocol"]}
        for output, pairs in setting.pairs.items():
            for picture, values in pairs.each.items():
                own = report.setdefault("each", {}).setdefault(picture, {})
                own |= {setting.named(x, output): y for x, y in values.items()}
        report["warnings"] = list(dict.fromkeys(report["warnings"]))
        setting.end()
        return report

    return evaluate


def failing(metrics: Iterable[Metric], why: str) -> Callable[[core.State], Report]:
    """Returns an `evaluate` of data that have too few pixels, say, for any metric."""
    failed = {named(metric)[0]: why for metric in metrics}
    return lambda state: {"results": {}, "failed": failed, "warnings": []}


def _results(evaluator, state, named):
    """{name in the report: result, as JSON} of one metric."""
    found = evaluator(state)
    for name, result in found.items():
        names.wanted(result, Result, "results of an evaluator", name, "a Result")
    return {named(name): result.to_json() for name, result in found.items()}


def _make(setting, metric):
    """(its name, its output, the evaluator) of a metric."""
    name, options = named(metric, setting.place)
    make = evaluators.maker(name, setting.place)
    parameters = inspect.signature(make).parameters.values()
    if not any(p.kind is p.VAR_KEYWORD for p in parameters):
        types = names.options_of(make)
        own = {p.name for p in parameters if p.kind is p.KEYWORD_ONLY} - {"setting"}
        accepted = {option: types[option] for option in own}
        names.typed(accepted, options, f"{setting.place}: {name}")
    evaluator = make(
        setting.gan, setting.spec, setting.source, setting=setting, **options
    )
    return name, options.get("output", "sample"), evaluator


def values(report: Report) -> dict[str, float]:
    """Returns {"eval/NAME": value}, as metrics.jsonl has them."""
    return {f"eval/{name}": x["value"] for name, x in report["results"].items()}


def better(report: Report, step: int, best: dict | None) -> dict | None:
    """Returns {"step", "metric", "value"} if the first metric beats `best`."""
    metric = report.get("chosen_by", next(iter(report["results"]), None))
    if metric is None:  # it failed; another metric must not choose instead
        return None
    result = report["results"][metric]
    value = result["value"]
    if result["better"] is None or not np.isfinite(value):
        return None
    if best is not None and best["metric"] == metric:
        sign = 1 if result["better"] == "higher" else -1
        if not sign * value > sign * best["value"]:
            return None
    return {"step": step, "metric": metric, "value": value}


def write(workdir: Path, step: int, report: Report) -> None:
    """Adds a line to WORKDIR/evaluations.jsonl: the step, the time and the report.

    Raises OSError if it cannot be written; the lines before it stay as they are.
    """
    now = datetime.datetime.now().astimezone().isoformat(timespec="seconds")
    with contextlib.closing(Lines(workdir / "evaluations.jsonl")) as lines:
        lines.append({"step": step, "time": now, **report})


def show(
    report: Report,
    title: str,
    out: str | os.PathLike | None = None,
    *,
    table: str | None = None,
) -> int:
    """Prints a report as a table; what failed, and warnings, to stderr.

    Args:
      title: of the column with the results.
      out: a file that receives the whole report as JSON.
      table: printed instead of that of the results.

    Returns the exit code: 1 if every metric failed, else 0.
    """
    if out:
        with replacing(out) as temporary:
            Path(temporary).write_text(json.dumps(report, indent=2) + "\n")
    columns = {title: report["results"]}
    for key, found in report.items():
        if key.rpartition("/")[2] == "equal_n":
            columns.setdefault(found["column"], {}).update(found["results"])
    if "baseline" in report:
        columns["real images"] = report["baseline"]
    if table or report["results"]:
        print(table or scores.table(columns))
    if "each" in report and not table:
        print(f"\n{scores.table(_by_metric(report['each']))}")
    for warning in report["warnings"]:
        print(f"warning: {warning}", file=sys.stderr)
    failed = report.get("failed", {})
    for name, why in failed.items():
        print(f"failed: {name}: {why}", file=sys.stderr)
    return int(bool(failed) and not report["results"])


def _by_metric(each):
    """{metric: {picture: result}}, the columns of a table."""
    return {
        metric: {picture: {"value": own[metric]} for picture, own in each.items()}
        for metric in next(iter(each.values()))
    }
