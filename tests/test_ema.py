"""The moving average of a network's variables."""

import jax.numpy as jnp
import numpy as np

from gans import ema


def test_by_hand():
    # 0.75 * 8 + 0.25 * 4 = 7; with the decay 0.5 of step 2: 6.
    old, new = {"w": jnp.array([8.0])}, {"w": jnp.array([4.0])}
    step = jnp.int32(2)
    assert ema.follow(old, new, 0.75, step, True)["w"] == 7
    assert ema.follow(old, new, lambda step: 1 / step, step, True)["w"] == 6


def test_it_stays_where_its_network_was_not_updated():
    old, new = {"w": jnp.array([8.0])}, {"w": jnp.array([4.0])}
    assert ema.follow(old, new, 0.5, jnp.int32(0), False) is old
    for due, expected in ((True, 6.0), (False, 8.0)):
        found = ema.follow(old, new, 0.5, jnp.int32(0), jnp.bool_(due))
        np.testing.assert_array_equal(found["w"], [expected])
