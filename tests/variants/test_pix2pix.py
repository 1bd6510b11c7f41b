"""pix2pix: the authors' two steps, one draw of dropout a step, its ablations."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import config as configs
from experiments.contracts.trial import random_batch
from gans import core
from gans.data import spec as specs
from gans.data.spec import Field
from gans.networks import patch, unet
from gans.variants import pix2pix

KEY = jax.random.key(5)
quick = functools.partial(
    jax.jit, compiler_options={"xla_backend_optimization_level": 0}
)


def image(*shape):
    return Field("image", shape, "uint8")


def ready(tiny, **changes):
    """(config, GAN, state, batch) of a small game."""
    config = configs.override(tiny("pix2pix"), changes)
    gan = configs.build(config)
    spec = specs.from_json(config.spec.to_dict())
    state = quick(functools.partial(core.init, gan))(KEY)
    return config, gan, state, random_batch(spec, config.batch_size)


# --- the authors' numbers ------------------------------------------------------------

NETWORKS = {"g": ("G", unet.from_torch), "d": ("D", patch.from_torch)}


def theirs(reference, **changes):
    """Our game with the options of the authors' run."""
    generator = unet.from_torch(reference.state("G"))[0] | {"dropout": 0.0}
    discriminator = patch.from_torch(reference.state("D"))[0]
    adam = {"name": "adam", "learning_rate": 2e-4, "b1": 0.5}
    config = {
        "direction": "a_to_b",
        "loss": "non_saturating",
        "augment": (),
        "conditional": True,
        "gan_weight": 1.0,
        "l1": 100.0,
        "ema": 0.0,
        "batch_size": 1,
        "steps": 2,
        "dtype": "float64",
        "generator": {"network": "unet", "optimizer": adam, **generator},
        "discriminator": {"network": "patch", "optimizer": adam, **discriminator},
    }
    spec = {side: image(*reference.shape) for side in "ab"}
    return pix2pix.build(config | changes, spec)


def losses_error(reference, metrics):
    """The largest error of a loss, as a share of it."""
    worst = 0.0
    for found, expected in zip(metrics, reference.losses, strict=True):
        for ours, value in (
            (found["g/adversarial"], expected["G_GAN"]),
            (100 * found["g/l1"], expected["G_L1"]),
            (found["d/loss"], (expected["D_real"] + expected["D_fake"]) / 2),
        ):
            worst = max(worst, abs(ours / value - 1))
    return worst


@pytest.mark.slow
def test_two_steps_are_the_authors(two_steps):
    """And with another weight they are not: a negative control."""
    reference = two_steps("pix2pix_two_steps")
    build = functools.partial(theirs, reference)
    settings = {"l1": 100.0}, {"l1": 99.0}
    (state, metrics), (other, _) = reference.train(build, NETWORKS, *settings)
    assert losses_error(reference, metrics) < 1e-6
    assert reference.error(state, NETWORKS) < 1e-6
    assert reference.error(other, NETWORKS) > 1e-5


@pytest.mark.slow
def test_another_order_has_other_numbers(two_steps):
    """The discriminator of before its update: a negative control."""
    reference = two_steps("pix2pix_two_steps")
    gan = theirs(reference)
    gan = dataclasses.replace(gan, updates=gan.updates[::-1])
    ((_, metrics),) = reference.train(lambda: gan, NETWORKS, {})
    assert losses_error(reference, metrics) > 1e-3


# --- one draw a step -----------------------------------------------------------------


def test_both_updates_see_one_fake(tiny):
    """The generator is updated on what the discriminator was shown: one dropout."""
    config, gan, state, batch = ready(tiny)
    d, g = gan.updates

    @quick
    def distances(state):
        """Of the generator's update, of the fake that was shown, of another one."""
        nets = core.bind(gan, state, train=True)
        _, out = d.loss(nets, batch, KEY, state)
        state = state.replace(aux=state.aux | out.aux)
        _, found = g.loss(nets, batch, jax.random.key(99), state)
        keys = jax.random.split(KEY)[0], jax.random.key(99)
        made = [nets["g"](batch["a"], key=key) for key in keys]
        return found.metrics["l1"], *(jnp.mean(jnp.abs(x - batch["b"])) for x in made)

    found, shown, other = distances(state)
    np.testing.assert_allclose(found, shown, rtol=1e-5)
    assert abs(found - other) > 1e-4


def flops(f, *args):
    return quick(f).lower(*args).compile().cost_analysis()["flops"]


@pytest.mark.slow
def test_the_generator_makes_one_pass_forward(tiny):
    """Passes of the two updates that are equal are compiled into one."""
    config, gan, state, batch = ready(tiny)
    d, g = gan.updates

    def apart(nets, batch, key, state):
        return g.loss(nets, {**batch, "a": -batch["a"]}, key, state)

    others = dataclasses.replace(gan, updates=(d, core.Update("g", ("g",), apart)))
    once, twice = (flops(core.make_step(x), state, batch, KEY) for x in (gan, others))
    nets = core.bind(gan, state, train=True)
    forward = flops(lambda x: nets["g"](x, key=KEY), batch["a"])
    assert 0.8 * forward < twice - once < 1.2 * forward


def test_samples_differ_by_dropout(tiny):
    _, gan, state, batch = ready(tiny)
    inputs = gan.inputs(KEY, batch)
    one, same, other = (
        quick(functools.partial(core.sample, gan))(state, inputs, jax.random.key(i))
        for i in (0, 0, 1)
    )
    np.testing.assert_array_equal(one["b"], same["b"])
    assert np.abs(one["b"] - other["b"]).max() > 1e-4


# --- its options ---------------------------------------------------------------------


def test_the_ablations_of_the_paper(tiny):
    """What the discriminator sees, and whether there is one."""
    shapes = {}
    for name, changes in {
        "both": {},
        "gan": {"conditional": False},
        "l1": {"gan_weight": 0.0},
    }.items():
        config = configs.override(tiny("pix2pix"), changes)
        gan = configs.build(config)
        state = jax.eval_shape(functools.partial(core.init, gan), KEY)
        shapes[name] = jax.tree.map(lambda x: x.shape, state.params)
    n_a, n_b = (tiny("pix2pix").spec[side].shape[-1] for side in "ab")
    assert shapes["both"]["d"]["conv0"]["kernel"][2] == n_a + n_b
    assert shapes["gan"]["d"]["conv0"]["kernel"][2] == n_b
    assert shapes["l1"].keys() == {"g"}


def test_the_other_direction(tiny):
    config = configs.override(tiny("pix2pix"), {"direction": "b_to_a"})
    gan = configs.build(config)
    assert gan.conditioned_on == ("b",)
    spec = specs.from_json(config.spec.to_dict())
    state = jax.eval_shape(functools.partial(core.init, gan), KEY)
    made = jax.eval_shape(
        functools.partial(core.sample, gan),
        state,
        gan.inputs(KEY, random_batch(spec, 2)),
        KEY,
    )
    assert made["a"].shape == (2, *spec["a"].shape)


@pytest.mark.slow
def test_terms_of_the_discriminator(tiny):
    """R1 in each update and every second one; it is about the image alone."""
    penalties = ("gradient_penalty", "r1(weight=1.0, every=2)")
    _, gan, state, batch = ready(tiny, **{"discriminator.penalties": penalties})
    assert [update.name for update in gan.updates] == ["d", "g", "d_r1"]
    step = quick(core.make_step(gan))
    for _ in range(2):
        state, metrics = step(state, batch, KEY)
    assert metrics["d/gradient_penalty"] > 0 and metrics["d_r1/value"] > 0


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"gan_weight": 0.0, "l1": 0.0}, "nothing to be learnt"),
        ({"direction": "b_to_c"}, "direction: 'b_to_c' is not one of"),
        ({"generator.penalties": ("orthogonal",)}, "generator: penalties="),
        ({"discriminator.penalties": ("latent_consistency",)}, "moves latents"),
        ({"discriminator.penalties": ("r2(wieght=1)",)}, "no option 'wieght'"),
        (
            {"discriminator.norm": "batch", "discriminator.penalties": ("r1",)},
            "with respect to its own example",
        ),
        ({"generator.depth": 9}, "of depth 9 takes multiples of 512"),
    ],
)
def test_what_cannot_be_is_rejected(tiny, changes, message):
    config = configs.override(tiny("pix2pix"), changes)
    with pytest.raises(ValueError, match=message):
        configs.build(config)


def test_other_data_are_rejected(tiny):
    config = tiny("pix2pix")
    spec = {"image": image(16, 16, 3)}
    config = configs.override(config, {"spec": specs.to_json(spec)})
    with pytest.raises(ValueError, match="fields, a and b, .*it has image"):
        configs.build(config)


# --- it learns -----------------------------------------------------------------------


def negatives(key, n=8):
    """Smooth grey pictures, and their negatives: [n, 32, 32, 3]."""
    coarse = jax.random.uniform(key, (n, 4, 4, 3), minval=-0.8, maxval=0.8)
    x = jax.image.resize(coarse, (n, 32, 32, 3), "linear")
    return {"a": x, "b": -x}


@pytest.mark.slow
def test_it_learns_to_make_negatives(tiny):
    spec = specs.to_json({side: image(32, 32, 3) for side in "ab"})
    options = {"learning_rate": 2e-3, "schedule": "constant"}
    changes = {
        f"{role}.optimizer.{name}": value
        for role in ("generator", "discriminator")
        for name, value in options.items()
    }
    config = configs.override(tiny("pix2pix"), changes | {"spec": spec})
    gan = configs.build(config)
    state = jax.jit(functools.partial(core.init, gan))(KEY)

    def body(state, key):
        return core.make_step(gan)(state, negatives(key), KEY)

    keys = jax.random.split(jax.random.key(1), 150)
    state, metrics = jax.jit(lambda state: jax.lax.scan(body, state, keys))(state)
    held_out = negatives(jax.random.key(2))
    made = jax.jit(functools.partial(core.sample, gan))(state, held_out, KEY)["b"]
    error = jnp.abs(made - held_out["b"]).mean()
    mean_picture = jnp.abs(held_out["b"]).mean()
    assert error < mean_picture / 2, (error, mean_picture)
    assert 0.4 < metrics["d/accuracy_real"].mean() <= 1
