"""Functions of the step: step -> bool (is an update due?) and step -> value.

A step is one batch of real data, counted from 0; `step` is an int32 array [] or int.
"""

from collections.abc import Callable

import jax.numpy as jnp
import numpy as np
from jax import Array

from gans import names

When = Callable[[Array], Array]
Schedule = Callable[[Array], Array]


def every(n: int) -> When | None:
    """Due at steps n - 1, 2 n - 1, ...: once per n batches, after the n-th.

    With n = n_critic on the generator's update this is Algorithm 1 of WGAN
    (arXiv 1701.07875): n updates of the critic, then one of the generator. `every(1)`
    is None: always due, without control flow. Raises ValueError unless n >= 1.
    """
    if n < 1 or n != int(n):
        raise ValueError(f"every(n): n must be an integer of at least 1, got {n}")
    return None if n == 1 else lambda step: (step + 1) % n == 0


def after(start: int) -> When:
    """Due from step `start` on."""
    return lambda step: step >= start


def between(start: int, stop: int) -> When:
    """Due at the steps start <= step < stop."""
    return lambda step: (start <= step) & (step < stop)


def switch(boundary: int, before: When | None, then: When | None) -> When | None:
    """`before` at the steps < boundary, `then` from there on, counted from there."""
    if boundary <= 0:
        return then
    before, then = (f or (lambda step: jnp.full_like(step, True, bool))
                    for f in (before, then))  # fmt: skip
    return lambda step: jnp.where(
        step < boundary, before(step), then(jnp.maximum(step - boundary, 0))
    )


def n_critic(n: int, changes: tuple[tuple[int, int], ...] = ()) -> When | None:
    """`every(n)`; from each (step, n) of `changes` on, that n, counted from that step.

    Raises ValueError unless each n >= 1 and the steps rise, all of them integers.
    """
    pieces = [(0, n), *changes]
    steps = [step for step, _ in pieces]
    if steps != sorted({int(step) for step in steps}):
        raise ValueError(
            f"n_critic: the steps of {changes} must rise from above 0, whole"
        )
    when = every(pieces[-1][1])
    for (start, m), (stop, _) in zip(pieces[-2::-1], pieces[:0:-1], strict=True):
        when = switch(stop - start, every(m), when)
    return when


def n_updates(n: int, changes: tuple[tuple[int, int], ...], steps: Array | int):
    """How often `n_critic(n, changes)` is due in so many steps: an int, or array []."""
    clip = np.clip if isinstance(steps, int) else jnp.clip
    pieces = [(0, n), *changes, (np.iinfo(np.int32).max, 1)]
    return sum(
        clip(steps - start, 0, stop - start) // m
        for (start, m), (stop, _) in zip(pieces, pieces[1:], strict=False)
    )


def linear_decay(value: float, stop: int, start: int = 0) -> Schedule:
    """`value` up to step `start`, then linear to 0 at step `stop`, then 0."""
    if stop <= start:
        raise ValueError(f"linear_decay: stop={stop} must be after start={start}")
    return lambda step: value * jnp.clip((stop - step) / (stop - start), 0.0, 1.0)


def fade_in(start: int, stop: int) -> Schedule:
    """0 up to step `start`, then linear to 1 at step `stop`, then 1."""
    if stop <= start:
        raise ValueError(f"fade_in: stop={stop} must be after start={start}")
    return lambda step: jnp.clip((step - start) / (stop - start), 0.0, 1.0)


def decay_to(least: float, rate: float, interval: int) -> Schedule:
    """1, times `rate` after each `interval` steps, never below `least`.

    The share of examples of top-k training (arXiv 2002.06224, section 3).
    """
    if interval < 1:
        raise ValueError(f"decay_to: interval={interval} must be at least 1 step")
    return lambda step: jnp.maximum(least, rate ** (step // interval))


def ramp_up(decay: float) -> Schedule:
    """EMA decay min(decay, (1 + update) / (10 + update)); a function of the update.

    Short at the start, so that the average soon forgets the first, random weights.
    Raises ValueError for a decay outside [0, 1).
    """
    names.number(decay, lambda x: (0 <= x) & (x < 1), "ema", "in [0, 1)")
    return lambda update: jnp.minimum(decay, (1 + update) / (10 + update))


def half_life(updates: float, ramp: float | None = None) -> Schedule:
    """EMA decay whose average forgets half in `updates`; a function of the update.

    With `ramp`, the half-life is at most ramp * (update + 1): short at the start, where
    the weights change fast (StyleGAN2-ADA's training loop uses 0.05). Raises ValueError
    unless both are above 0.
    """
    names.number(updates, lambda x: x > 0, "ema_half_life", "above 0")
    if ramp is not None:
        names.number(ramp, lambda x: x > 0, "ema_ramp", "above 0, or None")

    def decay(update):
        life = jnp.asarray(updates, jnp.float32)
        if ramp is not None:
            life = jnp.minimum(life, ramp * (update + 1))
        return 0.5 ** (1 / life)

    return decay
