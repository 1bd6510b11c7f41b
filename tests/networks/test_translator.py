"""CycleGAN's generator: the authors' numbers, sizes, what is rejected."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gans import networks
from gans.layers.conv.inspect import slow_convolutions
from gans.networks import translator

MADE = "Generator", "translator", translator.from_torch


@pytest.mark.parametrize(
    "name, padding",
    [
        ("resnet2_zero_pad", "zero"),
        ("resnet6_instance", "reflect"),
        ("resnet9_batch", "reflect"),
    ],
)
def test_the_authors_numbers(authors, name, padding):
    reference = authors.Reference(name)
    options = translator.from_torch(reference.state)[0]
    assert (options["padding"], options["blocks"]) == (padding, int(name[6]))
    found = authors.errors(reference, *MADE)
    assert max(found.values()) < 1e-6, found
    other = {"zero": "reflect", "reflect": "zero"}[padding]
    found = authors.errors(reference, *MADE, training=False, padding=other)
    assert found["eval/out"] > 1e-3


def test_dropout_shows_in_a_state():
    def state(*at):
        names = ["1", "4", "7", *(f"10.conv_block.{i}" for i in at), "12", "15", "19"]
        size = {"1": 7, "19": 7}
        return {
            f"model.{n}.weight": np.zeros((2, 2, *[size.get(n, 3)] * 2)) for n in names
        }

    for at, options in (
        ((1, 5), {"padding": "reflect"}),
        ((1, 6), {"padding": "reflect", "dropout": 0.5}),
        ((0, 3), {"padding": "zero"}),
        ((0, 4), {"padding": "zero", "dropout": 0.5}),
    ):
        found, _ = translator.from_torch(state(*at))
        expected = {"width": 2, "blocks": 1, "norm": None, **options}
        assert found == expected


# In the authors' network with instance norm, every layer has a bias. A norm follows all
# but the last, and removes what it adds: 64 + 128 + 256 in the first three, 256 in each
# of the two layers of a block, and 128 + 64 in the last two before the 7x7 one.
@pytest.mark.parametrize("blocks, n", [(9, 11_378_179), (6, 7_837_699)])
def test_the_authors_number_of_parameters(blocks, n):
    g = networks.make("Generator", "translator", shape=(256, 256, 3), blocks=blocks)
    x = jax.ShapeDtypeStruct((1, 32, 32, 3), jnp.float32)
    init = functools.partial(g.init, train=True)
    shapes = jax.eval_shape(init, jax.random.key(0), x)
    found = sum(p.size for p in jax.tree.leaves(shapes["params"]))
    assert found == n - (64 + 128 + 256 + blocks * 2 * 256 + 128 + 64)


def test_sizes():
    g = networks.make("Generator", "translator", shape=(8, 8, 2), width=1, blocks=1)
    assert g.multiple == 4
    init = functools.partial(g.init_with_output, jax.random.key(0), train=True)
    out, _ = jax.eval_shape(init, jax.ShapeDtypeStruct((3, 8, 20, 1), jnp.float32))
    assert out.shape == (3, 8, 20, 2) and out.dtype == jnp.float32
    with pytest.raises(ValueError, match="takes multiples of 4, got images of 8x10"):
        jax.eval_shape(init, jax.ShapeDtypeStruct((3, 8, 10, 1), jnp.float32))
    with pytest.raises(
        ValueError, match="padding: 'zeros' is not one of reflect, zero"
    ):
        g = networks.make("Generator", "translator", shape=(8, 8, 1), padding="zeros")
        jax.eval_shape(
            functools.partial(g.init, jax.random.key(0), train=True),
            jnp.ones((1, 8, 8, 1)),
        )


def test_no_slow_convolution():
    g = networks.make("Generator", "translator", shape=(16, 16, 3), width=4, blocks=1)
    x = jax.ShapeDtypeStruct((1, 16, 16, 3), jnp.float32)
    init = functools.partial(g.init, train=True)
    variables = jax.eval_shape(init, jax.random.key(0), x)

    def loss(params, x):
        return g.apply(params, x, train=True).sum()

    program = jax.jit(jax.grad(loss, (0, 1))).trace(variables, x)
    program = program.lower(lowering_platforms=("cpu",)).as_text()
    assert slow_convolutions(program) == []


def test_states_that_are_none_of_a_translator():
    with pytest.raises(ValueError, match="not a residual generator of .*kernels are"):
        translator.from_torch({"model.0.weight": np.zeros((4, 3, 4, 4))})
