"""Stages of a training: what is counted, and what passes from one to the next."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn

from gans import core, stages
from gans.data.spec import Field
from gans.stages import Stage

SPEC = {"point": Field("point", (2,), "float32")}
THREE = (Stage(4, 8, SPEC), Stage(6, 4, SPEC), Stage(2, 2, SPEC, reset_optimisers=True))


def test_steps_and_examples_are_counted_through_all_stages():
    assert [stages.first_step(THREE, i) for i in range(4)] == [0, 4, 10, 12]
    assert [stages.first_row(THREE, i) for i in range(4)] == [0, 32, 56, 60]
    # 4 steps of 8; then of 4; then of 2.
    found = [stages.examples(THREE, step) for step in (0, 1, 4, 5, 10, 11, 12)]
    assert found == [0, 8, 32, 36, 56, 58, 60]


def test_a_state_at_a_border_is_of_the_stage_that_made_it():
    found = [stages.index_of(THREE, step) for step in (0, 1, 4, 5, 10, 11, 12, 99)]
    assert found == [0, 0, 0, 1, 1, 2, 2, 2]


@pytest.mark.parametrize("key", ["steps", "batch_size"])
def test_a_stage_has_steps_and_examples(key):
    with pytest.raises(ValueError, match=f"a stage: {key}=0 must be at least 1"):
        Stage(**{"steps": 1, "batch_size": 1, "spec": SPEC, key: 0})


class Grown(nn.Module):
    """A map of [B, 2] by `n` layers of `width`; the first of them is as wide as `n`."""

    n: int
    width: int

    @nn.compact
    def __call__(self, x, train):
        for i in range(self.n):
            x = nn.Dense(self.n if i == 0 else self.width, name=f"dense{i}")(x)
        return x


def gan(n, width=3, **aux):
    def loss(nets, batch, key, state):
        return jnp.square(nets["g"](batch["point"])).mean(), core.Out()

    example = jax.ShapeDtypeStruct((1, 2), "float32")
    net = core.Net(Grown(n, width), (example,), tx=optax.adam(1e-2), ema=0.9)
    return core.GAN(
        nets={"g": net},
        updates=(core.Update("g", ("g",), loss),),
        inputs=lambda key, batch: {},
        outputs={},
        aux=aux,
    )


def trained(gan, steps=3):
    state, step = core.init(gan, jax.random.key(0)), jax.jit(core.make_step(gan))
    for _ in range(steps):
        state, _ = step(state, {"point": jnp.ones((4, 2))}, jax.random.key(1))
    return state


def leaves(tree):
    found = jax.tree_util.tree_leaves_with_path(tree)
    return {jax.tree_util.keystr(path): x for path, x in found}


def test_what_agrees_in_path_and_shape_is_carried_over():
    old = trained(gan(2, width=3, p=jnp.float32(1), q=jnp.zeros(2)))
    fresh = core.init(
        gan(3, width=3, p=jnp.float32(2), q=jnp.zeros(3)), jax.random.key(5)
    )
    new = stages.carry(old, fresh)
    assert (
        int(new.step) == 3 and float(new.aux["p"]) == 1 and new.aux["q"].shape == (3,)
    )
    before, first, now = leaves(old), leaves(fresh), leaves(new)
    assert now.keys() == first.keys() and "['dense2']" in "".join(now)
    for name, x in now.items():
        # dense0 has another width, so dense1 another input, and dense2 is new.
        agrees = name in before and before[name].shape == x.shape
        assert agrees == (
            "dense" not in name
            and "q" not in name
            or name.endswith("['dense1']['bias']")
        ), name
        assert x is (before[name] if agrees else first[name])


def test_optimisers_go_on_or_begin_anew():
    old = trained(gan(2))
    fresh = core.init(gan(2), jax.random.key(5))
    on, anew = stages.carry(old, fresh), stages.carry(old, fresh, True)
    for a, b, c in zip(
        *(jax.tree.leaves(s.opt) for s in (old, on, fresh)), strict=True
    ):
        assert b is a and not np.array_equal(a, c)
    for a, b in zip(*(jax.tree.leaves(s.opt) for s in (fresh, anew)), strict=True):
        assert b is a
    for state in (on, anew):
        for a, b in zip(
            *(jax.tree.leaves(s.params) for s in (old, state)), strict=True
        ):
            assert b is a


def test_a_stage_with_the_same_networks_goes_on_bit_for_bit():
    whole, half = trained(gan(2), 6), trained(gan(2), 3)
    state = stages.carry(half, core.init(gan(2), jax.random.key(5)))
    step = jax.jit(core.make_step(gan(2)))
    for _ in range(3):
        state, _ = step(state, {"point": jnp.ones((4, 2))}, jax.random.key(1))
    for a, b in zip(jax.tree.leaves(whole), jax.tree.leaves(state), strict=True):
        np.testing.assert_array_equal(a, b)
