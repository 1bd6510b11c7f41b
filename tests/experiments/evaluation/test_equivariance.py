"""EQ-T and EQ-R of generators with random weights."""

import functools
import types

import jax
import jax.numpy as jnp
import pytest

from experiments.evaluation.evaluators import eq_r, eq_t, eq_t_frac
from gans import core, networks

SIZES = {"channel_base": 512, "channel_max": 16, "w_dim": 8}
SHAPE = (32, 32, 3)


def setting(n=8):
    def inputs(key, n):
        return {"z": jax.random.normal(key, (n, 8))}

    return types.SimpleNamespace(
        place="config.metrics",
        n=n,
        spec={"image": types.SimpleNamespace(shape=SHAPE)},
        field=lambda *_: "image",
        sampler=lambda output: types.SimpleNamespace(inputs=inputs),
        classes=lambda output, n: {},
    )


@functools.cache
def generator(network, **options):
    """(gan, state) of a generator, as its initialisers make it."""
    module = networks.make("Generator", network, shape=SHAPE, **SIZES, **options)
    net = core.Net(module, (jax.ShapeDtypeStruct((1, 8), jnp.float32),))
    gan = core.GAN({"g": net}, (), lambda key, batch: {}, {})
    return gan, jax.jit(functools.partial(core.init, gan))(jax.random.key(0))


def score(evaluator, network, n=8, **options):
    gan, state = generator(network, **options)
    ((name, result),) = evaluator.make(gan, None, None, setting=setting(n))(
        state
    ).items()
    assert result.better == "higher" and result.protocol["n"] == n
    assert name == evaluator.__name__.rpartition(".")[2]
    return result.value


@pytest.mark.slow
def test_the_papers_order():
    """T moves and R turns; StyleGAN2's constant is a control of both."""
    moved = {x: score(eq_t, x) for x in ("stylegan2", "stylegan3")}
    assert moved["stylegan3"] > moved["stylegan2"] + 20
    turned = [score(eq_r, "stylegan3", rotation=x) for x in (False, True)]
    assert turned[1] > turned[0] + 10
    assert score(eq_t_frac, "stylegan3") > 30


def test_an_input_that_cannot_be_moved_is_refused():
    net = core.Net(networks.make("Generator", "mlp", shape=(2,)), ())
    gan = core.GAN({"g": net}, (), lambda key, batch: {}, {})
    with pytest.raises(ValueError, match="config.metrics: eq_t: .* no mapping network"):
        eq_t.make(gan, None, None, setting=setting())
