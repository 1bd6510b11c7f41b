import types

import jax.numpy as jnp
import numpy as np
import pytest

from experiments.training.metric_buffer import MetricBuffer, NotFinite
from gans.core import Update
from gans.schedules import every

NAN, INF = float("nan"), float("inf")


def buffer(step=0, n_critic=3):
    updates = (
        Update("d", ("d",), loss=None),
        Update("g", ("g",), loss=None, when=every(n_critic)),
    )
    return MetricBuffer(types.SimpleNamespace(updates=updates), step)


def metrics(d, g):
    return {"d/loss": jnp.float32(d), "g/loss": jnp.float32(g)}


def test_means_over_the_steps_that_have_the_metric():
    found = buffer()
    for d, g in ((1, NAN), (2, NAN), (6, 5)):
        found.add(metrics(d, g))
    found.fetch()
    assert found.means() == {"d/loss": 3.0, "g/loss": 5.0}  # (1 + 2 + 6) / 3


def test_several_steps_per_call_are_the_same():
    found = buffer()
    found.add({"d/loss": jnp.array([1.0, 2.0]), "g/loss": jnp.array([NAN, NAN])})
    found.add({"d/loss": jnp.array([6.0, 7.0]), "g/loss": jnp.array([5.0, NAN])})
    found.fetch()
    assert found.means() == {"d/loss": 4.0, "g/loss": 5.0}  # (1 + 2 + 6 + 7) / 4


def test_fetching_twice_counts_nothing_twice():
    found = buffer()
    found.add(metrics(1, NAN))
    found.fetch()
    found.fetch()
    found.add(metrics(3, NAN))
    found.fetch()
    assert found.means() == {"d/loss": 2.0}
    found.clear(2)
    found.add(metrics(9, 4))
    found.fetch()
    assert found.means() == {"d/loss": 9.0, "g/loss": 4.0}


def test_it_goes_on_where_another_one_ended():
    first = buffer()
    first.add(metrics(1, NAN))
    first.fetch()
    assert first.sums() == {"d/loss": (1.0, 1)}
    after = MetricBuffer(types.SimpleNamespace(updates=()), 1, first.sums())
    after.add(metrics(4, 8))
    after.fetch()
    assert after.means() == {"d/loss": 2.5, "g/loss": 8.0}
    after.clear(2)
    assert after.sums() == {}


@pytest.mark.parametrize("value", [NAN, INF, -INF])
def test_names_the_step_and_the_update(value):
    found = buffer(step=10)
    found.add(metrics(1, 2))
    found.fetch()
    found.add(metrics(1.5, 4))  # step 12, the fourth time that g is due
    found.add(metrics(value, NAN))
    found.add(metrics(NAN, NAN))
    with pytest.raises(NotFinite, match=f"update 'd' is {value} at step 13;.*d/loss"):
        found.fetch()


def test_not_due_is_no_fault_but_due_is():
    # With every(3), g is due at the steps 3, 6, ... counted from 1.
    found = buffer(step=3)
    for g in (NAN, NAN, 1.0, NAN):
        found.add(metrics(0, g))
    found.fetch()
    found = buffer(step=3)
    for g in (NAN, NAN, NAN, 1.0):
        found.add(metrics(0, g))
    with pytest.raises(NotFinite, match="update 'g' is nan at step 6;"):
        found.fetch()


def test_a_fault_in_the_middle_of_a_call():
    found = buffer(step=20)
    d = jnp.where(jnp.arange(10) == 7, jnp.nan, 0.0)
    found.add({"d/loss": d, "g/loss": np.full(10, 1.0)})
    with pytest.raises(NotFinite, match="update 'd' is nan at step 28;"):
        found.fetch()
