"""What was found in words: counts and scores with their protocol."""

from __future__ import annotations

import datetime

from experiments.detection.detection import Detection, Rules
from experiments.detection.labels import Intervals
from gans.metrics.anomalies.intervals import Counts, overlap, total

PROTOCOL = (
    "overlap: a true interval is found if a detection shares a second with it, "
    "however many do; a detection that shares none is false; ends are included; "
    "F1 of the summed counts"
)
DATES = 100_000_000  # seconds since 1970; fewer are no dates, but steps

Labels = dict[str, Intervals]


def said(rules: Rules) -> str:
    """Returns the rules in words."""
    weight = f" of weight {rules.weight:g}" if rules.combine == "sum" else ""
    return (
        f"error {rules.error}{weight}, combination {rules.combine}, means over "
        f"{rules.smoothing:.2%} of the windows; threshold: mean + "
        f"{rules.deviations:g} standard deviations of {rules.window:.0%} of the signal "
        f"at a time, {rules.step:.0%} of that further each time; intervals extended by "
        f"{rules.padding} steps, pruned by {rules.drop:.0%}"
    )


def counts(found: list[Detection], true: Labels) -> dict[str, Counts]:
    """Returns {signal: Counts} of those that have labels."""
    return {
        x.signal.name: overlap(true[x.signal.name], x.intervals)
        for x in found
        if x.signal.name in true
    }


def scored(of: Counts) -> str:
    """Returns the scores of counts in words."""
    return (
        f"F1 {of.f1:.3f}, precision {of.precision:.3f}, recall {of.recall:.3f} "
        f"(tp {of.tp}, fp {of.fp}, fn {of.fn})"
    )


def lines(found: list[Detection], true: Labels, rules: Rules) -> list[str]:
    """Returns what a command prints: a line a signal, the sum, and the protocol."""
    of = counts(found, true)
    text = []
    for x in found:
        n, name = len(x.found), x.signal.name
        line = f"{name}: {n} {'anomaly' if n == 1 else 'anomalies'}"
        text.append(f"{line}; {scored(of[name])}" if name in of else line)
    if len(of) > 1:
        text.append(f"all: {scored(total(of.values()))}")
    text.append(f"rules: {said(rules)}")
    return [*text, f"protocol: {PROTOCOL}"] if of else text


def date(seconds: float) -> str:
    """Returns a time as a date in UTC; a number of steps as it is."""
    if seconds < DATES:
        return str(int(seconds))
    time = datetime.datetime.fromtimestamp(int(seconds), datetime.UTC)
    return time.strftime("%Y-%m-%d %H:%M:%S")
