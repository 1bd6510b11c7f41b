"""The health monitor: warns when the metrics of a run show that training has failed."""

from __future__ import annotations

import bisect
import json
import math
import statistics
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

PATIENCE = 3  # consecutive log lines that must agree
GRACE = 100  # steps before anything is checked
YOUTH = 1000  # steps in which the samples may still be nearly identical, ...
TOLD = 300  # ... or fewer, if ...
APART = 0.95  # ... the discriminator tells them from real ones so often

LEAST_DIVERSITY = 0.1  # relative to real data
VANISHED = 1e-8  # a gradient norm
VANISHING = 1e-4  # a gradient norm, relative to its median so far
PERFECT = 0.999  # accuracy on real and on generated samples
IDLE = 1e-2  # as VANISHING, while a discriminator is perfect: two signs of one problem
SATURATED = 0.99  # share of outputs

# What can go wrong, and what to try.
HINTS = {
    "mode collapse, the samples are nearly identical": (
        "a lower learning rate for the generator, a penalty or spectral norm in the "
        "discriminator, or the Wasserstein loss with a gradient penalty"
    ),
    "the discriminator's gradient has vanished": (
        "a lower learning rate for the discriminator; if its weights are clipped, a "
        "wider clip"
    ),
    "the generator's gradient has vanished": (
        "another loss (non_saturating, hinge, wasserstein), or a lower learning rate"
    ),
    "the discriminator is always right, and the generator learns nothing from it": (
        "a lower learning rate for the discriminator or a penalty on it; of games that "
        "have them, a smaller n_critic, label_flip or augment"
    ),
    "nearly all outputs of the generator are saturated": (
        "a lower learning rate for the generator, or normalisation in it; nothing, if "
        "the data are black and white"
    ),
}
COLLAPSE, DISCRIMINATOR, GENERATOR, PERFECT_DISCRIMINATOR, OUTPUTS = HINTS


class HealthMonitor:
    """Watches a run, one line of its log after the other.

    Each problem (see HINTS) is reported once when it begins and once when it is
    resolved, each time after PATIENCE consecutive lines that agree. A metric that
    fluctuates around its threshold therefore reports nothing. Metrics that a line lacks
    are skipped.

    Before step GRACE nothing is checked, and no gradient norm counts as typical.
    Samples that have not been diverse yet are not checked before step YOUTH, because
    many generators begin with nearly identical samples; from step TOLD on they are, if
    the discriminator tells nearly all of them from real ones.

    What is checked follows from the metrics' names. For each update U:
      U/grad_norm: whether the gradient has vanished;
      U/accuracy_real, U/accuracy_fake: U trains a discriminator. Is it always right,
        while no generator has a gradient to speak of? Generators are the networks that
        no such update trains;
      U/diversity, U/saturated: whether the samples are nearly identical, or saturated.

    Args:
      updates: the names of the networks that each update trains, by update.

    Attributes:
      messages: all messages so far, [{"step": int, "message": str}].
    """

    def __init__(self, updates: Mapping[str, Iterable[str]]):
        self.messages: list[dict[str, Any]] = []
        self._trains = {name: frozenset(nets) for name, nets in updates.items()}
        self._discriminators: set[str] = set()  # updates known to train one
        self._wrong: dict[tuple, bool] = {}  # by (problem, update)
        self._against: dict[tuple, int] = {}  # consecutive lines that disagree
        self._diverse: set[str] = set()  # updates whose samples have been diverse
        # Norms of lines without a problem, sorted.
        self._norms: dict[str, list[float]] = {name: [] for name in updates}

    def __call__(self, step: int, means: dict[str, float | None]) -> list[str]:
        """Takes the means of the log's line after `step`; returns new messages."""
        if step < GRACE:
            return []
        values = {
            name: x for name, x in means.items() if x is not None and math.isfinite(x)
        }
        self._discriminators |= {u for u in self._trains if _accuracies(u, values)}
        found = {}
        for check in (
            self._collapse,
            self._vanished,
            self._perfect,
            self._saturated,
        ):
            for update in self._trains:
                found |= check(update, values, step)
        self._remember(values, found)
        return self._report(step, found)

    def _report(self, step, found):
        messages = []
        for key, (wrong, shown) in found.items():
            problem, _ = key
            if wrong == self._wrong.get(key, False):
                self._against[key] = 0
                continue
            self._against[key] = self._against.get(key, 0) + 1
            if self._against[key] == PATIENCE:
                self._against[key], self._wrong[key] = 0, wrong
                messages.append(
                    f"warning at step {step}: {problem}: {shown}. Try {HINTS[problem]}"
                    if wrong
                    else f"resolved at step {step}: {problem}: {shown}"
                )
        self.messages += [{"step": step, "message": message} for message in messages]
        return messages

    # Each check returns {(problem, update): (whether it is there, the values that show
    # it)}, or {} if the line lacks a value.

    def _collapse(self, update, values, step):
        name = f"{update}/diversity"
        if name not in values:
            return {}
        x, least = values[name], LEAST_DIVERSITY
        if x >= least:
            self._diverse.add(update)
        told = min(_accuracies(update, values) or (0.0,)) > APART and step >= TOLD
        wrong = x < least and (update in self._diverse or step >= YOUTH or told)
        shown = f"{name} is {x:.3g} of the real data's (threshold {least})"
        return {(COLLAPSE, update): (wrong, shown)}

    def _vanished(self, update, values, step):
        name = f"{update}/grad_norm"
        if name not in values:
            return {}
        x, floor = values[name], self._floor(update, VANISHING)
        problem = DISCRIMINATOR if update in self._discriminators else GENERATOR
        shown = f"{name} is {x:.3g} (threshold {floor:.3g})"
        return {(problem, update): (x < floor, shown)}

    def _perfect(self, update, values, step):
        right = _accuracies(update, values)
        norms = {
            u: values[f"{u}/grad_norm"]
            for u in self._generators()
            if f"{u}/grad_norm" in values
        }
        if not right or not norms:
            return {}
        floors = {u: self._floor(u, IDLE) for u in norms}
        idle = all(norms[u] < floors[u] for u in norms)
        shown = ", ".join(
            f"{u}/grad_norm is {x:.3g} (threshold {floors[u]:.3g})"
            for u, x in norms.items()
        )
        shown = (
            f"{update}/accuracy_real and {update}/accuracy_fake are {right[0]:.4g} and "
            f"{right[1]:.4g} (threshold {PERFECT}), {shown}"
        )
        wrong = min(right) > PERFECT and idle
        return {(PERFECT_DISCRIMINATOR, update): (wrong, shown)}

    def _saturated(self, update, values, step):
        name = f"{update}/saturated"
        if name not in values:
            return {}
        x = values[name]
        shown = f"{name} is {x:.4g} (threshold {SATURATED})"
        return {(OUTPUTS, update): (x > SATURATED, shown)}

    def _generators(self):
        """The updates that train no discriminator."""
        theirs = frozenset().union(*(self._trains[u] for u in self._discriminators))
        return [u for u, nets in self._trains.items() if not nets & theirs]

    def _floor(self, update, share):
        """The smallest norm that is not a problem."""
        norms = self._norms[update]
        typical = statistics.median(norms) if len(norms) >= PATIENCE else 0.0
        return max(VANISHED, share * typical)

    def _remember(self, values, found):
        """Keeps the gradient norms of updates that have no problem on this line."""
        present = {key for key, (wrong, _) in found.items() if wrong}
        idle = any(problem == PERFECT_DISCRIMINATOR for problem, _ in present)
        generators = self._generators()
        for update, norms in self._norms.items():
            vanished = {(DISCRIMINATOR, update), (GENERATOR, update)} & present
            if vanished or (idle and update in generators):
                continue
            if f"{update}/grad_norm" in values:
                bisect.insort(norms, values[f"{update}/grad_norm"])


def _accuracies(update, values):
    """(accuracy on real, accuracy on generated samples), or None."""
    names = f"{update}/accuracy_real", f"{update}/accuracy_fake"
    return tuple(values[n] for n in names) if values.keys() >= {*names} else None


def replay(path: Path, updates: Mapping[str, Iterable[str]]) -> HealthMonitor:
    """Returns the monitor that has seen the lines of a metrics.jsonl."""
    monitor = HealthMonitor(updates)
    with open(path, encoding="utf-8") as file:
        for record in map(json.loads, file):
            monitor(record["step"], record)
    return monitor
