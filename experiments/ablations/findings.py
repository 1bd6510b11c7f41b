"""Findings of an ablation: summaries and tests, in words and as tables."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from experiments.ablations import significance
from experiments.evaluation.result import without_rounding
from experiments.pages import flat, short

ALPHA = 0.05
_MARKS = {"better": "▲", "worse": "▼", "higher": "↑", "lower": "↓"}
_NONE = "–"
OVERVIEW = (
    "Mean ± standard deviation over seeds at the end, with marks by the same tests for "
    "each metric separately. With many metrics, some marks are due to chance: the "
    "first metric decides."
)

Table = list[list[str]]  # the first row is the head


@dataclasses.dataclass(frozen=True)
class Finding:
    """The findings for one metric, by arm.

    Attributes:
      final, best: summaries of the last evaluation of each seed that has finished, and
        of its best one; `best` is empty if neither direction is better, or if there is
        only one evaluation.
      compared: all other arms against the baseline; empty without the baseline.
      verdicts: "better" or "worse" ("higher" or "lower" if neither direction is better)
        for arms that differ significantly, else None.
      fallen: arms whose mean at the end is worse than that of the best evaluations by
        more than a third of it, and by more than two of its standard deviations.
    """

    metric: str
    better: str | None
    final: dict[str, significance.Summary]
    best: dict[str, significance.Summary]
    compared: dict[str, significance.Comparison]
    verdicts: dict[str, str | None]
    fallen: list[str]


def find(results: dict[str, Any], metric: str) -> Finding:
    """Returns summaries, tests and verdicts for one of the metrics.

    A seed that has diverged, or finished without a finite value, is lost: it enters no
    mean and is ranked last. A seed that has failed is left out.
    """
    arms, better = results["arms"], results["metrics"][metric]
    ends = {name: [] for name in arms}
    bests = {name: [] for name in arms}
    for name, arm in arms.items():
        for seed in arm["seeds"]:
            end, best = _seed(seed, metric, better)
            if seed["status"] != "failed":
                ends[name].append(end)
                bests[name].append(best)
    measured = {name: x for name, x in ends.items() if _measured(arms[name], metric)}
    final = {name: significance.summarise(x) for name, x in measured.items()}
    best = {}
    if better and results["evaluations"] > 1:
        best = {name: significance.summarise(bests[name]) for name in final}
    compared = {}
    if results["baseline"] in measured:
        compared = significance.compare(measured, results["baseline"], better, ALPHA)
    verdicts = {name: _verdict(x, better) for name, x in compared.items()}
    fallen = [name for name in best if _fallen(final[name], best[name])]
    return Finding(metric, better, final, best, compared, verdicts, fallen)


def _seed(seed, metric, better):
    """Returns (last, best) value of a seed that has finished, else Nones."""
    values = [point["values"].get(metric) for point in seed["curve"]]
    finite = [v for v in values if v is not None and math.isfinite(v)]
    if seed["status"] != "finished" or not finite or values[-1] not in finite:
        return None, None
    return values[-1], max(finite) if better == "higher" else min(finite)


def _measured(arm, metric):
    """Whether the arm has such a metric, or would have if it had not diverged."""
    points = [point for seed in arm["seeds"] for point in seed["curve"]]
    lost = any(seed["status"] == "diverged" for seed in arm["seeds"])
    return any(metric in p["values"] for p in points) or (lost and not points)


def _verdict(compared, better):
    if not compared.significant:
        return None
    way = "higher" if compared.difference > 0 else "lower"
    if better is None:
        return way
    return "better" if way == better else "worse"


def _fallen(final, best):
    if final.mean is None:
        return False
    gap = abs(final.mean - best.mean)
    return gap > abs(best.mean) / 3 and gap > 2 * (best.sd or 0)


# --- texts that both forms share -----------------------------------------------------


def title(results: dict[str, Any]) -> str:
    """Returns the report's title."""
    preset = f" ({results['preset']})" if results.get("preset") else ""
    return f"Ablation {results['name']}{preset}"


def introduction(results: dict[str, Any]) -> str:
    """Returns a sentence on what has been run."""
    baseline, arms = results["baseline"], results["arms"]
    n = len(arms) - (baseline in arms)
    others = "1 other arm" if n == 1 else f"{n} other arms"
    return (
        f"The baseline, {baseline}, against {others}, with {results['n_seeds']} seeds "
        f"and {results['evaluations']} evaluations each."
    )


def protocol(finding: Finding) -> list[str]:
    """Returns sentences on how a table's numbers and tests were made."""
    tests = [x for x in finding.compared.values() if x.welch_holm is not None]
    n = len(tests)
    text = [
        "Numbers are from the last evaluation: mean ± standard deviation (n - 1) over "
        "the seeds that finished, and a 95 % interval of the mean (bootstrap-t)."
    ]
    if finding.best:
        text.append(
            "Best is each seed's best evaluation. It is chosen by the same values and "
            "hides a collapse. Arms are marked “fallen” if their mean at the end is "
            "worse than that by more than a third and by more than two standard "
            "deviations."
        )
    if not finding.compared:
        return text
    lost = "ranks diverged seeds last" if finding.better else "leaves them out too"
    text += [
        "Differences are arm minus baseline, each with its own 95 % interval (Welch); "
        "g is the difference in pooled standard deviations (Hedges).",
        f"p is that of Welch's t-test, which leaves diverged seeds out, and of the "
        f"Mann-Whitney test, which {lost}; in brackets, corrected by Holm's method for "
        f"the {n} comparison{'s' * (n != 1)} of this metric, but not for the number of "
        f"metrics. An arm is marked if Welch's corrected p is below {ALPHA}.",
    ]
    least = {k: x.least_rank_holm for k, x in finding.compared.items()}
    stuck = [k for k, x in least.items() if x is not None and x >= ALPHA]
    if stuck:
        known = [x for x in least.values() if x is not None]
        which = "any arm" if len(stuck) == len(known) else ", ".join(stuck)
        text.append(
            "With so few seeds for so many arms, the corrected p of Mann and Whitney "
            f"cannot be below {_p(min(least[k] for k in stuck))} for {which}, whatever "
            "the values: there it can find nothing significant."
        )
    return text


def overrides(results: dict[str, Any]) -> Table:
    """Returns the table of what is compared."""
    table = [["arm", "changes", "steps", "batch size"]]
    for name, arm in results["arms"].items():
        changes = ", ".join(f"{k} = {v}" for k, v in flat(arm["overrides"]))
        base = "(baseline) " if name == results["baseline"] else ""
        numbers = [f"{arm['steps']:,}", f"{arm['batch_size']:,}"]
        table.append([name, f"{base}{changes or 'none'}", *numbers])
    return table


def details(results: dict[str, Any], finding: Finding) -> Table:
    """Returns the table of one metric, with all columns."""
    head = ["arm", "n", "lost", "final", "95 % interval"]
    head += ["best"] * bool(finding.best)
    if finding.compared:
        head += [
            "difference",
            "g",
            "Welch p (Holm)",
            "Mann-Whitney p (Holm)",
            "verdict",
        ]
    table = [head]
    for name, final in finding.final.items():
        row = [name, str(final.n), _lost(results, name, final)]
        row += [mean(final), _interval(final.interval)]
        if finding.best:
            flag = " (fallen)" if name in finding.fallen else ""
            row.append(mean(finding.best[name]) + flag)
        compared = finding.compared.get(name)
        if compared:
            difference = _number(compared.difference)
            if compared.interval:
                difference += f" {_interval(compared.interval)}"
            row += [difference, _number(compared.hedges_g)]
            row.append(f"{_p(compared.welch_p)} ({_p(compared.welch_holm)})")
            row.append(f"{_p(compared.rank_p)} ({_p(compared.rank_holm)})")
            row.append(mark(finding.verdicts[name]))
        else:
            row += ["", "", "", "", "baseline"] * bool(finding.compared)
        table.append(row)
    return table


def overview(results: dict[str, Any], findings: list[Finding]) -> Table:
    """Returns the table of several metrics: means and marks."""
    ways = {"lower": " (lower is better)", "higher": " (higher is better)", None: ""}
    table = [["arm", *(f"{f.metric}{ways[f.better]}" for f in findings)]]
    for name in results["arms"]:
        row = [name]
        for finding in findings:
            text = mean(finding.final[name]) if name in finding.final else _NONE
            fallen = " (fallen)" if name in finding.fallen else ""
            row.append(f"{text} {mark(finding.verdicts.get(name))}".strip() + fallen)
        table.append(row)
    return table


def differences(results: dict[str, Any], findings: list[Finding]) -> list[str]:
    """Returns the outcome of the tests, as lines."""
    if results["baseline"] not in results["arms"]:
        return ["The baseline has not been run: nothing can be compared."]
    lines = []
    for i, finding in enumerate(findings):
        if not finding.compared:
            lines.append(f"{finding.metric}: no comparison.")
            continue
        parts = []
        for verdict in ("better", "worse") if finding.better else ("higher", "lower"):
            names = [k for k, v in finding.verdicts.items() if v == verdict]
            parts.append(f"significantly {verdict}: {', '.join(names) or 'none'}")
        alike, untested = [], []
        for name, verdict in finding.verdicts.items():
            if finding.compared[name].welch_p is None:
                untested.append(name + _by_rank(finding.compared[name]))
            elif verdict is None:
                alike.append(name)
        if alike:
            shown = f"{len(alike)} others" if i and len(alike) > 3 else ", ".join(alike)
            parts.append(f"not distinguishable: {shown}")
        if untested:
            why = "fewer than two values, or no spread"
            parts.append(f"without Welch's test ({why}): {', '.join(untested)}")
        lines.append(f"{finding.metric}: {'; '.join(parts)}.")
    if any(f.compared for f in findings):
        lines.append(
            "Not distinguishable does not mean equal: more seeds may show a difference."
        )
    for name, arm in results["arms"].items():
        lost = [s["status"] for s in arm["seeds"]].count("diverged")
        if lost:
            lines.append(f"{name}: {lost} of {len(arm['seeds'])} seeds diverged.")
    return lines


def _by_rank(compared):
    if compared.rank_holm is None or compared.rank_holm >= ALPHA:
        return ""
    return f" (but Mann and Whitney's p is {_p(compared.rank_holm)})"


def missing(results: dict[str, Any]) -> list[str]:
    """Returns lines on what is missing: seeds that were not run, or that failed."""
    lines, arms = [], results["arms"]
    if results["baseline"] not in arms:
        lines.append(f"The baseline, {results['baseline']}, has not been run.")
    waiting = [name for name in results.get("planned", ()) if name not in arms]
    if waiting:
        lines.append(f"Not run yet: {', '.join(waiting)}.")
    for name, arm in arms.items():
        n = len(arm["seeds"])
        if n < results["n_seeds"]:
            lines.append(f"{name}: {n} of {results['n_seeds']} seeds have been run.")
        errors = {}
        for seed in arm["seeds"]:
            if seed["status"] == "failed":
                errors.setdefault(seed.get("error", "?"), []).append(str(seed["seed"]))
        for error, seeds in errors.items():
            lines.append(f"{name}: failed with seed {', '.join(seeds)}: {error}")
    absent = [
        metric
        for metric in results["metrics"]
        if not any(_measured(arm, metric) for arm in arms.values())
    ]
    return lines + [f"{metric}: not measured in any arm." for metric in absent]


def _lost(results, name, final):
    """What happened to the seeds without a value."""
    status = [seed["status"] for seed in results["arms"][name]["seeds"]]
    counts = {word: status.count(word) for word in ("diverged", "failed")}
    counts["without a value"] = final.n_lost - counts["diverged"]
    counts["not run"] = results["n_seeds"] - len(status)
    return ", ".join(f"{n} {word}" for word, n in counts.items() if n > 0) or "0"


# --- numbers as text ------------------------------------------------------------------


def mean(summary: significance.Summary) -> str:
    """Returns mean ± standard deviation, to two digits of the latter."""
    if summary.mean is None:
        return _NONE
    if summary.sd is None:
        return short(summary.mean)
    sd = without_rounding(summary.sd, summary.mean)
    if not 1e-6 < sd < 1e5:
        return f"{short(summary.mean)} ± {short(sd)}"
    digits = max(0, 1 - math.floor(math.log10(sd)))
    return f"{summary.mean:.{digits}f} ± {sd:.{digits}f}"


def mark(verdict: str | None) -> str:
    """Returns a verdict as a sign and a word; "" for None."""
    return f"{_MARKS[verdict]} {verdict}" if verdict else ""


def _number(x):
    return _NONE if x is None else f"{short(float(f'{x:.3g}'))}"


def _interval(interval):
    if interval is None:
        return _NONE
    return f"[{_number(interval[0])}, {_number(interval[1])}]"


def _p(p):
    if p is None:
        return _NONE
    return f"{p:.3f}" if p >= 0.001 else f"{p:.0e}"
