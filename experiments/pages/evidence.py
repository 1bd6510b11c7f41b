"""What a verdict on a run is, and what there is to judge it by."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from typing import Any

from experiments.pages import scores, trends
from experiments.training import health

# When there is enough to judge.
GRACE = health.GRACE  # steps before anything is judged: networks start far from data
YOUTH = health.YOUTH  # steps from which "no sign of trouble" says something
LINES = health.PATIENCE  # of the log before YOUTH, so that one bad line is no verdict
# Losses with no logit at which real and generated examples are equally likely: their
# accuracy is that of the midpoint between both means, and so says nothing.
NO_BOUNDARY = ("wasserstein", "relativistic_average", "relativistic_pairing")


TONES = {
    "diverged": "bad",
    "stopped": "bad",
    "collapsed": "bad",
    "memorising": "warning",
    "stuck": "warning",
    "strong": "warning",
    "weak": "warning",
    "worse": "warning",
    "stalled": "warning",
    "improving": "good",
    "done": "good",
    "healthy": "neutral",
    "early": "neutral",
    "unknown": "neutral",
}


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What became of a run.

    Attributes:
      kind: a key of TONES.
      headline: one sentence.
      evidence: more sentences: the numbers behind it, and what else was found.
      advice: what to try; "" if nothing.
    """

    kind: str
    headline: str
    evidence: tuple[str, ...] = ()
    advice: str = ""

    @property
    def tone(self) -> str:
        """Returns "bad", "warning", "neutral" or "good"."""
        return TONES[self.kind]


def has_boundary(config: Mapping[str, Any]) -> bool:
    """Whether the accuracy of the discriminator of such a run means anything."""
    loss = config.get("loss") or ""
    name = (
        loss.get("name") if isinstance(loss, Mapping) else str(loss).partition("(")[0]
    )
    return bool(name) and name not in NO_BOUNDARY


class Seen:
    """A run's numbers, by name."""

    def __init__(self, config, run, records, evaluations):
        self.config, self.run, self.records = config, run, records
        self.curves: dict[str, list[tuple[int, float]]] = {}
        for record in records:
            for name, value in record.items():
                if name != "step" and trends.finite(value):
                    self.curves.setdefault(name, []).append((record["step"], value))
        self.status = str(run.get("status", ""))
        steps = [r["step"] for r in (*records, *evaluations) if "step" in r]
        stopped = re.fullmatch(r"stopped after step (\d+)", self.status)
        self.step = max([int(stopped[1]) if stopped else 0, *steps])
        self.scores = trends.scores(evaluations)
        self.last = evaluations[-1].get("results", {}) if evaluations else {}
        self.real = scores.baseline(evaluations)
        n_lines = sum(any("/" in name for name in r) for r in records)
        self.enough = self.step >= GRACE and (n_lines >= LINES or self.step >= YOUTH)
        self.boundary = has_boundary(config)

    def third(self, name, which):
        """The mean of a curve in the first, second or last third of the steps."""
        low, high = which * self.step / 3, (which + 1) * self.step / 3
        values = [x for step, x in self.curves.get(name, ()) if low < step <= high]
        return sum(values) / len(values) if values else None

    def recent(self, name):
        """The mean of a curve in the last third, or its last value; None without."""
        mean = self.third(name, 2)
        return (
            mean if mean is not None else (self.curves.get(name) or [(0, None)])[-1][1]
        )

    def named(self, quantity):
        """The curves UPDATE/quantity."""
        return [name for name in self.curves if name.rpartition("/")[2] == quantity]

    def discriminators(self):
        """{update: (accuracy on real, accuracy on generated examples)}, recent ones."""
        found = {}
        for name in self.named("accuracy_real"):
            update = name.rpartition("/")[0]
            fake = self.recent(f"{update}/accuracy_fake")
            if fake is not None:
                found[update] = self.recent(name), fake
        return found

    def trend(self):
        """The `trends.Trend` of the first score that changes, else of the first one."""
        found = [
            x
            for name, points in self.scores.items()
            if (x := trends.trend(name, points))
        ]
        changing = [x for x in found if x.kind != "done"]
        return next(iter(changing or found), None)


def n_images(run: Mapping[str, Any]) -> int | None:
    """Returns the number of training images, the smallest of several sets."""
    n = run.get("examples_in_data")
    return min(n.values(), default=None) if isinstance(n, Mapping) else n


def unresolved(run: Mapping[str, Any]) -> dict[str, str]:
    """{problem: message} of the health monitor's warnings that are not over."""
    found = {}
    for said in run.get("warnings") or ():
        message = str(said.get("message", ""))
        for problem in health.HINTS:
            if f": {problem}:" in message:
                found.pop(problem, None)
                if not message.startswith("resolved"):
                    found[problem] = message
    return found


def number(x):
    """A number of three digits: 0.0612, 96, 412, 1.2e+06."""
    return f"{x:,.0f}" if 100 <= abs(x) < 1e6 else f"{x:.3g}"
