"""The one sampler, on a model that is conditioned on images and has several outputs."""

import functools
import importlib
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from experiments import config as configs
from experiments.sampling.sampler import Sampler
from experiments.sampling.samplers import Drawing, Samplers
from gans import core, data
from gans.core import GAN, Net
from gans.data import kinds
from gans.data.source import InMemory, Unpaired
from gans.data.spec import Field


class Tint(nn.Module):
    """x [B, H, W, 1] -> [B, H, W, 3] by one weight, with dropout that is never off."""

    @nn.compact
    def __call__(self, x, train):
        x = nn.Dropout(0.5, deterministic=False)(x)
        return jnp.tanh(nn.Dense(3)(x))


def a_to_b(nets, inputs, key):
    return {"b": nets["g"](inputs["a"], key=key)}


def reconstruct(nets, inputs, key):
    return {"a": inputs["a"] / 2, "distance": jnp.abs(inputs["a"]).mean((1, 2, 3))}


def score(nets, inputs, key):
    return {"score": inputs["z"].sum(1)}


def noise(nets, inputs, key):
    return {"b": jnp.ones((len(inputs["z"]), 4, 4, 3)) * inputs["z"][:, :1, None, None]}


@pytest.fixture(scope="module")
def source():
    rng = np.random.default_rng(0)
    arrays = {
        "a": rng.integers(0, 256, (7, 4, 4, 1)).astype(np.uint8),
        "b": rng.integers(0, 256, (7, 4, 4, 3)).astype(np.uint8),
    }
    return InMemory("pairs", arrays, {"a": "image", "b": "image"})


@pytest.fixture(scope="module")
def gan():
    def inputs(key, batch):
        z = jax.random.normal(key, (core.length(batch), 2))
        return {"z": z, "a": batch["a"]}

    example = jax.ShapeDtypeStruct((1, 4, 4, 1), jnp.float32)
    return GAN(
        nets={"g": Net(Tint(), (example,), ema=0.9)},
        updates=(),
        inputs=inputs,
        outputs={
            "a_to_b": a_to_b,
            "reconstruct": reconstruct,
            "score": score,
            "sample": noise,
        },
        conditioned_on=("a",),
    )


@pytest.fixture(scope="module")
def state(gan):
    return jax.jit(functools.partial(core.init, gan))(jax.random.key(0))


def decoded(source, rows):
    return np.asarray(kinds.of(source.spec["a"]).decode(source.arrays["a"][rows]))


def test_examples_are_the_first_rows_and_repeat(gan, source, state):
    found = list(
        Sampler(gan, source.spec, source, "reconstruct").batches(state, 9, size=4)
    )
    assert [len(x["a"]) for x in found] == [4, 4, 1]
    a = np.concatenate([x["a"] for x in found])
    np.testing.assert_allclose(a, decoded(source, np.arange(9) % 7) / 2, rtol=1e-6)
    assert {*found[0]} == {"a", "distance"}


def test_what_was_given_is_kept_in_what_is_made_of_it_alone(gan, source, state):
    """As `translate` does it; what is made of anything else stays as it is."""

    def finish(a, b):  # where the input is bright
        return jnp.where(a > 0, a, b)

    def both(output):
        for own in ({"finish": finish}, {}):
            sampler = Sampler(gan, source.spec, source, output, **own)
            assert sampler.finishes == (own != {} and output != "sample")
            yield {k: np.asarray(x) for k, x in next(sampler.batches(state, 7)).items()}

    kept, plain = both("a_to_b")
    bright = np.broadcast_to(decoded(source, np.arange(7)) > 0, plain["b"].shape)
    given = np.broadcast_to(decoded(source, np.arange(7)), plain["b"].shape)
    np.testing.assert_array_equal(kept["b"][bright], given[bright])
    np.testing.assert_array_equal(kept["b"][~bright], plain["b"][~bright])
    assert (plain["b"][bright] != given[bright]).all()
    for output in ("reconstruct", "sample"):
        kept, plain = both(output)
        for name, x in plain.items():
            np.testing.assert_array_equal(kept[name], x)


def test_sides_that_do_not_correspond_repeat_at_their_own_ends(gan):
    rows = {n: np.arange(n, dtype=np.uint8)[:, None, None, None] for n in (5, 3)}
    sides = {"a": InMemory("a", {"image": rows[5]}), "b": rows[3]}
    source = Unpaired("ab", sides | {"b": InMemory("b", {"image": rows[3]})})
    both = GAN(**vars(gan) | {"conditioned_on": ("a", "b")})
    found = Sampler(both, source.spec, source, "score").examples(7)
    assert found["a"].ravel().tolist() == [0, 1, 2, 3, 4, 0, 1]
    assert found["b"].ravel().tolist() == [0, 1, 2, 0, 1, 2, 0]


def test_what_an_output_draws_is_the_same_each_time_and_of_each_batch_its_own(
    gan, source, state
):
    made = Sampler(gan, source.spec, source, "a_to_b")
    first, second = (list(made.batches(state, 14, size=7)) for _ in range(2))
    np.testing.assert_array_equal(first[1]["b"], second[1]["b"])
    # The same seven examples, with another dropout.
    assert not np.allclose(first[0]["b"], first[1]["b"])


def test_only_what_is_wanted_is_computed(gan, source, state):
    made = Sampler(gan, source.spec, source, "reconstruct")
    (found,) = made.batches(state, 3, only=("distance",))
    assert list(found) == ["distance"]
    np.testing.assert_allclose(
        found["distance"], np.abs(decoded(source, [0, 1, 2])).mean((1, 2, 3)), rtol=1e-5
    )


def test_given_are_the_examples_that_an_output_depends_on(gan, source):
    of = {x: Sampler(gan, source.spec, source, x) for x in gan.outputs}
    for name, wanted in (
        ("a_to_b", ["a"]),
        ("reconstruct", ["a"]),
        ("score", []),
        ("sample", []),
    ):
        given = of[name].given(of[name].examples(3))
        assert list(given) == wanted, name
    np.testing.assert_array_equal(
        of["a_to_b"].given(of["a_to_b"].examples(3))["a"], decoded(source, [0, 1, 2])
    )


def test_a_drawing_has_every_output_with_a_field_of_the_data(gan, source, state):
    names = ("sample", "a_to_b", "reconstruct")
    samplers = {x: Sampler(gan, source.spec, source, x) for x in names}
    drawing = Drawing(samplers, key=jax.random.key(1), n=5)
    found = jax.jit(drawing)(state)
    assert {*found} == {"sample", "a_to_b", "reconstruct"}
    assert found["a_to_b"]["b"].shape == (5, 4, 4, 3)
    assert {name: list(x) for name, x in drawing.given.items()} == {
        "sample": [],
        "a_to_b": ["a"],
        "reconstruct": ["a"],
    }
    again = jax.jit(drawing)(state)
    np.testing.assert_array_equal(found["a_to_b"]["b"], again["a_to_b"]["b"])


def test_what_cannot_be_sampled(gan, source):
    with pytest.raises(ValueError, match="'samples' is not one of.*mean 'sample'"):
        Sampler(gan, source.spec, source, "samples")
    with pytest.raises(ValueError, match="'a_to_b' needs examples of a, but no source"):
        Sampler(gan, source.spec, None, "a_to_b")
    spec = {"point": Field("point", (2,), "float32")}
    with pytest.raises(ValueError, match="on: 'a' is not a field of the data: point"):
        Sampler(gan, spec, source, "a_to_b")


def test_the_source_of_conditions_is_the_test_set_if_there_is_one(
    gan, source, monkeypatch
):
    for test, wanted in (("test", "test"), (None, source)):
        monkeypatch.setattr("experiments.rundir.restore.load_test", lambda *_: test)  # noqa: B023
        config = types.SimpleNamespace(data="own")
        samplers = Samplers(gan, config, source.spec, lambda: source)
        assert samplers.conditions is wanted
    assert samplers("a_to_b") is samplers("a_to_b")
    assert {*samplers.drawable()} == {"sample", "a_to_b", "reconstruct"}
    with pytest.raises(ValueError, match="'b_to_a' is not one of"):
        samplers("b_to_a")


def test_latents_of_an_evaluation_are_those_they_always_were(monkeypatch):
    """Batch i of 500 is drawn from key(i): published figures depend on it."""
    source = data.load("ring8")
    config = importlib.import_module("configs.gan").get_config("ring8")
    gan = configs.build(configs.resolve(config, source))
    state = jax.jit(functools.partial(core.init, gan))(jax.random.key(0))

    def load(*_):
        raise AssertionError("no data are needed")

    monkeypatch.setattr("experiments.rundir.restore.load_test", load)
    samplers = Samplers(gan, config, source.spec, load)
    found = list(samplers().batches(state, 700))
    assert [len(x["point"]) for x in found] == [500, 200]
    for i in range(2):
        z = jax.random.normal(jax.random.key(i), (500, config.latent))
        nets = core.bind(gan, state, train=False, ema=True)
        wanted = np.asarray(nets["g"](z, None))[: len(found[i]["point"])]
        np.testing.assert_allclose(found[i]["point"], wanted, rtol=1e-4, atol=1e-6)
    assert not np.allclose(found[0]["point"][:200], found[1]["point"], atol=1e-3)
