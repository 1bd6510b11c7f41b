"""What the answers to a study say of its models: figures, tests, a table."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from experiments.ablations.significance import holm
from experiments.judging import design as designs
from experiments.judging import rates
from experiments.judging.answers import ATTENTIVE, Answer, Key, Participant

FOOLED = "fooled"  # of generated pictures, or pairs: how many were taken for real
REAL_MISSED = "real_missed"  # real pictures that were taken for generated
HYPE, TIME = "hype_infinity", "hype_time_ms"  # arXiv 1904.01121
# The figure that is tested between models, by task.
MAIN = {designs.CHOICE: FOOLED, designs.SINGLE: HYPE, designs.STAIRCASE: TIME}
TITLES = {
    FOOLED: "taken for real",
    REAL_MISSED: "real taken for generated",
    HYPE: "HYPE∞",
    TIME: "HYPE time, ms",
}
_SHARES = (FOOLED, REAL_MISSED, HYPE)
LEAST_MS, MOST_MS = 100, 1000  # of a staircase


def of(key: Key, participants: Sequence[Participant]) -> dict[str, Any]:
    """Returns {"results", "tests", "left_out", "protocol"}, as JSON.

    results: {model: {figure: {"value", "interval", "method", "by_participant"}}}.
    tests: of each two models, by the main figure of the task; p by `rates.paired_p`,
    and by Holm's method over all pairs.

    Raises ValueError if nobody is left.
    """
    kept = [x for x in participants if x.why_not is None]
    left_out = {x.name: x.why_not for x in participants if x.why_not is not None}
    if not kept:
        said = "; ".join(f"{name[:8]}: {why}" for name, why in left_out.items())
        raise ValueError(f"--answers: no participant is left: {said}")
    design = key.design
    models = [*dict.fromkeys(key.made_of["models"])]
    results = {model: _figures(design, model, kept) for model in models}
    main = MAIN[design.task]
    tests = [
        _test(one, other, *(results[x][main] for x in (one, other)))
        for one, other in itertools.combinations(models, 2)
    ]
    for test, p in zip(tests, holm([x["p"] for x in tests]), strict=True):
        test["p_holm"] = p
    protocol = {
        "study": key.study,
        "task": design.task,
        "seconds": design.seconds,
        "participants": len(kept),
        "left_out": len(left_out),
        "trials": design.n_trials,
        "attentive": f"{ATTENTIVE:.0%} of catch trials right, all trials answered",
        "test": f"permutation of models within participants, of {main}",
        **key.made_of,
    }
    names = [x.name for x in kept]
    return {
        "results": results,
        "tests": tests,
        "participants": names,
        "left_out": left_out,
        "protocol": protocol,
    }


def _figures(design, model, kept):
    if design.task == designs.STAIRCASE:
        part = design.models.index(model)
        own = [
            [
                x
                for x in one.answers
                if x.part == part and designs.CATCH not in x.sources
            ]
            for one in kept
        ]
        times = [rates.mode([x.asked_ms for x in answers]) for answers in own]
        return {
            TIME: _described(rates.mean(times, LEAST_MS, MOST_MS), times),
            FOOLED: _rate([_of(model, x) for x in own]),
            REAL_MISSED: _rate([_of(designs.REAL, x) for x in own]),
        }
    fooled = [_of(model, one.answers) for one in kept]
    if design.task == designs.CHOICE:
        return {FOOLED: _rate(fooled)}
    missed = [_of(designs.REAL, one.answers) for one in kept]
    both = [
        (sum(a) / len(a) + sum(b) / len(b)) / 2
        for a, b in zip(fooled, missed, strict=True)
    ]
    return {
        HYPE: _described(rates.mean(both, 0, 1), both),
        FOOLED: _rate(fooled),
        REAL_MISSED: _rate(missed),
    }


def _of(source: str, answers: Sequence[Answer]) -> list[bool]:
    """Whether each answer to a picture of a source was wrong; catch trials are none."""
    return [
        x.wrong
        for x in answers
        if source in x.sources and designs.CATCH not in x.sources
    ]


def _rate(wrong):
    found = rates.rate([sum(x) for x in wrong], [len(x) for x in wrong])
    return _described(found, [sum(x) / len(x) for x in wrong])


def _described(estimate, by_participant):
    interval = None if estimate.interval is None else [*estimate.interval]
    return {
        "value": estimate.value,
        "interval": interval,
        "method": estimate.method if interval else None,
        "by_participant": by_participant,
    }


def _test(one, other, first, second):
    p = rates.paired_p(first["by_participant"], second["by_participant"])
    return {
        "models": [one, other],
        "difference": first["value"] - second["value"],
        "p": p,
    }


def table(report: dict[str, Any]) -> list[str]:
    """Returns a report as lines of Markdown."""
    results, protocol = report["results"], report["protocol"]
    figures = [*next(iter(results.values()))]
    lines = ["| | " + " | ".join(TITLES[x] for x in figures) + " |"]
    lines.append("|---" * (len(figures) + 1) + "|")
    for model, found in results.items():
        cells = " | ".join(_cell(x, found[x]) for x in figures)
        lines.append(f"| {model} | {cells} |")
    methods = {x["method"] for found in results.values() for x in found.values()}
    said = " and ".join(sorted(methods - {None})) or "none: too few participants"
    lines += ["", f"{protocol['participants']} participants; intervals (95 %): {said}"]
    if protocol["task"] == designs.CHOICE:
        lines.append("50 % is chance: nobody tells such pictures from real ones")
    for name, why in report["left_out"].items():
        lines.append(f"left out: {name[:8]}, {why}")
    for test in report["tests"]:
        one, other = test["models"]
        figure = MAIN[protocol["task"]]
        difference = _value(figure, test["difference"], sign="+")
        lines.append(
            f"{one} less {other}: {difference}, p = {test['p']:.3g}, by Holm "
            f"{test['p_holm']:.3g}"
        )
    return lines


def _cell(figure, found):
    text = _value(figure, found["value"])
    if found["interval"] is None:
        return text
    low, high = (_value(figure, x) for x in found["interval"])
    return f"{text} ({low} to {high})"


def _value(figure, x, sign=""):
    return f"{100 * x:{sign}.1f} %" if figure in _SHARES else f"{x:{sign}.0f}"
