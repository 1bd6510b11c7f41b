"""How the scores of a run have changed."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping

# Evaluations of one model differ by 1 to 3 % with the samples drawn.
CHANGED = 0.05  # relative change that counts, if beyond two standard errors
WORSE = 0.25  # relative loss since the best that counts as getting worse


@dataclasses.dataclass(frozen=True)
class Trend:
    """How a score has changed: `kind` is "improving", "worse" or "done"."""

    name: str
    kind: str
    first: float
    then: float  # the best of the second third
    then_step: int
    now: float
    best: float
    best_step: int
    better: str


def scores(evaluations):
    """{score with a direction: [(step, value, standard error or 0, better)]}.

    Only evaluations by the same features and numbers of samples as the latest are
    compared; of several of one step the last counts. Scores of memorisation are left
    out: they rise as samples get better.
    """
    if not evaluations:
        return {}
    kinds = [_protocol(x) for x in evaluations]
    wanted = max(kinds, key=lambda kind: kinds.count(kind))
    found: dict[str, dict[int, tuple]] = {}
    for evaluation, kind in zip(evaluations, kinds, strict=True):
        for name, result in evaluation.get("results", {}).items():
            if kind != wanted or not isinstance(result, Mapping):
                continue
            value, better = result.get("value"), result.get("better")
            if better and finite(value) and "memorisation" not in name:
                step, error = evaluation["step"], result.get("standard_error") or 0.0
                found.setdefault(name, {})[step] = (step, value, error, better)
    return {name: [x[s] for s in sorted(x)] for name, x in found.items()}


# What must be equal for scores to be comparable; of an output it is "OUTPUT/n_real".
COMPARED = ("extractor", "weights", "resize", "n_real", "n_fake", "rows")


def _protocol(evaluation):
    protocol = evaluation.get("protocol") or {}
    named = {key: str(x) for key, x in protocol.items()}
    return {k: x for k, x in named.items() if k.rpartition("/")[2] in COMPARED}


def breaks(evaluations) -> dict[str, list[tuple[int, str]]]:
    """{score: [(step, what is other from there on)]}: values that cannot be compared.

    Such as the training images, if there are more of them than before.
    """
    before: dict[str, dict[str, str]] = {}
    found: dict[str, list[tuple[int, str]]] = {}
    for evaluation in sorted(evaluations, key=lambda x: x.get("step", 0)):
        known = _protocol(evaluation)
        for name in evaluation.get("results") or {}:
            # A report may be of several outputs; the last part of a key is what it is.
            output = name.rpartition("/")[0]
            now = {
                k.rpartition("/")[2]: x
                for k, x in known.items()
                if k.rpartition("/")[0] in ("", output)
            }
            then = before.get(name, now)
            other = [k for k in COMPARED if then.get(k) != now.get(k)]
            if other:
                found.setdefault(name, []).append(
                    (evaluation["step"], _changed(other, then, now))
                )
            before[name] = now
    return found


def _changed(other, then, now):
    """What a break of a curve is called."""
    whose = {"n_real": "real images", "n_fake": "samples", "rows": "test rows"}
    for key in ("n_real", "n_fake"):
        if key in other:
            return f"{now.get(key)} {whose[key]}, before {then.get(key)}"
    return f"other {' and '.join(whose.get(x, x) for x in other)}"


def trend(name: str, points) -> Trend | None:
    """Compares the last value with the best of the second third of the steps."""
    last, now, error, better = points[-1]
    earlier = [x for x in points if last / 3 <= x[0] <= 2 * last / 3]
    if not earlier:
        return None
    sign = 1 if better == "higher" else -1
    best_step, best, *_ = max(points, key=lambda x: sign * x[1])
    then_step, then, then_error, _ = max(earlier, key=lambda x: sign * x[1])
    noise = 2 * math.hypot(error, then_error)

    def beyond(gain, share):
        return gain > noise and gain > share * max(abs(then), abs(now))

    kind = "done"
    if beyond(sign * (now - then), CHANGED):
        kind = "improving"
    elif beyond(sign * (best - now), WORSE):
        kind = "worse"
    else:  # the first one that no later one beats by more than noise
        good = [x for x in points if sign * (best - x[1]) <= CHANGED * abs(best)]
        best_step = good[0][0]
    return Trend(
        name, kind, points[0][1], then, then_step, now, best, best_step, better
    )


def finite(value) -> bool:
    """Whether a value of a log is a number, neither NaN nor infinite."""
    return isinstance(value, int | float) and math.isfinite(value)
