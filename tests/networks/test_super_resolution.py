"""Networks of super-resolution: BasicSR's, leftthomas' and sgrvinod's numbers."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gans import networks
from gans.layers.conv.inspect import slow_convolutions
from gans.networks import msrresnet, rrdb, srresnet, vgg

UNIT = {"given": lambda x: 2 * x - 1}  # they see [0, 1]
HALVED = {"made": lambda y: (y + 1) / 2}  # and make it
CASES = {
    "srresnet_paper": ("Generator", srresnet, UNIT),
    "leftthomas_generator": ("Generator", srresnet, UNIT | HALVED),
    "msrresnet_x4": ("Generator", msrresnet, UNIT | HALVED),
    "rrdbnet_x4": ("Generator", rrdb, UNIT | HALVED),
    "srgan_discriminator_paper": ("Discriminator", vgg, {}),
    "leftthomas_discriminator": ("Discriminator", vgg, {"made": jax.nn.sigmoid}),
    "vgg_discriminator_128": ("Discriminator", vgg, {}),
}


def errors(authors, name, **options):
    role, module, ways = CASES[name]
    network = module.__name__.rpartition(".")[2]
    reference = authors.Reference(name, "super_resolution")
    made = role, network, module.from_torch
    return reference, authors.errors(reference, *made, **(ways | options))


SLOW = {"srresnet_paper", "leftthomas_generator", "rrdbnet_x4", "vgg_discriminator_128"}


@pytest.mark.parametrize(
    "name",
    [pytest.param(x, marks=pytest.mark.slow if x in SLOW else ()) for x in CASES],
)
def test_their_numbers(authors, name):
    reference, found = errors(authors, name)
    after = {k for k in reference.arrays if k.startswith("after_train/")}
    assert after <= found.keys() and {"eval/out", "grad_in", "grad_norms"} <= {*found}
    assert max(found.values()) < 1e-6, found


@pytest.mark.parametrize(
    "name, change",
    [
        pytest.param("srresnet_paper", {"output": "linear"}, marks=pytest.mark.slow),
        pytest.param("srresnet_paper", {"given": lambda x: x}, marks=pytest.mark.slow),
        ("msrresnet_x4", {"residual": 0.99}),
        pytest.param("rrdbnet_x4", {"residual": 0.19}, marks=pytest.mark.slow),
    ],
)
def test_a_small_change_would_be_seen(authors, name, change):
    """The negative control of the test before."""
    _, found = errors(authors, name, training=False, **change)
    assert found["eval/out"] > 1e-4


def test_shuffled_and_flattened_orders_would_be_seen(authors, monkeypatch):
    monkeypatch.setattr(msrresnet, "of_torch", lambda x, factor: x)
    assert errors(authors, "msrresnet_x4", training=False)[1]["eval/out"] > 1e-4
    transposed = vgg.from_torch

    def as_it_is(state):
        options, variables = transposed(state)
        kernel = state["fc1.weight"].T
        variables["params"]["dense"]["kernel"] = kernel
        return options, variables

    monkeypatch.setattr(vgg, "from_torch", as_it_is)
    found = errors(authors, "srgan_discriminator_paper", training=False)[1]
    assert found["eval/out"] > 1e-3


def n_parameters(module, *shape):
    x = jax.ShapeDtypeStruct((1, *shape), jnp.float32)
    init = functools.partial(module.init, train=True)
    params = jax.eval_shape(init, jax.random.key(0), x)["params"]
    return sum(p.size for p in jax.tree.leaves(params))


@pytest.mark.parametrize(
    "role, network, options, side, n",
    [
        # Measured, with one slope a layer.
        ("Generator", "srresnet", {}, 24, 1_549_462),
        ("Discriminator", "vgg", {}, 96, 23_565_505),
        # BasicSR's model zoo: MSRResNet 1.5 M, RRDBNet 16.7 M.
        ("Generator", "msrresnet", {}, 24, 1_517_571),
        ("Generator", "rrdb", {}, 24, 16_697_987),
        # Real-ESRGAN's: convolutions of 3 to 64, 64 to 512 and back, and two of 64.
        ("Discriminator", "unet", {}, 64, 4_376_897),
    ],
)
def test_the_number_of_parameters(role, network, options, side, n):
    if role == "Generator":
        options = {"shape": (4 * side, 4 * side, 3), **options}
    assert n_parameters(networks.make(role, network, **options), side, side, 3) == n


GENERATORS = {
    "srresnet": {"width": 4, "blocks": 1},
    "msrresnet": {"width": 4, "blocks": 1},
    "rrdb": {"width": 4, "growth": 2, "blocks": 1},
}


@pytest.mark.parametrize("network", GENERATORS)
@pytest.mark.parametrize("scale", [1, 2, 3, 4, 8])
def test_scales_and_sizes(network, scale):
    g = networks.make(
        "Generator", network, shape=(8, 8, 3), scale=scale, **GENERATORS[network]
    )
    x = jax.ShapeDtypeStruct((2, 5, 7, 3), jnp.float32)
    init = functools.partial(g.init_with_output, train=False)
    if (network, scale) == ("rrdb", 3):
        with pytest.raises(ValueError, match="scale=3: rrdb accepts 1, 2, 4 and 8"):
            jax.eval_shape(init, jax.random.key(0), x)
        return
    y, _ = jax.eval_shape(init, jax.random.key(0), x)
    assert y.shape == (2, 5 * scale, 7 * scale, 3) and y.dtype == jnp.float32


def test_a_scale_that_there_is_not():
    g = networks.make("Generator", "msrresnet", shape=(8, 8, 3), scale=5)
    with pytest.raises(ValueError, match="scale=5: accepted are 1, 2, 3, 4 and 8"):
        g.init(jax.random.key(0), jnp.zeros((1, 4, 4, 3)), train=False)


def test_what_is_no_such_network():
    state = {"a.weight": np.zeros((4, 3, 5, 5)), "b.weight": np.zeros((4, 4, 3, 3))}
    for module in (srresnet, msrresnet, rrdb, vgg):
        with pytest.raises(ValueError, match=r"^not .*: its kernels are \["):
            module.from_torch(state)
        with pytest.raises(ValueError, match="^not "):
            module.from_torch({})


def test_crops_of_any_size_are_judged(bound):
    """The dense layer is made for one size; an averaged map has any."""
    options = {"width": 2, "dense": 3, "stages": 2}
    x = np.random.default_rng(0).uniform(-1, 1, (2, 20, 12, 3)).astype(np.float32)
    d = networks.make("Discriminator", "vgg", **options)
    assert bound(d, x).params["dense"]["kernel"].shape == (5 * 3 * 4, 3)
    d = networks.make("Discriminator", "vgg", average=True, **options)
    net = bound(d, x)
    for given in (x, x[:, :13]):
        assert jax.eval_shape(net, given).shape == (2,)


def test_the_unet_judges_pixels_and_normalises_all_but_its_ends(bound):
    d = networks.make("Discriminator", "unet", width=2)
    x = np.zeros((2, 16, 8, 3), np.float32)
    net = bound(d, x)
    assert jax.eval_shape(net, x).shape == (2, 16, 8)
    assert {*net.params} - {*net.stats["spectral"]} == {"in", "out"}
    with pytest.raises(ValueError, match="multiples of 8, got images of 12x8"):
        net(x[:, :12])


def test_convolutions_are_fast(bound):
    x = np.zeros((2, 16, 16, 3), np.float32)
    for network, options in GENERATORS.items():
        g = networks.make("Generator", network, shape=(64, 64, 3), **options)
        net = bound(g, x, train=True)

        def loss(params, net=net):
            y = net.module.apply(
                {"params": params, **net.stats}, x, train=True, mutable=[*net.stats]
            )
            return jnp.mean(y[0] ** 2)

        traced = jax.jit(jax.grad(loss)).trace(net.params)
        assert not slow_convolutions(
            traced.lower(lowering_platforms=("cpu",)).as_text()
        )
