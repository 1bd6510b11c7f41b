"""The collapse alarm: says when the figures of a run show that its game is lost."""

from __future__ import annotations

import bisect
import json
import math
import statistics
from pathlib import Path
from typing import Any

PATIENCE = 3  # lines of the log in a row that must agree
GRACE = 100  # steps before anything is judged
YOUTH = 1000  # steps in which the samples may have begun nearly all the same

LEAST_DIVERSITY = 0.1  # of that of real data
DEAD = 1e-8  # a gradient norm
DYING = 1e-4  # a gradient norm as a share of its median so far
PERFECT = 0.999  # accuracy on either side
IDLE = 1e-2  # as DYING, where the critic is perfect: two signs of the same
SATURATED = 0.99  # share of outputs

# What may be wrong, and what to try.
HINTS = {
    "mode collapse, the samples are nearly all the same": (
        "a lower learning rate of the generator, a penalty or spectral norm in the "
        "critic, or the loss of wgan_gp"
    ),
    "the critic's gradient has died": (
        "a lower learning rate of the critic; with clipped weights, a wider clip"
    ),
    "the generator's gradient has died": (
        "another loss (non_saturating, hinge, wasserstein), or a lower learning rate"
    ),
    "the critic is always right, and the generator learns nothing from it": (
        "a smaller n_critic, a lower learning rate of the critic, a penalty on it, "
        "label_flip or augment"
    ),
    "nearly all outputs of the generator are saturated": (
        "a lower learning rate of the generator, or normalisation in it; nothing, if "
        "the data are black and white"
    ),
}
COLLAPSE, CRITIC, GENERATOR, PERFECT_CRITIC, OUTPUTS = HINTS


class Alarm:
    """Watches a run, one line of its log after the other.

    What is wrong (see HINTS) is said once when it begins and once when it is over, each
    time after PATIENCE lines that agree, so that a figure which wavers about its
    threshold says nothing. Figures that a line does not have are passed over.

    Nothing is judged, nor counted among the usual norms, before step GRACE; and samples
    that have not been diverse yet have until step YOUTH, as many a generator begins
    with them nearly all the same.

    Attributes:
      said: all that was said, [{"step": int, "message": str}].
    """

    def __init__(self):
        self.said: list[dict[str, Any]] = []
        self._wrong = dict.fromkeys(HINTS, False)
        self._against = dict.fromkeys(HINTS, 0)  # lines in a row that disagree
        self._diverse = False  # the samples, ever
        self._alive = {"d/grad_norm": [], "g/grad_norm": []}  # norms, sorted

    def __call__(self, step: int, means: dict[str, float | None]) -> list[str]:
        """Takes the means of the log's line after `step`; returns what to say now."""
        if step < GRACE:
            return []
        figures = {
            name: x for name, x in means.items() if x is not None and math.isfinite(x)
        }
        found = self._judge(step, figures)
        self._remember(figures, found)
        messages = []
        for what, (wrong, shown) in found.items():
            disagrees = wrong != self._wrong[what]
            self._against[what] = self._against[what] + 1 if disagrees else 0
            if self._against[what] == PATIENCE:
                self._against[what], self._wrong[what] = 0, wrong
                messages.append(
                    f"warning at step {step}: {what}: {shown}. Try {HINTS[what]}"
                    if wrong
                    else f"over at step {step}: {what}: {shown}"
                )
        self.said += [{"step": step, "message": message} for message in messages]
        return messages

    def _judge(self, step, figures):
        """{what: (whether it is wrong, the figures)}, where all figures are known."""
        found = {}
        if "d/diversity" in figures:
            x, least = figures["d/diversity"], LEAST_DIVERSITY
            shown = f"d/diversity is {x:.3g} of the real data's (threshold {least})"
            self._diverse |= x >= least
            found[COLLAPSE] = x < least and (self._diverse or step >= YOUTH), shown
        for what, name in ((CRITIC, "d/grad_norm"), (GENERATOR, "g/grad_norm")):
            if name in figures:
                x, floor = figures[name], self._floor(name, DYING)
                found[what] = x < floor, f"{name} is {x:.3g} (threshold {floor:.3g})"
        if {"d/accuracy_real", "d/accuracy_fake", "g/grad_norm"} <= figures.keys():
            right = figures["d/accuracy_real"], figures["d/accuracy_fake"]
            x, floor = figures["g/grad_norm"], self._floor("g/grad_norm", IDLE)
            shown = (
                f"d/accuracy_real and d/accuracy_fake are {right[0]:.4g} and "
                f"{right[1]:.4g} (threshold {PERFECT}), g/grad_norm is {x:.3g} "
                f"(threshold {floor:.3g})"
            )
            found[PERFECT_CRITIC] = min(right) > PERFECT and x < floor, shown
        if "d/saturated" in figures:
            x = figures["d/saturated"]
            shown = f"d/saturated is {x:.4g} (threshold {SATURATED})"
            found[OUTPUTS] = x > SATURATED, shown
        return found

    def _floor(self, name, share):
        """The least norm that is alive."""
        norms = self._alive[name]
        usual = statistics.median(norms) if len(norms) >= PATIENCE else 0.0
        return max(DEAD, share * usual)

    def _remember(self, figures, found):
        """Keeps the norms of lines in which the gradients were alive."""
        wrong = {what for what, (is_wrong, _) in found.items() if is_wrong}
        for name, signs in (
            ("d/grad_norm", {CRITIC}),
            ("g/grad_norm", {GENERATOR, PERFECT_CRITIC}),
        ):
            if name in figures and not signs & wrong:
                bisect.insort(self._alive[name], figures[name])


def replay(path: Path) -> Alarm:
    """Returns the alarm that has seen the lines of a metrics.jsonl."""
    alarm = Alarm()
    with open(path, encoding="utf-8") as file:
        for record in map(json.loads, file):
            alarm(record["step"], record)
    return alarm
