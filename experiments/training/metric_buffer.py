"""The metrics of the steps since the log's last line, and the guard against NaN."""

from __future__ import annotations

import jax
import numpy as np

from gans import core


class NotFinite(FloatingPointError):
    """A loss, or the state, is NaN or infinite."""


class Window:
    """Metrics that stay on the device until they are asked for.

    `step` is the number of steps done when the window begins.
    """

    def __init__(self, gan: core.GAN, step: int):
        self._when = {
            update.name: update.when and jax.jit(jax.vmap(update.when))
            for update in gan.updates
        }
        self._calls = []
        self.clear(step)

    def clear(self, step: int) -> None:
        """Begins anew at `step`."""
        self._start, self._calls, self._values = step, [], {}

    def add(self, metrics: core.Metrics) -> None:
        """Takes the metrics of one call, each [] or [k], as they are."""
        self._calls.append(metrics)

    def wait(self, ahead: int) -> None:
        """Waits for the last call but `ahead`."""
        if len(self._calls) > ahead:
            jax.block_until_ready(self._calls[-1 - ahead])

    def fetch(self) -> None:
        """Brings the metrics to the host.

        Raises NotFinite, with the step (counted from 1), the update and the metrics of
        that step, if the loss of an update that was due is not finite: where it was not
        due, NaN says just that.
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
        """Returns each metric's mean over the steps of the window that have it."""
        found = {name: x[~np.isnan(x)] for name, x in self._values.items()}
        return {n: float(x.mean(dtype=np.float64)) for n, x in found.items() if x.size}

    def _check(self, values, first):
        bad = []
        for update, when in self._when.items():
            loss = values[f"{update}/loss"]
            wrong = ~np.isfinite(loss)
            if wrong.any() and when is not None:
                steps = np.arange(first, first + len(loss), dtype=np.int32)
                wrong &= np.asarray(when(steps))
            if wrong.any():
                bad.append((int(wrong.argmax()), update))
        if bad:
            i, update = min(bad, key=lambda found: found[0])
            shown = "  ".join(f"{name} {x[i]:.6g}" for name, x in values.items())
            raise NotFinite(
                f"the loss of update {update!r} is {values[f'{update}/loss'][i]} at "
                f"step {first + i + 1}; the metrics of that step: {shown}"
            )
