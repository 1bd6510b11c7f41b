"""The scores of a run as a table: what each means, its last and its best value."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from experiments import pages
from experiments.pages import trends

_COLUMNS = ("Score", "Last", "Best", "Better", "Test images", "What it means")


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
        rows.append(_row(name, cells))
    for name, reason in failed.items():
        failed_cells = (f"failed: {reason}", "", "", "", meanings.get(name, ""))
        rows.append(_row(name, failed_cells, "failed"))
    if not rows:
        return (
            '<p class="missing">Nothing has been scored: name scores by config.metrics'
            " or by experiments.evaluate --metrics.</p>"
        )
    head = "".join(f'<th scope="col">{x}</th>' for x in _COLUMNS)
    doubts = evaluations[-1].get("warnings", ()) if evaluations else ()
    notes = "".join(f"<li>{pages.escape(x)}</li>" for x in dict.fromkeys(doubts))
    return (
        f'<table class="card scores"><thead><tr>{head}</tr></thead>\n'
        f"<tbody>{''.join(rows)}</tbody></table>"
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


def baseline(evaluations) -> dict[str, float]:
    """{score: that of the data's test images}, where it was measured."""
    found = {}
    for evaluation in evaluations:
        for name, result in (evaluation.get("baseline") or {}).items():
            if _number(result.get("value")):
                found[name] = result["value"]
    return found


def _number(value):
    """A number in few characters; None if it is none, or not finite."""
    return pages.short(value) if trends.finite(value) else None


def _row(name, cells, kind=""):
    shown = [
        f'<td data-label="{label}">{pages.escape(cell)}</td>' if cell else "<td></td>"
        for label, cell in zip(_COLUMNS[1:], cells, strict=True)
    ]
    named = pages.escape(name).replace("_", "_<wbr>")
    kind = f' class="{kind}"' if kind else ""
    return f'<tr{kind}><th scope="row">{named}</th>{"".join(shown)}</tr>\n'
