"""How a training went, in plain words and with the evidence: a pure function.

It reads what a run has written: its config, its manifest, the lines of metrics.jsonl
and those of evaluations.jsonl. Whatever is missing is not judged.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

from experiments.pages import checks, trends
from experiments.pages.evidence import YOUTH, Seen, Verdict, number

# How many times as large as of real images a score is, or as small, that is far off,
FAR, SHORT = 5.0, 2.0
LEFT = 0.2  # if it has not come nearer to it than this share of where it began


def verdict(
    config: Mapping[str, Any],
    run: Mapping[str, Any],
    records: Iterable[Mapping[str, Any]],
    evaluations: Iterable[Mapping[str, Any]],
) -> Verdict:
    """Judges a run by what it has written.

    Args:
      config, run: the contents of config.json and run.json; {} if there is none.
      records, evaluations: the lines of metrics.jsonl and of evaluations.jsonl.
    """
    seen = Seen(config, run, list(records), list(evaluations))
    found = [x for check in (*checks.ALL, _trend) if (x := check(seen))]
    if not found:
        return _calm(seen)
    first, *others = dict.fromkeys(found)  # each once
    also = [f"Also: {_lower(other.headline)}" for other in others]
    evidence = (*first.evidence, *also, *_signs(seen, (first, *others)))
    return dataclasses.replace(first, evidence=evidence)


# --- the scores -----------------------------------------------------------------------


def _trend(seen):
    """What has become of the scores."""
    found = seen.trend()
    if found is None or (seen.step < YOUTH and found.kind == "done"):
        return None
    ended = seen.status == "finished"
    if found.kind == "improving":
        verb = "fell" if found.better == "lower" else "rose"
        still = "Still improving when it ended" if ended else "Still improving"
        return Verdict(
            "improving",
            f"{still}: {found.name} {verb} from {number(found.then)} at step "
            f"{found.then_step:,} to {number(found.now)} now",
            (f"{found.better.capitalize()} is better.",),
            "more steps: a larger --config.steps, in a new --workdir if the learning "
            "rate decays"
            if ended
            else "",
        )
    if found.kind == "worse":
        return Verdict(
            "worse",
            f"Past its best: {found.name} was {number(found.best)} at step "
            f"{found.best_step:,} and is {number(found.now)} now",
            (f"{found.better.capitalize()} is better.",),
            "the best checkpoint (--checkpoint=best), a lower or a decaying learning "
            "rate",
        )
    at_most = f"{number(found.best)} at best, {number(found.first)} at first"
    reason = _far(seen, found)
    if reason:
        return Verdict(
            "stalled",
            f"No longer improving{reason}",
            (f"It was {at_most} ({found.better} is better).",),
            "look at the samples: a larger network, more steps at a lower learning "
            "rate, or another loss",
        )
    return Verdict(
        "done",
        f"Done: the score has not improved since step {found.best_step:,}",
        (
            f"{found.name} is {number(found.now)}, {at_most} ({found.better} is "
            "better).",
        ),
    )


def _far(seen, found):
    """What is wrong with a score that has stopped to improve; "" if nothing may be.

    It is far from that of real images; or, where that is not known, it has never
    improved.
    """
    real, of = seen.real.get(found.name), seen.last.get(found.name, {}).get("of")
    if real is not None and real > 0:
        far = found.now < real / SHORT
        if found.better == "lower":
            near = real + LEFT * (found.first - real)
            far = found.now > max(FAR * real, near)
        now = f"{found.name} is {number(found.now)}, real images have {number(real)}"
        return f", and not good: {now}" if far else ""
    if of is not None and found.now >= 0.9 * of:
        return ""
    gain = (found.best - found.first) * (1 if found.better == "higher" else -1)
    if gain > trends.CHANGED * abs(found.first):
        return ""
    return f": {found.name} is {number(found.now)}, as in its first evaluation"


# --- where nothing is wrong -----------------------------------------------------------


def _calm(seen):
    """Too early, no sign of trouble, or nothing to judge by."""
    ended, signs = seen.status == "finished", _signs(seen, ())
    at = f"step {seen.step:,}"
    if seen.status.startswith("stopped") or (ended and seen.step < YOUTH):
        of = seen.config.get("steps")
        at = f"{'ended' if ended else 'stopped'} at {at}"
        at += f" of {of:,}" if isinstance(of, int) else ""
    if seen.step < YOUTH:
        return Verdict("early", f"Too early to say ({at})", signs)
    if not signs:
        return Verdict(
            "unknown",
            "Nothing that was measured tells how it went: look at the samples",
            (),
            'a score, such as --config.metrics=("fid",)',
        )
    headline = "No sign of trouble" + (f" ({at})" if "stopped" in at else "")
    doubts = []
    if not seen.scores:
        doubts.append("no score measures the quality")
    varied = [seen.recent(name) for name in seen.named("diversity")]
    if varied and min(varied) < checks.ALIKE:
        doubts.append(
            f"the samples vary less than the data, {number(min(varied))} times as much"
        )
    if doubts:
        headline += f", but {' and '.join(doubts)}: look at the samples"
    advice = ""
    if not seen.scores:
        advice = "a score (--config.metrics) and config.evaluate_every"
    elif seen.trend() is None and not seen.config.get("evaluate_every"):
        advice = "config.evaluate_every, to see whether the scores still improve"
    return Verdict("healthy", headline, signs, advice)


def _signs(seen, found):
    """Sentences with the numbers that tell most, less those that `found` has told."""
    told = " ".join(f"{x.headline} {' '.join(x.evidence)}" for x in found)
    kinds, signs = {x.kind for x in found}, []
    for update, (real, fake) in seen.discriminators().items():
        if seen.boundary and not kinds & {"strong"}:
            signs.append(
                f"{update} recognises {real:.0%} of the real and {fake:.0%} of the "
                "generated examples."
            )
    for name in seen.named("diversity"):
        if "collapsed" not in kinds:
            signs.append(
                f"The samples' diversity is {number(seen.recent(name))} of the data's."
            )
    for name, points in list(seen.scores.items())[:1]:
        if name not in told:
            signs.append(
                f"{name} is {number(points[-1][1])} ({points[-1][3]} is better)."
            )
    return tuple(signs)


def _lower(sentence):
    return sentence[:1].lower() + sentence[1:] + "."
