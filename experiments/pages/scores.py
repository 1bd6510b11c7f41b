"""The scores of a run as a table: what each means, its last and its best value."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from experiments import pages
from experiments.pages import trends

# Of cells, for the style of the page.
_CLASSES = ("", "", "better", "", "meaning")
_COLUMNS = ("Score", "Last", "Best", "Better", "Real images", "What it means")


def table(
    evaluations: Iterable[Mapping[str, Any]],
    curves: Mapping[str, list[tuple[int, float]]],
    meanings: Mapping[str, str],
) -> str:
    """Returns the scores, failed ones and warnings as HTML.

    Args:
      evaluations: the lines of evaluations.jsonl.
      curves: of metrics.jsonl; older runs have their scores only there.
      meanings: a sentence for each score.
    """
    evaluations = list(evaluations)
    last, failed = latest(evaluations)
    compared, tested = trends.scores(evaluations), baseline(evaluations)
    for name, points in curves.items():
        if name.startswith("eval/"):
            step, value = points[-1]
            known = name.removeprefix("eval/")
            last.setdefault(known, (step, {"value": value}))
    rows = []
    for name, (step, result) in last.items():
        points, better = compared.get(name, ()), result.get("better")
        sign = 1 if better == "higher" else -1
        best = max(points, key=lambda x: sign * x[1], default=None)
        shown = pages.short(best[1]) + f" at {best[0]:,}" if best else ""
        value, error = _number(result.get("value")), result.get("standard_error")
        if value and error:
            value += f" ± {error:.2g}"
        test = tested.get(name)
        cells = (
            f"{value or 'not a number'} at {step:,}",
            shown,
            better or "neither",
            "" if test is None else pages.short(test),
            meanings.get(name, ""),
        )
        rows.append((name, cells, ""))
    for name, reason in failed.items():
        failed_cells = (f"failed: {reason}", "", "", "", meanings.get(name, ""))
        rows.append((name, failed_cells, "failed"))
    if not rows:
        return (
            '<p class="missing">Nothing has been scored: name scores by config.metrics'
            " or by experiments.evaluate --metrics.</p>"
        )
    # A column without any value says nothing; older runs have no directions, say.
    shown = [
        i for i in range(len(_COLUMNS) - 1) if any(cells[i] for _, cells, _ in rows)
    ]
    head = "".join(
        f'<th scope="col">{x}</th>'
        for x in (_COLUMNS[0], *(_COLUMNS[i + 1] for i in shown))
    )
    body = "".join(_row(name, cells, shown, kind) for name, cells, kind in rows)
    newest = evaluations[-1] if evaluations else {}
    doubts = [*newest.get("warnings", ())]
    # Where the scores of real images are, or that there are none.
    doubts += [
        f"real images: {said}"
        for key, said in (newest.get("protocol") or {}).items()
        if key.rpartition("/")[2] == "baseline"
    ]
    notes = "".join(f"<li>{pages.escape(x)}</li>" for x in dict.fromkeys(doubts))
    return (
        f'<table class="card scores"><thead><tr>{head}</tr></thead>\n'
        f"<tbody>{body}</tbody></table>"
        + (f'\n<ul class="quiet">{notes}</ul>' if notes else "")
    )


def latest(evaluations):
    """({score: (step, result)} of the newest state, {score: reason} of the failed)."""
    last, failed = {}, {}
    for evaluation in sorted(evaluations, key=lambda x: x.get("step", 0)):
        for name, result in evaluation.get("results", {}).items():
            last[name] = evaluation.get("step", 0), result
            failed.pop(name, None)
        for name, reason in (evaluation.get("failed") or {}).items():
            failed[name] = reason
    return last, failed


def beside(evaluations: Iterable[Mapping[str, Any]]) -> str:
    """Returns the newest table of a run beside others and baselines, as HTML, or ""."""
    found = [x for x in evaluations if x.get("others")]
    if not found:
        return ""
    last = found[-1]
    rows = {last.get("title", "samples"): last.get("results", {})}
    rows |= {name: x.get("results", {}) for name, x in last["others"].items()}
    if last.get("baseline"):
        rows["real images of the other side"] = last["baseline"]
    names = list(dict.fromkeys(name for results in rows.values() for name in results))
    head = "".join(
        f'<th scope="col">{pages.escape(x).replace("_", "_<wbr>")}</th>'
        for x in ("", *names)
    )
    body = "".join(
        f'<tr><th scope="row">{pages.escape(name)}</th>'
        + "".join(_beside(results.get(x), x) for x in names)
        + "</tr>\n"
        for name, results in rows.items()
    )
    return (
        '<h3>Beside others</h3>\n<table class="card scores beside"><thead><tr>'
        f"{head}</tr></thead>\n<tbody>{body}</tbody></table>"
    )


def _beside(result, label):
    value = result and _number(result.get("value"))
    if not value:
        return "<td></td>"
    error = result.get("standard_error")
    text = f"{value} ± {error:.2g}" if error else value
    return f'<td data-label="{pages.escape(label)}">{text}</td>'


def baseline(evaluations) -> dict[str, float]:
    """{score: that of real images of the other side}, where it was measured."""
    found = {}
    for evaluation in evaluations:
        for name, result in (evaluation.get("baseline") or {}).items():
            if _number(result.get("value")):
                found[name] = result["value"]
    return found


def _number(value):
    """A number in few characters; None if it is none, or not finite."""
    return pages.short(value) if trends.finite(value) else None


def _row(name, cells, columns, kind=""):
    shown = [
        f'<td class="{_CLASSES[i]}" data-label="{_COLUMNS[i + 1]}">'
        f"{pages.escape(cells[i])}</td>"
        if cells[i]
        else "<td></td>"
        for i in columns
    ]
    named = pages.escape(name).replace("_", "_<wbr>")
    kind = f' class="{kind}"' if kind else ""
    return f'<tr{kind}><th scope="row">{named}</th>{"".join(shown)}</tr>\n'
