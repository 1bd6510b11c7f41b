"""Samples are functions of a seed and an index; programs of a fixed size."""

import functools
import json

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn
from ml_collections import ConfigDict

import experiments
from experiments.sampling.model import Model
from experiments.sampling.rows import BLOCK
from gans import core
from gans.core import GAN, Net
from gans.data.spec import Field


class Noisy(nn.Module):
    """Adds noise of its own to a latent; draws nothing without a key."""

    streams = ("noise",)

    @nn.compact
    def __call__(self, z, train):
        return z + jax.random.normal(self.make_rng("noise"), z.shape)


@pytest.fixture(scope="module")
def noisy():
    def inputs(key, batch):
        n = core.length(batch)
        label = jnp.arange(n, dtype=jnp.int32) % 3
        return {"z": jax.random.normal(key, (n, 2)), "label": label}

    def sample(nets, x, key):
        return {"point": nets["g"](x["z"], key=key)}

    spec = {"point": Field("point", (2,), "float32")}
    spec["label"] = Field("label", (), "int32", 3)
    z = jax.ShapeDtypeStruct((1, 2), jnp.float32)
    gan = GAN({"g": Net(Noisy(), (z,), optax.sgd(1.0))}, (), inputs, {"sample": sample})
    state = jax.jit(functools.partial(core.init, gan))(jax.random.key(0))
    return Model(ConfigDict({"variant": "noisy", "data": "ring8"}), spec, gan, state)


def test_any_sample_alone_is_that_of_all(noisy):
    far = [BLOCK + 3, 0, 3 * BLOCK + 2000, BLOCK, 70]
    whole = noisy.sample(indices=far, seed=5)
    assert len(np.unique(whole["point"])) == 10  # latents and noise of their own
    assert whole["label"].tolist() == [0, 0, 2, 0, 1]
    for options in ({"batch_size": 2}, {"batch_size": 16}):
        for rows in ([0, 1], [4], [3, 2]):
            some = noisy.sample(indices=[far[i] for i in rows], seed=5, **options)
            np.testing.assert_array_equal(some["point"], whole["point"][rows])
    first = noisy.sample(71, seed=5)["point"]
    np.testing.assert_array_equal(first[[0, 70]], whole["point"][[1, 4]])
    np.testing.assert_array_equal(
        noisy.sample(indices=[4, 5], label=(0, 2))["label"], [0, 2]
    )


def test_a_program_makes_the_bits_of_sample(noisy):
    program, found = noisy.program(size=4), []
    rows = [noisy.inputs(2, seed=1), noisy.inputs(indices=[9], seed=2)]
    keys = jnp.concatenate([noisy.keys(1, [0, 1]), noisy.keys(2, [9])])
    together = {name: np.concatenate([x[name] for x in rows]) for name in rows[0]}
    made = program(together, keys)["point"]
    found = [noisy.sample(2, seed=1, batch_size=4)]
    found += [noisy.sample(indices=[9], seed=2, batch_size=4)]
    assert made.tobytes() == b"".join(x["point"].tobytes() for x in found)
    assert noisy.program(size=4) is program
    with pytest.raises(ValueError, match="5 inputs for a program of 4"):
        program(noisy.inputs(5), noisy.keys(0, range(5)))


@pytest.mark.parametrize(
    "asked, message",
    [
        ({"indices": [-1]}, "indices: wanted numbers of samples, from 0 to"),
        ({"indices": [0.5]}, "indices: wanted"),
        ({"indices": []}, "indices: wanted"),
        ({"n": 2, "indices": [1]}, "n=2, and 1 indices"),
        ({"n": 0}, "n=0: wanted at least 1"),
        ({"seed": 2**32}, "seed=4294967296: wanted a number from"),
        ({"given": np.zeros((1, 2))}, "output 'sample' is made of no examples"),
    ],
)
def test_what_cannot_be_drawn(noisy, asked, message):
    with pytest.raises(ValueError, match=message):
        noisy.sample(**asked)


def test_given_examples_need_no_data(untrained, tmp_path):
    model = experiments.load(untrained("series", tmp_path))
    source = model.samplers.conditions
    model = experiments.load(tmp_path)
    model.samplers.__dict__.update(test=None)
    model.__dict__.update(data=None)  # would fail where it is read
    x = source.take(np.arange(3))["series"]
    found = model.sample(given=x, output="score")["score"]
    assert found.shape == (3,)
    apart = model.sample(given=x[1:2].astype(np.float64), output="score")["score"]
    np.testing.assert_allclose(apart, found[1:2], atol=1e-5)
    for wrong, message in (
        (x[:, :3], r"given: series is \[3, 3, 2\]; wanted \[n, 16, 2\]"),
        (x * np.nan, "given: series is not finite"),
        (x > 0, "given: series is bool; wanted float32"),
        ({"serie": x}, "made of series, not of serie"),
    ):
        with pytest.raises(ValueError, match=message):
            model.sample(given=wrong, output="score")
    with pytest.raises(ValueError, match="given: 3 examples for 2 samples"):
        model.sample(2, given=x, output="score")


def test_schemas_say_what_is_needed(noisy, untrained, tmp_path):
    found = noisy.schema()
    assert json.loads(json.dumps(found)) == found
    assert found["inputs"]["z"] == {"shape": ["n", 2], "dtype": "float32"}
    assert found["classes"] == "label" and found["inputs"]["label"]["classes"] == 3
    assert (found["random"], found["draws"], found["made_of"]) == (True, True, [])
    model = experiments.load(untrained("series", tmp_path))
    found = model.schema("score")
    assert list(found["inputs"]) == found["made_of"] == ["series"]
    assert found["makes"] == {"score": {"shape": ["n"], "dtype": "float32"}}
    assert (found["random"], found["draws"], found["truncation"]) == (False,) * 3
    assert list(model.schema("sample")["inputs"]) == ["z"]
