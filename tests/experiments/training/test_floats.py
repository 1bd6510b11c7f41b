"""Floats of a config as inputs of its programs."""

import jax.numpy as jnp
import pytest
from ml_collections import ConfigDict

from configs import gan
from experiments import config as configs
from experiments.training import effects, floats


def test_values_have_places():
    config = ConfigDict({"a": {"b": 1.5, "c": (1, 2)}, "loss": "hinge"})
    config.mapping = {"terms": ({"name": "r1", "weight": 2.0}, "lecam")}
    found = floats.leaves(config)
    assert found["a", "b"] == 1.5 and found["a", "c", 1] == 2
    assert found["loss",] == "hinge"
    weight = ("mapping", "terms", 0, "weight")
    assert found[weight] == 2.0 and floats.spell(weight) == "mapping.terms[0].weight"
    changed = floats.put(config, weight, 7.0)
    assert changed.mapping.terms == ({"name": "r1", "weight": 7.0}, "lecam")
    assert config.mapping.terms[0]["weight"] == 2.0  # as it was
    assert floats.put(config, ("a", "b"), 3.0).a.b == 3.0
    assert floats.put(config, ("a", "c", 0), 9).a.c == (9, 2)


def tiny(**changes):
    config = gan.get_config("ring8")
    config.generator.widths = config.discriminator.widths = (8, 8)
    config.batch_size = 8
    config = configs.override(config, changes)
    return configs.resolve(config, configs.load_data(config))


RATE = ("discriminator", "optimizer", "learning_rate")


def test_which_floats_can_be_inputs():
    # Whether there is dropout at all is part of the network.
    places = (RATE, ("discriminator", "dropout"), ("ema",))
    assert floats.traceable(tiny(), places) == (RATE, ("ema",))
    assert floats.traceable(tiny(), ()) == ()
    built = floats.build(tiny(), [RATE])({floats.spell(RATE): jnp.float32(0.5)})
    assert set(built.nets) == {"g", "d"}


@pytest.mark.parametrize(
    "changes, alike",
    [
        ({"log_every": 7, "steps_per_call": 1, "metrics": ("fid",)}, True),
        ({"ema_ramp": 0.1}, True),  # only a half-life reads it
        ({"ema": 0.5}, False),
        ({"generator.optimizer.b1": 0.1}, False),
        ({"seed": 1}, False),
        ({"flip": True}, False),
        ({"steps": 500}, False),
        ({"generator.widths": (8, 9)}, False),
    ],
)
def test_the_digest_is_of_what_is_computed(changes, alike):
    assert (effects.digest(tiny()) == effects.digest(tiny(**changes))) is alike
