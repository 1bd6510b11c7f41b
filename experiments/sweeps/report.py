"""The report of a sweep: a page, a table and a picture, from its sweep.json."""

from __future__ import annotations

import base64
import csv
import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

from experiments import pages
from experiments.files import replacing
from experiments.sweeps import figures

N_BEST = 10  # trials in report.md
STATUS = ("finished", "pruned", "failed", "not finished")


def write(workdir: str | os.PathLike) -> str:
    """Writes report.html, report.md, sweep.csv and sweep.png of WORKDIR/sweep.json.

    Returns the page's path. Raises FileNotFoundError if there is no sweep.json.
    """
    workdir = Path(workdir)
    if not (workdir / "sweep.json").is_file():
        raise FileNotFoundError(f"no trial of {workdir} has ended yet")
    sweep = json.loads((workdir / "sweep.json").read_text())
    with replacing(workdir / "sweep.csv") as path, open(path, "w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows(sweep))
    with replacing(workdir / "sweep.png") as path:
        figures.draw(path, sweep)
    with replacing(workdir / "report.md") as path:
        Path(path).write_text(_markdown(sweep), "utf-8", "replace")
    with replacing(workdir / "report.html") as path:
        picture = (workdir / "sweep.png").read_bytes()
        Path(path).write_text(_page(sweep, picture), "utf-8", "replace")
    return str(workdir / "report.html")


def ranked(sweep: dict[str, Any]) -> list[dict[str, Any]]:
    """Returns the finished trials, the best first; of equal ones the earlier first."""
    sign = 1 if sweep["better"] == "lower" else -1
    done = [trial for trial in sweep["trials"] if trial["status"] == "finished"]
    return sorted(done, key=lambda trial: (sign * trial["final"], trial["number"]))


def rows(sweep: dict[str, Any]) -> list[list[Any]]:
    """Returns the lines of sweep.csv: a header, and every trial."""
    keys = list(sweep["protocol"]["space"])
    others = sorted({name for trial in sweep["trials"] for name in trial["values"]})
    others = [name for name in others if name != sweep["objective"]]
    head = ["trial", "status", "final", "best", "best_step", *keys, *others]
    lines = [[*head, "seconds", "error"]]
    for trial in sweep["trials"]:
        best = trial["best"] or {}
        lines.append(
            [
                trial["number"],
                trial["status"],
                trial["final"],
                best.get("value"),
                best.get("step"),
                *(trial["params"][key] for key in keys),
                *(trial["values"].get(name) for name in others),
                trial.get("seconds"),
                trial["error"],
            ]
        )
    return lines


# --- text -----------------------------------------------------------------------------


def _title(sweep):
    return f"Sweep of {sweep['name']}" + f", {sweep['preset']}" * bool(sweep["preset"])


def _count(sweep):
    counts = Counter(trial["status"] for trial in sweep["trials"])
    found = ", ".join(f"{counts[name]} {name}" for name in STATUS if counts[name])
    missing = sweep["n_trials"] - counts["finished"] - counts["pruned"]
    still = f"; {missing} of {sweep['n_trials']} still to come" if missing > 0 else ""
    return f"{len(sweep['trials'])} trials: {found or 'none yet'}{still}"


def _protocol(sweep):
    """The protocol, in sentences."""
    known, metric = sweep["protocol"], _name(sweep)
    most = "lowest" if sweep["better"] == "lower" else "highest"
    how = {"tpe": "the tree-structured Parzen estimator", "random": "at random"}
    sentences = [
        f"The objective is the {most} {metric} after {sweep['steps']:,} steps.",
        f"Values are drawn by {how[known['sampler']]} (seed {known['seed']})."
        if known["sampler"] == "tpe"
        else f"Values are drawn at random (seed {known['seed']}).",
    ]
    if known["prune"]:
        # It imports Optuna, which is optional.
        from experiments.sweeps.search import STARTUP, WARM_UP

        sentences.append(
            f"After {WARM_UP:.0%} of the steps, and once {STARTUP} trials have "
            f"finished, a trial is pruned whose best {metric} so far is worse than the "
            "median of the others at the same step."
        )
    sentences.append(
        f"Each trial is one run, with seed {known['config']['seed']}: the best of many "
        "looks better than it is. Train it again with other seeds before trusting its "
        "value."
    )
    return " ".join(sentences)


def _name(sweep):
    return sweep["objective"].removeprefix("eval/")


def _again(sweep, trial):
    where = f"runs/{sweep['name']}-sweep-best"
    return f"{trial['command']} --workdir={where}"


def _cells(sweep, trial):
    best = trial["best"] or {}
    shown = f"{pages.short(best['value'])} (step {best['step']:,})" if best else "-"
    final = "-" if trial["final"] is None else pages.short(trial["final"])
    return [str(trial["number"]), final, shown, *map(_value, trial["params"].values())]


def _value(x):
    return pages.short(x) if isinstance(x, float) else str(x)


def _header(sweep):
    metric, keys = _name(sweep), list(sweep["protocol"]["space"])
    return ["trial", f"final {metric}", "best in training", *keys]


def _failures(sweep):
    failed = [x for x in sweep["trials"] if x["status"] == "failed"]
    return [f"trial {x['number']}: {x['error']}" for x in failed]


# --- Markdown -------------------------------------------------------------------------


def _markdown(sweep):
    best = ranked(sweep)
    parts = [f"# {_title(sweep)}", f"{_count(sweep)}.", _protocol(sweep)]
    if best:
        header = _header(sweep)
        lines = [header, ["---:"] * 3 + ["---"] * (len(header) - 3)]
        lines += [_cells(sweep, trial) for trial in best[:N_BEST]]
        if len(best) > N_BEST:
            parts.append(f"The best {N_BEST} of {len(best)} that have finished:")
        parts.append("\n".join(f"| {' | '.join(line)} |" for line in lines))
        parts.append("The best one again:")
        parts.append(f"```\n{_again(sweep, best[0])}\n```")
    if sweep["importances"]:
        parts.append(
            "Share of the variance of the final values that each explains (fANOVA):"
        )
        lines = [["key", "share"], ["---", "---:"]]
        lines += [[k, f"{x:.0%}"] for k, x in sweep["importances"].items()]
        parts.append("\n".join(f"| {' | '.join(line)} |" for line in lines))
    parts.append("![history, curves, and each key against the final value](sweep.png)")
    space = sweep["protocol"]["space"].items()
    parts.append("\n".join(["The space:", "", *(f"- `{k}={x}`" for k, x in space)]))
    failures = _failures(sweep)
    if failures:
        parts.append("\n".join(["Failed:", "", *(f"- {x}" for x in failures)]))
    return "\n\n".join(parts) + "\n"


# --- HTML -----------------------------------------------------------------------------


def _page(sweep, picture):
    best = ranked(sweep)
    code = base64.b64encode(picture).decode()
    known = sweep["protocol"]
    shown = {key: x for key, x in known.items() if key not in ("config", "space")}
    run = next(({k: x[k] for k in ("hardware", "versions")} for x in best), {})
    return pages.fill(
        "sweep.html",
        title=pages.escape(_title(sweep)),
        subtitle=pages.escape(_count(sweep)),
        figures=_figures(sweep, best),
        protocol=pages.escape(_protocol(sweep)),
        picture=f"data:image/png;base64,{code}",
        trials=_trials(sweep, best),
        failures=_failed(sweep),
        again=pages.escape(
            _again(sweep, best[0]) if best else "No trial has finished yet."
        ),
        command=pages.escape(sweep["command"]),
        space=pages.values_table(known["space"]),
        importances=pages.values_table(
            {key: f"{x:.0%}" for key, x in (sweep["importances"] or {}).items()}
        ),
        protocol_values=pages.values_table(shown | run),
        config=pages.values_table(known["config"]),
    )


def _figures(sweep, best):
    seconds = sum(trial.get("seconds", 0) for trial in sweep["trials"])
    figures = {"Trials": len(sweep["trials"])}
    if best:
        figures[f"Best final {_name(sweep)}"] = pages.short(best[0]["final"])
        figures["Of trial"] = best[0]["number"]
        figures["Finished trials took"] = pages.duration(seconds)
    return "\n".join(
        f"<div><dt>{pages.escape(name)}</dt><dd>{pages.escape(value)}</dd></div>"
        for name, value in figures.items()
    )


def _failed(sweep):
    failures = _failures(sweep)
    if not failures:
        return ""
    items = "".join(f"<li>{pages.escape(x)}</li>" for x in failures)
    return (
        '<section class="warnings card" aria-labelledby="failed">'
        f'<h2 id="failed">Failed</h2><ul>{items}</ul></section>'
    )


def _trials(sweep, best):
    """A table of all trials, the best first, whose columns sort by number."""
    others = [trial for trial in sweep["trials"] if trial not in best]
    head = [*_header(sweep), "status", "seconds"]
    cells = "".join(
        f'<th scope="col"><button type="button">{pages.escape(x)}</button></th>'
        for x in head
    )
    lines = [f"<thead><tr>{cells}</tr></thead>", "<tbody>"]
    for trial in [*best, *others]:
        order = [trial["number"], trial["final"], (trial["best"] or {}).get("value")]
        order += [*trial["params"].values(), trial["status"], trial.get("seconds")]
        shown = [*_cells(sweep, trial), trial["status"]]
        shown.append(pages.short(trial.get("seconds")) or "-")
        shown[0] = f'<a href="trials/{trial["number"]:04d}/report.html">{shown[0]}</a>'
        lines.append(
            "<tr>"
            + "".join(
                f'<td data-value="{pages.escape("" if value is None else value)}">'
                f"{text if i == 0 else pages.escape(text)}</td>"
                for i, (value, text) in enumerate(zip(order, shown, strict=True))
            )
            + "</tr>"
        )
    return "\n".join([*lines, "</tbody>"])
