"""What can go wrong in a training, and how its numbers show it.

Each check takes a `Seen` and returns a `Verdict`, or None if nothing is wrong.
"""

from __future__ import annotations

import re

from experiments.pages import trends
from experiments.pages.evidence import (
    GRACE,
    LINES,
    YOUTH,
    Seen,
    Verdict,
    n_images,
    number,
    unresolved,
)
from experiments.training import health

RISING = 1.5  # before YOUTH, samples that get more diverse by this factor may go on

# Diversity, relative to the data's (see `gans.diagnostics.diversity`).
COLLAPSED = health.LEAST_DIVERSITY
THIN = 0.3  # trained generators of healthy runs reach 0.8 and more; blurred ones 0.5
ALIKE = 0.8  # and up to its inverse: as diverse as the data
FOUND = 0.5  # share of the modes or classes up to which most are missing
SCATTERED = 0.1  # share of samples close to the data below which modes say nothing

# The discriminator. Healthy runs of the presets stay below an accuracy of 0.9.
STRONG = 0.95  # on real and on generated examples, while the score gap grows ...
GROWTH = 1.1  # ... by this factor
CERTAIN = 0.98  # so accurate that the gap need not grow
GUESSING = 0.55  # accuracy of coin flips, with room for noise
EVER = 0.6  # an accuracy that it once had, if it has ever learnt something

# Losses and scores that have run away.
EXPLODED = 1e3  # times as large as in the first third, ...
HUGE = 1e4  # ... and beyond what losses of healthy runs reach
ABSURD = 1e8  # no normalised network gets here

COPIES = 0.2  # share of samples near a training image; 0.01 is what to expect
FEW = 2000  # training images that a discriminator can learn by heart

_DIVERGED = (
    "lower learning rates, a gradient penalty or spectral norm; or "
    "config.on_nan=rollback, which goes back to the last checkpoint"
)
_STRONG = (
    "a lower learning rate for the discriminator, a penalty on it such as r1, or more "
    "images"
)
_FEW = {"augment": "; with few of them, config.augment: diff_augment or ada"}
_WEAK = "a higher learning rate for the discriminator, or a larger one"
_MORE = {"n_critic": "; or n_critic above 1"}


def _told(seen, advice):
    """What is advised about keys that the config has; of an unknown one about all."""
    has = seen.config or advice
    return "".join(text for key, text in advice.items() if key in has)


def stopped(seen: Seen) -> Verdict | None:
    """A loss that is not finite, or that has run away."""
    if seen.status.startswith("stopped:"):
        return _ended_by(seen, seen.status.removeprefix("stopped:").strip())
    lost = [
        name
        for name in {n for r in seen.records for n in r if n.endswith("/loss")}
        if [r[name] for r in seen.records if name in r][-2:] == [None, None]
    ]
    if lost and seen.step >= GRACE:
        names = " and ".join(sorted(lost))
        return Verdict("diverged", f"Diverged: NaN in {names}", (), _DIVERGED)
    for name in (*seen.named("loss"), *seen.named("score_gap")):
        values = [abs(x) for step, x in seen.curves[name]]
        n = -(-len(values) // 3)
        before, now = sum(values[:n]) / n, sum(values[-n:]) / n
        if now > ABSURD or len(values) >= LINES and now > max(HUGE, EXPLODED * before):
            return Verdict(
                "diverged",
                f"Diverged: {name} went to {number(seen.curves[name][-1][1])}",
                (),
                _DIVERGED,
            )
    return None


def _ended_by(seen, error):
    """The verdict on a run that an error has ended."""
    reason = error.partition("; the metrics")[0].partition("\n")[0]
    if not re.search(r"\b(nan|inf)\b|not finite", reason, re.IGNORECASE):
        return Verdict("stopped", f"Stopped: {reason}")
    named = re.search(r"loss of update '(.*?)' is (\S+) at step (\d+)", reason)
    if named:
        value = "NaN" if named[2] == "nan" else "infinite"
        reason = f"{named[1]}/loss is {value} at step {int(named[3]):,}"
    before = [f"{x} {number(seen.curves[x][-1][1])}" for x in seen.named("loss")]
    found = (f"Before that, in the log: {', '.join(before)}.",) if before else ()
    return Verdict("diverged", f"Stopped: {reason}", found, _DIVERGED)


def collapsed(seen: Seen) -> Verdict | None:
    """Samples that are nearly the same, or that leave out most modes or classes."""
    if not seen.enough:
        return None
    for name in seen.named("diversity"):
        now, before = seen.recent(name), seen.third(name, 1)
        rising = before is not None and now > RISING * before
        if seen.step < YOUTH and (rising or now >= COLLAPSED):
            continue
        if now < THIN:
            said = "Collapsed" if now < COLLAPSED else "Nearly collapsed"
            of = "" if name == "d/diversity" else f" ({name})"
            return Verdict(
                "collapsed",
                f"{said}: the samples' diversity is {number(now)} of the data's{of}",
                (f"{name} is 1 where samples vary as much as the data.",),
                health.HINTS[health.COLLAPSE],
            )
    for name, result in seen.last.items() if seen.step >= YOUTH else ():
        of, value = result.get("of", result.get("n_classes")), result.get("value")
        known = of and trends.finite(value) and result.get("better") == "higher"
        if known and value <= FOUND * of and not _scattered(seen):
            what = "modes" if "modes" in name else "classes"
            return Verdict(
                "collapsed",
                f"Mode collapse: {value:.0f} of {of} {what} are generated",
                (f"{name} at step {seen.step:,}.",),
                health.HINTS[health.COLLAPSE],
            )
    return None


def memorising(seen: Seen) -> Verdict | None:
    """Samples that are copies of training images."""
    for name, result in seen.last.items():
        if "memorisation_share" in name and (result.get("value") or 0) >= COPIES:
            return Verdict(
                "memorising",
                f"Memorising: {result['value']:.0%} of the samples are (nearly) copies "
                "of training images",
                (
                    f"{name}: of samples at most as far from a training image as the "
                    f"closest 1 % of {result.get('reference', 'real images')}.",
                ),
                "more images, augment, a smaller network, or an earlier checkpoint",
            )
    return None


def strong(seen: Seen) -> Verdict | None:
    """A discriminator from which the generator learns nothing any more."""
    changed = seen.trend()
    if not (seen.enough and seen.boundary) or (changed and changed.kind == "improving"):
        return None
    for update, right in seen.discriminators().items():
        gap = f"{update}/score_gap"
        then, now = seen.third(gap, 0), seen.recent(gap)
        then = seen.third(gap, 1) if then is None else then
        grows = then is not None and now > GROWTH * then > 0
        certain = min(right) >= CERTAIN and seen.step >= YOUTH
        if min(right) < STRONG or not (grows or certain):
            continue
        evidence = []
        if now is not None and then is not None:
            evidence.append(f"{gap} went from {number(then)} to {number(now)}.")
        n = n_images(seen.run)
        if n and n < FEW:
            evidence.append(f"It can learn the {n:,} training images by heart.")
        accuracy = sum(right) / 2
        said = "The discriminator is too strong"
        said += "" if update == "d" else f" ({update})"
        return Verdict(
            "strong",
            f"{said}: accuracy {accuracy:.2g}"
            + (", score gap growing" if grows else ""),
            tuple(evidence),
            _STRONG + _told(seen, _FEW),
        )
    return None


def _scattered(seen):
    """Whether hardly any sample lies close to the data: none can count as a mode."""
    good = seen.last.get("modes/high_quality", {}).get("value")
    return trends.finite(good) and good < SCATTERED


def stuck(seen: Seen) -> Verdict | None:
    """A problem that the health monitor has found and that has not gone."""
    for problem, message in unresolved(seen.run).items():
        if problem != health.COLLAPSE:
            shown = re.sub(rf"^warning.*?{re.escape(problem)}: ", "", message)
            shown, _, advice = shown.partition(". Try ")
            return Verdict("stuck", f"Stuck: {problem}", (f"{shown}.",), advice)
    return None


def untaught(seen: Seen) -> Verdict | None:
    """A discriminator that has never learnt anything: samples go where it errs."""
    found = weak(seen) if seen.boundary else None
    for update in seen.discriminators():
        fooled = (seen.recent(f"{update}/score_gap") or 0.0) < 0
        if found and fooled and _best_accuracy(seen, update) < EVER:
            return found
    return None


def weak(seen: Seen) -> Verdict | None:
    """A discriminator from which the generator cannot learn, as it knows nothing."""
    changed = seen.trend()
    improving = changed and changed.kind == "improving"
    if not seen.enough or improving or _samples_are_good(seen):
        return None
    for update, right in seen.discriminators().items():
        gap = seen.recent(f"{update}/score_gap")
        accuracy, best = sum(right) / 2, _best_accuracy(seen, update)
        said = "The discriminator is too weak"
        said += "" if update == "d" else f" ({update})"
        if gap is not None and gap <= 0:
            said += f": it rates samples as high as the data, score gap {number(gap)}"
            return Verdict("weak", said, (), _WEAK + _told(seen, _MORE))
        if seen.boundary and accuracy < GUESSING and best < EVER:
            said += f": accuracy {accuracy:.2g}, never much better than guessing"
            return Verdict("weak", said, (), _WEAK + _told(seen, _MORE))
    return None


def _best_accuracy(seen, update):
    """The highest mean accuracy of a line of the log."""
    both = (f"{update}/accuracy_real", f"{update}/accuracy_fake")
    lines = zip(*(seen.curves[name] for name in both), strict=False)
    return max((a + b) / 2 for (_, a), (_, b) in lines)


def _samples_are_good(seen):
    """Whether something else than the discriminator says that samples are like data."""
    good = seen.last.get("modes/high_quality", {}).get("value")
    if trends.finite(good) and good > 0.8:
        return True
    for name, points in seen.scores.items():
        of = seen.last.get(name, {}).get("of")
        sign = 1 if points[-1][3] == "higher" else -1
        first, last = points[0][1], points[-1][1]
        if of is not None and last >= 0.9 * of:
            return True
        gain = sign * (last - first)
        if gain > trends.WORSE * max(abs(first), abs(last)):
            return True
    if seen.scores:
        return False
    values = [seen.recent(name) for name in seen.named("diversity")]
    return bool(values) and all(ALIKE < x < 1 / ALIKE for x in values)


# The worst first, and causes before what follows from them.
ALL = (stopped, untaught, collapsed, memorising, strong, stuck, weak)
