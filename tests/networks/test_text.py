"""GAN-CLS's networks: the fixture's numbers, widths by resolution, and refusals."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import unflatten_dict

from gans import networks
from gans.losses import adversarial
from gans.networks import text
from gans.variants import gan_cls

QUICK = {"xla_backend_optimization_level": 0}
# Our names of the modules of the fixture.
G = {"fcG": "text", "main.0": "deconv0", "main.1": "norm0", "main.3": "deconv1"}
G |= {"main.4": "norm1", "main.6": "deconv2", "main.7": "norm2", "main.9": "deconv3"}
G |= {"main.10": "norm3", "main.12": "out"}
D = {"convD.0": "conv0", "convD.2": "conv1", "convD.3": "norm1", "convD.5": "conv2"}
D |= {"convD.6": "norm2", "convD.7": "conv3", "convD.8": "norm3", "fcD": "text"}
D |= {"fcD_bn": "text_norm", "head.0": "joined", "head.1": "joined_norm"}
D |= {"head.3": "out"}
for theirs, ours, names in (
    ("main.2.body", "residual0", G),
    ("main.5.body", "residual1", G),
    ("convD.9.body", "residual", D),
):
    names |= {f"{theirs}.{3 * i}": f"{ours}_{i}" for i in range(3)}
    names |= {f"{theirs}.{3 * i + 1}": f"{ours}_n{i}" for i in range(3)}
NORM = {"weight": "scale", "bias": "bias", "running_mean": "mean", "running_var": "var"}


@pytest.fixture(scope="module")
def reference(authors):
    return authors.Reference("gan_int_cls", "text_to_image")


def variables(state, net, names):
    """Torch's arrays as the variables of our network."""
    found = {}
    for name, x in state.items():
        module, _, kind = name.removeprefix(f"{net}/").rpartition(".")
        if not name.startswith(f"{net}/"):
            continue
        ours = names[module]
        if "norm" in ours or "_n" in ours:
            collection = "batch_stats" if "running" in kind else "params"
            found[(collection, ours, "batch", NORM[kind])] = x
        elif kind == "bias":
            found[("params", ours, "bias")] = x
        elif x.ndim == 2:
            found[("params", ours, "kernel")] = x.T
        elif (net, ours) == ("D", "out"):  # of the whole 4x4 map
            found[("params", ours, "kernel")] = np.moveaxis(x[0], 0, -1).reshape(-1, 1)
        elif net == "G":  # transposed: [I, O, *K]
            transposed = ours.startswith("deconv") or ours == "out"
            x = x[..., ::-1, ::-1] if transposed else x
            axes = (2, 3, 0, 1) if transposed else (2, 3, 1, 0)
            found[("params", ours, "kernel")] = x.transpose(axes)
        else:
            found[("params", ours, "kernel")] = x.transpose(2, 3, 1, 0)
    return unflatten_dict(found)


def share(found, expected):
    return np.abs(found - expected).max() / np.abs(expected).max()


def test_the_generator_is_the_authors(reference):
    with jax.enable_x64(True):
        module = networks.make(
            "Generator", "text", shape=(64, 64, 3), width=8, text=8, dtype="float64"
        )
        own = variables(reference.state, "G", G)
        z, t = (reference.arrays[x].astype(np.float64)[:2] for x in ("z", "text"))

        @functools.partial(jax.jit, compiler_options=QUICK)
        def made(own):
            return module.apply(own, z, t, train=False)[:, ::2, ::2]

        fake, expected = made(own), reference["eval/fake"]
        assert share(fake, expected) < 1e-5
        # The negative control: the two inner norms of a block exchanged.
        inner = own["params"] | {
            "residual0_n0": own["params"]["residual0_n1"],
            "residual0_n1": own["params"]["residual0_n0"],
        }
        assert share(made({**own, "params": inner}), expected) > 1e-3


def test_the_discriminator_and_its_losses_are_the_authors(reference):
    with jax.enable_x64(True):
        module = networks.make(
            "Discriminator", "text", width=6, text=8, dtype="float64"
        )
        own = variables(reference.state, "D", D)
        arrays = {k: x.astype(np.float64) for k, x in reference.arrays.items()}
        t = arrays["text"][:2]

        @functools.partial(jax.jit, static_argnums=2, compiler_options=QUICK)
        def logits(x, t, train):
            return module.apply(own, x, t, train=train, mutable=["batch_stats"])[0]

        for name in ("right", "wrong"):
            for mode in ("eval", "train"):
                found = jax.nn.sigmoid(logits(reference[name], t, mode == "train"))
                assert share(found, arrays[f"{mode}/d_{name}"]) < 1e-5
        other = jax.nn.sigmoid(logits(reference["right"], t[::-1], False))
        assert share(other, arrays["eval/d_right"]) > 1e-4  # another sentence
    losses = reference.meta["losses"]
    theirs = {
        x: np.log(p / (1 - p))
        for x in ("right", "wrong", "fake", "interp")
        for p in [arrays[f"train/d_{x}"]]
    }
    loss = gan_cls.less_of_fakes(adversarial.make("non_saturating"), 0.5)
    right, fake = loss.discriminator(theirs["right"], theirs["fake"])
    wrong = loss.discriminator(theirs["wrong"], theirs["wrong"])[1]
    total = right.mean() + fake.mean() + wrong.mean()
    np.testing.assert_allclose(total, losses["d_total_value"], rtol=1e-5)
    (fooled,) = loss.generator(theirs["interp"])
    np.testing.assert_allclose(fooled.mean(), losses["g_interp"], rtol=1e-5)


def test_sentences_are_interpolated_as_by_the_authors(reference):
    given = reference.arrays["text"].astype(np.float32)
    expected = reference.arrays["interpolated_text"]
    found = gan_cls.interpolated(jnp.asarray(given), 0.5)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    # The negative control: each with its neighbour.
    other = gan_cls.interpolated(jnp.asarray(given[[0, 2, 1, 3]]), 0.5)
    assert np.abs(other[4:] - expected[4:]).max() > 1e-2


@pytest.mark.parametrize("side", [16, 32, 128])
def test_networks_of_other_resolutions(side):
    z, t, key = jnp.zeros((2, 5)), jnp.zeros((2, 7)), jax.random.key(0)
    g = text.Generator((side, side, 3), width=2, text=3)
    d = text.Discriminator(width=2, text=3)

    def both(key):
        x, own = g.init_with_output(key, z, t, train=True)
        return x, d.init_with_output(key, x, t, train=True)[0], own

    x, logits, own = jax.eval_shape(both, key)
    assert x.shape == (2, side, side, 3) and logits.shape == (2,)
    assert (
        own["params"]["deconv0"]["kernel"].shape[-1] == side // 4
    )  # half of it, twice


def test_a_side_that_is_no_power_of_two_is_refused():
    d = text.Discriminator()
    with pytest.raises(ValueError, match="16, 32, 64, 128 ... pixels, not 24"):
        jax.eval_shape(
            functools.partial(d.init, train=True),
            jax.random.key(0),
            jnp.zeros((1, 24, 24, 3)),
            jnp.zeros((1, 4)),
        )
