"""Evaluation: which samples are measured, and by what."""

import functools
import importlib

import jax
import numpy as np
import pytest

from experiments.evaluate import make_evaluate
from gans import core, data


@pytest.fixture(scope="module")
def game():
    config = importlib.import_module("configs.gan").get_config("ring8")
    config.shape, config.n_evaluate = (2,), 700
    gan = importlib.import_module("gans.variants.gan").build(config)
    state = jax.jit(functools.partial(core.init, gan))(jax.random.key(0))
    return config, gan, state, data.load("ring8")


def test_the_metrics_of_the_config_see_n_samples_of_the_average(game, monkeypatch):
    config, gan, state, source = game
    seen = []

    def measure(samples, given):
        assert given is source
        seen.append(samples["point"])
        return {"spread": float(samples["point"].std())}

    monkeypatch.setattr("gans.metrics.modes.measure", measure)
    evaluate = make_evaluate(gan, config, source)
    found = evaluate(state)
    assert found == {"eval/modes/spread": float(seen[0].std())}
    assert seen[0].shape == (700, 2)
    assert len(np.unique(seen[0], axis=0)) == 700, "the same latents again"
    # The same latents each time; and the averaged generator, not the raw one.
    evaluate(state)
    np.testing.assert_array_equal(seen[0], seen[1])
    still = state.replace(params=jax.tree.map(np.zeros_like, state.params))
    evaluate(still)
    np.testing.assert_array_equal(seen[0], seen[2])


def test_without_metrics_there_is_nothing(game):
    config, gan, state, source = game
    config = config.copy_and_resolve_references()
    config.metrics = ()
    assert make_evaluate(gan, config, source)(state) == {}


def test_an_unknown_metric(game):
    config, gan, _, source = game
    config = config.copy_and_resolve_references()
    config.metrics = ("mode",)
    with pytest.raises(ValueError, match="'mode' is not one of.*did you mean 'modes'"):
        make_evaluate(gan, config, source)
