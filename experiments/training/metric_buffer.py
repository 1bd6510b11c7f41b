"""The metrics since the last line of the log, and the check that losses are finite."""

from __future__ import annotations

import jax
import numpy as np

from gans import core

# {metric: (sum of its values, how many they are)}.
Sums = dict[str, tuple[float, int]]


class NotFinite(FloatingPointError):
    """A loss or the state is NaN or infinite."""


class MetricBuffer:
    """Collects metrics, which stay on the device until `fetch`.

    Args:
      gan: its updates say when each loss must be finite.
      step: the number of steps done before the first metrics.
      before: the `sums` of a buffer that this one continues.
    """

    def __init__(self, gan: core.GAN, step: int, before: Sums | None = None):
        self._when = {
            update.name: update.when and jax.jit(jax.vmap(update.when))
            for update in gan.updates
        }
        self._unless = {x.name for x in gan.updates if x.unless is not None}
        self._calls = []
        self.clear(step)
        self._before = dict(before or {})

    def clear(self, step: int) -> None:
        """Forgets everything; the next metrics are those after `step` steps."""
        self._start, self._calls, self._values = step, [], {}
        self._before: Sums = {}

    def add(self, metrics: core.Metrics) -> None:
        """Keeps the metrics of one call, each [] or [k], without waiting for them."""
        self._calls.append(metrics)

    def fetch(self) -> None:
        """Copies the metrics to the host.

        Raises NotFinite if an update was due and its loss is not finite. The message
        has the step (counted from 1), the update, and all metrics of that step. An
        update that was not due has NaN as its loss, which is not an error.
        """
        calls, self._calls = jax.device_get(self._calls), []
        if not calls:
            return
        new = {name: np.hstack([call[name] for call in calls]) for name in calls[0]}
        first = self._start + len(next(iter(self._values.values()), ()))
        self._check(new, first)
        for name, x in new.items():
            self._values[name] = np.append(self._values.get(name, x[:0]), x)

    def means(self) -> dict[str, float]:
        """Returns each metric's mean over the fetched steps that have it."""
        return {name: total / n for name, (total, n) in self.sums().items()}

    def sums(self) -> Sums:
        """Returns each metric's sum over these steps, and how many they are."""
        found = dict(self._before)
        for name, x in self._values.items():
            x, (total, n) = x[~np.isnan(x)], found.get(name, (0.0, 0))
            if x.size:
                found[name] = total + float(x.sum(dtype=np.float64)), n + x.size
        return found

    def _check(self, values, first):
        bad = []
        for update, when in self._when.items():
            loss = values[f"{update}/loss"]
            wrong = ~np.isfinite(loss)
            if wrong.any() and when is not None:
                steps = np.arange(first, first + len(loss), dtype=np.int32)
                wrong &= np.asarray(when(steps))
            if update in self._unless:
                wrong &= values[f"updated/{update}"] > 0
            if wrong.any():
                bad.append((int(wrong.argmax()), update))
        if bad:
            i, update = min(bad, key=lambda found: found[0])
            shown = "  ".join(f"{name} {x[i]:.6g}" for name, x in values.items())
            raise NotFinite(
                f"the loss of update {update!r} is {values[f'{update}/loss'][i]} at "
                f"step {first + i + 1}; the metrics of that step: {shown}"
            )
