"""Patch discriminators: the authors' numbers, receptive fields, gradient penalty."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gans import networks
from gans.layers.conv.inspect import slow_convolutions
from gans.losses import adversarial, penalties
from gans.networks import patch

MADE = "Discriminator", "patch", patch.from_torch


@pytest.mark.parametrize(
    "name, n_layers",
    [
        ("patchgan16_batch", 1),
        ("patchgan70_batch", 3),
        ("patchgan70_instance", 3),
        ("patchgan286_none", 5),
        ("pixelgan_batch", 0),
        ("pixelgan_instance", 0),
    ],
)
def test_the_authors_numbers(authors, name, n_layers):
    reference = authors.Reference(name)
    assert patch.from_torch(reference.state)[0]["n_layers"] == n_layers
    found = authors.errors(reference, *MADE)
    assert max(found.values()) < 1e-6, found
    key = next(iter(reference.state))
    reference.state[key] = -reference.state[key]
    found = authors.errors(reference, *MADE, training=False)
    assert found["eval/out"] > 1e-3


def discriminator(**options):
    return networks.make("Discriminator", "patch", **options)


def init(module, *shape):
    init = functools.partial(module.init, jax.random.key(0), train=True)
    return jax.eval_shape(init, jax.ShapeDtypeStruct(shape, jnp.float32))


# The affine instance norm has as many gains and biases as batch norm. With instance
# norm the authors' layers keep biases that it removes: 128 + 256 + 512. With batch
# norm, the last layer of their PixelGAN has none.
@pytest.mark.parametrize(
    "n_layers, affine, channels, n",
    [
        (3, True, 6, 2_768_705),
        (3, False, 3, 2_764_737 - (128 + 256 + 512)),
        (0, True, 6, 9_024 + 1),
        (1, True, 6, 139_585),
        (5, True, 6, 11_159_361),
    ],
)
def test_the_authors_number_of_parameters(n_layers, affine, channels, n):
    norm = {"name": "instance", "affine": affine}
    shapes = init(discriminator(n_layers=n_layers, norm=norm), 1, 128, 128, channels)
    assert sum(p.size for p in jax.tree.leaves(shapes["params"])) == n


@pytest.mark.parametrize("n_layers", [1, 2, 3, 4, 5])
def test_receptive_fields(authors, n_layers):
    expected = authors.rules()["receptive_field_by_n_layers"][str(n_layers)]
    d = discriminator(n_layers=n_layers, width=1, norm=None)
    size, at = expected["input"], expected["index"]
    x = jnp.ones((1, size, size, 1))
    # Positive weights: what a logit can see has a positive derivative.
    variables = jax.tree.map(lambda p: jnp.ones(p.shape), init(d, *x.shape))
    logits = jax.eval_shape(functools.partial(d.apply, train=True), variables, x)
    assert [*logits.shape] == [1, *expected["output"]]

    def one(x):
        return jnp.log(d.apply(variables, x, train=True)[0, at, at])

    seen = np.flatnonzero(np.asarray(jax.grad(one)(x))[0, :, :, 0].max(1))
    assert (seen[0], seen[-1]) == (expected["first"], expected["last"])
    assert len(seen) == expected["field"]


def test_gradient_penalty(authors):
    """The norm is that of the sum over the map, per example."""
    reference = authors.Reference("gradient_penalty")
    with jax.enable_x64(True):
        options, variables = patch.from_torch(reference.state)
        d = discriminator(dtype="float64", **options)
        real, fake = reference["real"], reference["fake"]
        alpha = reference.arrays["alpha"].reshape(-1, 1, 1, 1)
        points = {
            "real": real,
            "fake": fake,
            "mixed": alpha * real + (1 - alpha) * fake,
        }

        def summed(x):
            return d.apply(variables, x, train=True).sum((1, 2))

        for name, x in points.items():
            norms = penalties.gradient_norms(summed, jnp.asarray(x))
            for target in (0, 1):
                found = 10 * np.mean((norms - target) ** 2)
                expected = reference.arrays[f"{name}_{target}/value"]
                np.testing.assert_allclose(found, expected, rtol=1e-9)
        averaged = penalties.gradient_norms(lambda x: summed(x) / 2, jnp.asarray(real))
        assert (
            abs(10 * np.mean(averaged**2) / reference.arrays["real_0/value"] - 1) > 0.1
        )


def test_what_is_sown_and_what_mixes_the_batch():
    d = discriminator(width=2, n_layers=2)
    variables = init(d, 1, 16, 16, 3)
    run = functools.partial(d.apply, train=True, mutable=["features"])
    variables = {"params": variables["params"]}
    sown = jax.eval_shape(run, variables, jnp.ones((2, 24, 16, 3)))[1]["features"]
    shapes = {name: x[0].shape for name, x in sown.items()}
    assert shapes == {
        "hidden0": (2, 12, 8, 2),
        "hidden1": (2, 6, 4, 4),
        "hidden2": (2, 5, 3, 8),
    }
    assert not d.mixes_batch and discriminator(norm="batch").mixes_batch


def test_no_slow_convolution():
    d = discriminator(width=4)
    x = jax.ShapeDtypeStruct((1, 32, 32, 6), jnp.float32)

    def loss(params, x):
        return d.apply(params, x, train=True).sum()

    program = jax.jit(jax.grad(loss, (0, 1))).trace(init(d, *x.shape), x)
    program = program.lower(lowering_platforms=("cpu",)).as_text()
    assert slow_convolutions(program) == []


def test_what_is_rejected():
    with pytest.raises(ValueError, match="n_layers=5 need .* 96x96, got 64x95"):
        init(discriminator(n_layers=5), 1, 64, 95, 3)
    for n_layers in range(6):
        d = discriminator(n_layers=n_layers, width=1)
        init(d, 1, d.least, d.least, 3)
        with pytest.raises(ValueError, match="of at least"):
            init(d, 1, d.least, d.least - 1, 3)
    with pytest.raises(ValueError, match="not a patch discriminator .*kernels are"):
        patch.from_torch({"model.0.weight": np.zeros((4, 3, 3, 3))})


# The authors' name of a loss, and ours. Logits are kept to 6 decimals.
@pytest.mark.parametrize(
    "theirs, ours",
    [
        ("vanilla", {"name": "non_saturating"}),
        ("lsgan", {"name": "least_squares", "factor": 1.0}),
        ("wgangp", {"name": "wasserstein"}),
    ],
)
def test_the_authors_losses_of_maps(authors, theirs, ours):
    expected = authors.rules()["gan_loss"][theirs]
    options = dict(ours)
    loss = adversarial.make(options.pop("name"), **options)
    with jax.enable_x64(True):
        logits = jnp.asarray(np.squeeze(np.array(expected["prediction"]), 1))
        assert logits.ndim == 3  # [B, h, w]
        sides = {
            "real": lambda x: jnp.mean(loss.discriminator(x, x)[0]),
            "fake": lambda x: jnp.mean(loss.discriminator(x, x)[1]),
        }
        for side, cost in sides.items():
            value, grad = jax.value_and_grad(cost)(logits)
            np.testing.assert_allclose(value, expected[side], rtol=2e-6)
            first = expected[f"grad_first_{side}"]
            np.testing.assert_allclose(grad.ravel()[0], first, rtol=2e-6)
        # What fools the discriminator is what a real image would cost it.
        fooled = adversarial.total(loss.generator(logits))
        np.testing.assert_allclose(fooled, expected["real"], rtol=2e-6)
        assert abs(fooled / expected["fake"] - 1) > 0.01
