"""The U-Net of pix2pix: the authors' numbers, sizes, dropout, what is rejected."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gans import networks
from gans.layers.conv.inspect import slow_convolutions
from gans.networks import unet


@pytest.fixture
def errors(authors):
    """errors(reference, **options) of a U-Net without dropout when sampling."""
    made = "Generator", "unet", unet.from_torch
    return lambda reference, **options: authors.errors(
        reference, *made, dropout_at_sampling=False, **options
    )


@pytest.mark.parametrize("name", ["unet64_batch", "unet64_instance"])
def test_the_authors_numbers(authors, errors, name):
    reference = authors.Reference(name)
    found = errors(reference, dropout=0.0)
    assert max(found.values()) < 1e-6, found
    # The two halves of what a layer of the decoder sees, exchanged.
    key = next(k for k in reference.state if k.endswith("1.model.5.weight"))
    half = len(reference.state[key]) // 2
    reference.state[key] = np.roll(reference.state[key], half, 0)
    assert errors(reference, dropout=0.0, training=False)["eval/out"] > 1e-3


def masks(reference):
    """By height."""
    names = [k for k in reference.arrays if k.startswith("dropout_mask/")]
    return {reference[k].shape[1]: reference[k] for k in names}


def test_dropout_is_where_the_authors_have_it(authors, errors):
    reference = authors.Reference("unet128_dropout")
    given = masks(reference)
    assert set(given) == {4, 8}
    found = errors(reference, masks=given)
    assert max(found.values()) < 1e-6, found
    given[4] = 2 - given[4]
    assert errors(reference, masks=given)["train/out"] > 1e-3
    with pytest.raises(KeyError, match="2"):  # in the paper it is one layer further in
        errors(reference, masks=given, first_dropout=0)


def test_running_variances_are_unbiased(authors, errors):
    reference = authors.Reference("unet64_batch")
    norm = {"name": "batch", "unbiased": False}
    found = errors(reference, dropout=0.0, norm=norm)
    off = {k for k, v in found.items() if v > 1e-5}
    assert off and all(k.endswith("running_var") for k in off)


def n_parameters(module, x):
    keys = {"params": jax.random.key(0), "dropout": jax.random.key(1)}
    shapes = jax.eval_shape(functools.partial(module.init, train=True), keys, x)
    return sum(p.size for p in jax.tree.leaves(shapes["params"]))


@pytest.mark.parametrize("size, n", [(256, 54_413_955), (128, 41_828_995)])
def test_the_authors_number_of_parameters(size, n):
    g = networks.make("Generator", "unet", shape=(size, size, 3))
    x = jax.ShapeDtypeStruct((1, size, size, 3), jnp.float32)
    assert n_parameters(g, x) == n
    # With biases, two layers have more: one of 64 and one of 512 channels.
    assert n_parameters(g.copy(bias=True), x) == n + 64 + 512


@pytest.mark.parametrize(
    "shape, depth, size",
    [
        ((32, 32, 1), 5, (32, 64)),
        ((96, 64, 3), 5, (64, 32)),
        ((512, 512, 3), 9, (512, 1024)),
    ],
)
def test_sizes(shape, depth, size):
    g = networks.make("Generator", "unet", shape=shape, width=1)
    assert (g.n_halvings, g.multiple) == (depth, 2**depth)
    x = jax.ShapeDtypeStruct((2, *size, 4), jnp.float32)
    keys = {"params": jax.random.key(0), "dropout": jax.random.key(1)}
    out, _ = jax.eval_shape(functools.partial(g.init_with_output, train=True), keys, x)
    assert out.shape == (2, *size, shape[-1]) and out.dtype == jnp.float32


@pytest.mark.parametrize(
    "shape, size, message",
    [
        ((32, 32, 3), (48, 32), "depth 5 takes multiples of 32, got images of 48x32"),
        (
            (34, 32, 3),
            (34, 32),
            "halves its images at least twice; 34x32 are no multiples of 4",
        ),
    ],
)
def test_sizes_that_are_rejected(shape, size, message):
    g = networks.make("Generator", "unet", shape=shape, width=1)
    with pytest.raises(ValueError, match=message):
        jax.eval_shape(
            functools.partial(g.apply, {}, train=False), jnp.ones((1, *size, 3))
        )


def test_dropout_when_sampling_is_a_choice_and_keyed(bound):
    x = np.random.default_rng(0).uniform(-1, 1, (2, 16, 16, 3)).astype(np.float32)
    g = networks.make("Generator", "unet", shape=(16, 16, 3), width=2)
    key, other = jax.random.split(jax.random.key(0))
    net = bound(g, x)

    @jax.jit
    def passes(x):
        off = bound(g.copy(dropout_at_sampling=False), x)
        return net(x, key=key), net(x, key=key), net(x, key=other), off(x)

    one, again, another, without = passes(x)
    np.testing.assert_array_equal(one, again)
    assert np.abs(one - another).max() > 1e-3 < np.abs(one - without).max()
    # Each of a batch has its own.
    same = net(np.repeat(x[:1], 2, 0), key=key)
    assert np.abs(same[0] - same[1]).max() > 1e-3


def test_sampling_with_statistics_of_its_own_batch(bound):
    x = np.random.default_rng(0).uniform(-1, 1, (2, 16, 16, 3)).astype(np.float32)
    options = {"shape": (16, 16, 3), "width": 2, "dropout_at_sampling": False}

    def net(train, **norm):
        norm = {"name": "batch", **norm}
        g = networks.make("Generator", "unet", norm=norm, dropout=0.0, **options)
        return bound(g, x, train=train)

    expected = net(True)(x)
    found = net(False, running=False)
    np.testing.assert_allclose(found(x), expected, atol=1e-5)
    assert found.mutate(x)[1] == found.stats
    assert np.abs(net(False)(x) - expected).max() > 1e-3


def test_no_slow_convolution():
    g = networks.make("Generator", "unet", shape=(32, 32, 3), width=4)
    x = jax.ShapeDtypeStruct((1, 32, 32, 3), jnp.float32)
    keys = {"params": jax.random.key(0), "dropout": jax.random.key(1)}
    variables = jax.eval_shape(functools.partial(g.init, train=True), keys, x)

    def loss(params, x):
        rngs = {"dropout": jax.random.key(0)}
        return g.apply(params, x, train=True, rngs=rngs).sum()

    program = jax.jit(jax.grad(loss, (0, 1))).trace(variables, x)
    program = program.lower(lowering_platforms=("cpu",)).as_text()
    assert slow_convolutions(program) == []


def test_states_that_are_none_of_a_unet():
    with pytest.raises(ValueError, match="not a U-Net of .*kernels are"):
        unet.from_torch({"model.0.weight": np.zeros((4, 3, 3, 3))})
    with pytest.raises(ValueError, match="'fc.weight' of shape .3, 4. belongs to no"):
        unet.from_torch({"fc.weight": np.zeros((3, 4))})
