"""SAGAN: attention that starts silent, spectral norm in both, two learning rates."""

import functools

import jax
import pytest

from experiments import config as configs
from gans import core

KEY = jax.random.key(0)


def test_what_makes_it_a_sagan(tiny):
    config = tiny("sagan")
    game = configs.build(config)
    state = jax.jit(functools.partial(core.init, game))(KEY)
    for name in "gd":
        attention = state.params[name]["SelfAttention_0"]
        assert float(attention["gamma"]) == 0
        n_kernels = sum(
            path[-1].key == "kernel"
            for path, _ in jax.tree_util.tree_leaves_with_path(state.params[name])
        )
        assert len(jax.tree.leaves(state.stats[name]["spectral"])) == n_kernels
    rates = [
        p.optimizer.learning_rate for p in (config.generator, config.discriminator)
    ]
    assert rates == [1e-4, 4e-4]
    assert config.loss == "hinge"
    # Each network's own update keeps its vectors.
    batch = {"image": jax.random.normal(KEY, (4, *config.shape))}
    for update in game.updates:
        changes = jax.eval_shape(
            functools.partial(core.play, game, update), state, batch, KEY
        )[0]
        assert list(changes["stats"]) == [update.name]
        assert "spectral" in changes["stats"][update.name]


@pytest.mark.parametrize("player", ["generator", "discriminator"])
@pytest.mark.parametrize("option", ["spectral", "attention"])
def test_without_either_it_is_rejected(tiny, player, option):
    config = tiny("sagan")
    config[player][option] = None if option == "attention" else False
    with pytest.raises(ValueError, match=f"{player}: .*{option}"):
        configs.build(config)
