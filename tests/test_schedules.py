"""Which steps are due, and the values of schedules, by tables."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gans import schedules
from gans.schedules import (
    after,
    between,
    every,
    fade_in,
    half_life,
    linear_decay,
    switch,
)


def due(when, n):
    """The due steps among the first n, traced; and the same for Python integers."""
    steps = np.flatnonzero(jax.jit(jax.vmap(when))(jnp.arange(n))).tolist()
    assert steps == [i for i in range(n) if when(i)]
    return steps


@pytest.mark.parametrize(
    "when, steps",
    [
        (every(2), [1, 3, 5, 7, 9]),
        (every(5), [4, 9]),
        (every(11), []),
        (after(7), [7, 8, 9]),
        (after(0), list(range(10))),
        (between(2, 5), [2, 3, 4]),
        (between(5, 5), []),
        # Every fourth until 6 (3), then every third counted from 6 (6 + 2).
        (switch(6, every(4), every(3)), [3, 8]),
        (switch(3, None, every(2)), [0, 1, 2, 4, 6, 8]),
        (switch(6, every(4), None), [3, 6, 7, 8, 9]),
        (switch(4, after(2), between(1, 3)), [2, 3, 5, 6]),
        (switch(0, every(4), every(5)), [4, 9]),
    ],
)
def test_due_steps(when, steps):
    assert due(when, 10) == steps


def test_always_due_needs_no_control_flow():
    assert every(1) is None
    assert switch(0, every(100), every(1)) is None


def test_wgan_generator_is_updated_once_in_100_then_once_in_5():
    # 2,500 warm-up steps hold 25 updates (99, 199 ... 2499), the next 100 hold 20.
    steps = due(switch(2500, every(100), every(5)), 2600)
    assert steps[:25] == list(range(99, 2500, 100))
    assert steps[25:] == list(range(2504, 2600, 5))
    # Without the switch, in the same steps: 2600 / 5.
    assert len(due(every(5), 2600)) == 520


def test_due_under_cond_and_scan():
    when = switch(4, every(2), every(3))

    def body(count, step):
        return jax.lax.cond(when(step), lambda c: c + 1, lambda c: c, count), None

    # Due: 1, 3, then 6 and 9.
    assert jax.jit(lambda: jax.lax.scan(body, 0, jnp.arange(10))[0])() == 4


def at(schedule, steps):
    values = jax.jit(jax.vmap(schedule))(jnp.array(steps))
    np.testing.assert_allclose(values, [schedule(s) for s in steps], rtol=1e-6)
    return values


def test_linear_decay():
    # From 0.2 at step 4 to 0 at step 8: a quarter of 0.2 less per step.
    values = at(linear_decay(0.2, stop=8, start=4), [0, 4, 5, 6, 7, 8, 9, 10**6])
    np.testing.assert_allclose(values, [0.2, 0.2, 0.15, 0.1, 0.05, 0, 0, 0], atol=1e-7)
    np.testing.assert_allclose(at(linear_decay(3.0, 3), [0, 1, 2, 3]), [3, 2, 1, 0])


def test_fade_in():
    values = at(fade_in(2, 6), [0, 2, 3, 4, 5, 6, 7, 10**6])
    np.testing.assert_allclose(values, [0, 0, 0.25, 0.5, 0.75, 1, 1, 1])


def average(decay, n):
    """What n steps towards 0 leave of a 1."""
    left = jax.lax.fori_loop(0, n, lambda i, a: a * decay(i), jnp.float32(1))
    return float(left)


def test_half_life_halves_after_as_many_steps():
    np.testing.assert_allclose(average(half_life(50), 50), 0.5, rtol=1e-5)
    np.testing.assert_allclose(average(half_life(50), 100), 0.25, rtol=1e-5)
    np.testing.assert_allclose(average(half_life(2.5), 5), 0.25, rtol=1e-5)
    assert abs(average(half_life(60), 50) - 0.5) > 0.05


def test_half_life_ramp():
    # Half-lives min(4, 0.5 (step + 1)): 0.5, 1, 2, 4, 4; decays 0.5 ** (1 / life).
    values = at(half_life(4, ramp=0.5), [0, 1, 3, 7, 1000])
    np.testing.assert_allclose(values, 0.5 ** (1 / np.array([0.5, 1, 2, 4, 4])), 1e-5)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: every(0), "at least 1, got 0"),
        (lambda: every(-3), "at least 1, got -3"),
        (lambda: linear_decay(1.0, stop=5, start=5), "stop=5 must be after start=5"),
        (lambda: fade_in(6, 2), "stop=2 must be after start=6"),
    ],
)
def test_errors(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_n_critic_changes():
    # Every 3rd of steps 0 .. 6, then from step 7 on every 2nd, then from 11 on each.
    when = schedules.n_critic(3, ((7, 2), (11, 1)))
    assert due(when, 14) == [2, 5, 8, 10, 11, 12, 13]
    assert due(schedules.n_critic(3), 7) == due(every(3), 7) == [2, 5]


@pytest.mark.parametrize("steps", [1, 5, 7, 8, 11, 14])
@pytest.mark.parametrize("changes", [(), ((7, 2),), ((7, 2), (11, 1))])
def test_updates_are_counted(changes, steps):
    made = due(schedules.n_critic(3, changes), steps)
    assert schedules.n_updates(3, changes, steps) == len(made)


@pytest.mark.parametrize("changes", [((0, 2),), ((5, 2), (3, 1))])
def test_changes_of_n_critic_must_rise(changes):
    with pytest.raises(ValueError, match="must rise"):
        schedules.n_critic(1, changes)


def test_decay_to():
    share = schedules.decay_to(0.5, 0.8, 10)
    # 0.8^0, 0.8^1, 0.8^2, 0.8^3 = 0.512, then 0.5.
    found = [float(share(jnp.int32(s))) for s in (0, 9, 10, 25, 39, 40, 1000)]
    np.testing.assert_allclose(found, [1, 1, 0.8, 0.64, 0.512, 0.5, 0.5], rtol=1e-6)
    with pytest.raises(ValueError, match="interval=0"):
        schedules.decay_to(0.5, 0.9, 0)
