"""Progressive growing: the authors' schedules, fading, borders, what is rejected."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn

from configs import pggan as presets
from experiments.rundir.checkpoint import Checkpoints
from gans import core, growing, stages
from gans.core import GAN, Net, Out, Update
from gans.data.spec import Field
from gans.layers.growth import alpha_of, mixed
from gans.layers.resample import downsample, upsample

KEYS = {"first_resolution": 4, "batch_changes": (), "rate_changes": ()}
PLAYER = {"network": "pggan", "optimizer": {"name": "adam", "learning_rate": 0.001}}


def config(**changes):
    own = {"batch_size": 2, "steps": 40, "steps_per_call": 2, "ema_half_life": 0.0}
    own |= {"fade_kimg": 0.008, "stable_kimg": 0.012, **KEYS}
    return own | {"generator": PLAYER, "discriminator": PLAYER} | changes


def spec(side=16):
    return {"image": Field("image", (side, side, 3), "uint8")}


def test_stages_are_counted_in_images():
    """12 images are 6 steps of 2, 8 are 4; with a batch of 4 they are 3 and 2."""
    found = growing.stages(config(), spec())
    assert [stage.steps for stage in found] == [6, 10, 24]
    assert [stage.spec["image"].shape[0] for stage in found] == [4, 8, 16]
    assert [stage.reset_optimisers for stage in found] == [False, True, True]
    # In whole calls of 2 steps: 2, and 4 of 3.
    found = growing.stages(config(batch_changes=((8, 4),)), spec())
    assert [(x.steps, x.batch_size) for x in found] == [(6, 2), (6, 4), (28, 4)]
    (one,) = growing.stages(config(first_resolution=16), spec())
    assert one == stages.Stage(40, 2, spec())


BAD = [
    ({"steps": 19}, 16, "steps=19 .* 16x16 pixels take at least 20 steps"),
    ({"first_resolution": 12}, 16, "first_resolution=12 is not one of 4, 8, 16"),
    ({"first_resolution": 32}, 16, "first_resolution=32 is not one of 4, 8, 16"),
    ({}, 24, "24x24; accepted are squares of 4, 8, 16"),
    ({"stable_kimg": 0.0}, 16, "stable_kimg=0.0 leaves no step for 4x4"),
    ({"batch_changes": ((8, 4), (8, 2))}, 16, "batch_changes=.* must rise"),
]


@pytest.mark.parametrize("changes, side, said", BAD)
def test_what_cannot_grow_is_rejected(changes, side, said):
    with pytest.raises(ValueError, match=said):
        growing.stages(config(**changes), spec(side))


def test_networks_and_optimisers_that_cannot_grow_are_rejected():
    other = {**PLAYER, "network": "dcgan"}
    with pytest.raises(
        ValueError, match="discriminator: network='dcgan' has no layers"
    ):
        growing.grown(None, config(discriminator=other), spec(), 1)
    falling = {**PLAYER, "optimizer": {**PLAYER["optimizer"], "schedule": "linear"}}
    with pytest.raises(ValueError, match="generator: optimizer.schedule='linear'"):
        growing.grown(None, config(generator=falling), spec(), 0)


class G(nn.Module):
    """z [B, 3] -> images [B, S, S, 3] of one colour, the newest half of it faded in."""

    fading: bool = False

    @nn.compact
    def __call__(self, z, train):
        x = nn.Dense(3, name="old")(z)
        if self.fading:
            x = mixed(x, nn.Dense(3, name="new")(z), alpha_of(self))
        return jnp.tanh(x)[:, None, None]


def game(config, spec):
    """A generator that learns the mean of the images that it is shown."""

    def loss(nets, batch, key, state):
        fake = nets["g"](jax.random.normal(key, (len(batch["image"]), 3)))
        return jnp.square(fake - batch["image"]).mean(), Out(aux={"seen": 0.0})

    z = jax.ShapeDtypeStruct((1, 3), jnp.float32)
    part = config["generator"]
    tx = optax.adam(part["optimizer"]["learning_rate"])
    g = G(part.get("fading", False))
    return GAN(
        nets={"g": Net(g, (z,), tx, ema=0.9)},
        updates=(Update("g", ("g",), loss),),
        inputs=lambda key, batch: {},
        outputs={"sample": lambda nets, x, key: {"image": nets["g"](jnp.ones((1, 3)))}},
        aux={"seen": jnp.zeros(())},
    )


@pytest.fixture
def trained():
    """trained(stage, state, n) -> the state after n more steps of a stage."""
    made = {}

    def step_of(stage):
        if stage not in made:
            gan = growing.grown(game, config(), spec(), stage)
            made[stage] = gan, jax.jit(core.make_step(gan))
        return made[stage]

    def run(stage, state, n):
        gan, step = step_of(stage)
        if state is None or stage and int(state.step) == 6:
            new = core.init(gan, jax.random.key(1))
            state = new if state is None else stages.carry(state, new, stage > 0)
        side, key = 4 << stage, jax.random.key(2)
        for _ in range(n):
            x = jax.random.normal(
                jax.random.fold_in(key, state.step), (2, side, side, 3)
            )
            state, _ = step(state, {"image": x}, key)
        return state

    run.step_of = step_of
    return run


def leaves(state):
    return [np.asarray(x) for x in jax.tree.leaves(state)]


def test_layers_are_faded_in_and_optimisers_begin_anew(trained):
    """Stage 2 begins after step 6, and fades in its layers for 4 steps."""
    gan, _ = trained.step_of(1)
    alpha = [
        float(gan.nets["g"].of_step(step)["fade"]["alpha"]) for step in range(5, 13)
    ]
    assert alpha == [0, 0, 0.25, 0.5, 0.75, 1, 1, 1]
    before = trained(0, None, 6)
    first = trained(1, before, 0)
    assert "new" in first.params["g"] and "new" not in before.params["g"]
    # With a weight of 0 the image is that of the stage before.
    old = core.sample(trained.step_of(0)[0], before, {}, jax.random.key(0))["image"]
    same = core.sample(gan, first, {}, jax.random.key(0))["image"]
    np.testing.assert_array_equal(old, same)
    middle = trained(1, before, 3)
    assert np.abs(core.sample(gan, middle, {}, KEY)["image"] - old).max() > 1e-3
    # Adam's counts: 6 before the border, then from 0, and from 0 after the fade.
    counts = [int(before.opt["g"][0].count)]
    counts += [int(trained(1, before, n).opt["g"][0].count) for n in (0, 3, 4, 6)]
    assert counts == [6, 0, 3, 0, 2]
    assert not any(np.any(x) for x in leaves(trained(1, before, 4).opt["g"][0].mu))


KEY = jax.random.key(0)


def test_a_state_in_the_middle_of_a_fade_goes_on_bit_for_bit(trained, tmp_path):
    """And one at a border, by the files of checkpoints."""
    whole = trained(1, trained(0, None, 6), 8)
    for stage, done in ((0, 4), (0, 6), (1, 2), (1, 4)):
        state = trained(0, None, done if stage == 0 else 6)
        state = trained(1, state, done) if stage else state
        kept = Checkpoints(tmp_path / f"{stage}{done}", keep=1)
        kept.save(int(state.step), state, {})
        kept.close()
        state, _ = kept.restore(jax.tree.map(np.asarray, state))
        if stage == 0:
            state = trained(0, state, 6 - done)
        state = trained(1, state, 14 - int(state.step))
        for a, b in zip(leaves(whole), leaves(state), strict=True):
            np.testing.assert_array_equal(a, b)
    other = trained(1, trained(0, None, 6), 7)
    assert not np.array_equal(leaves(whole.params)[0], leaves(other.params)[0])


@pytest.mark.parametrize("name", ["pggan_1gpu_256", "stylegan1_8gpu_256"])
def test_the_authors_schedule(style_reference, name):
    hyper, arrays = style_reference("progressive_schedules")
    told = hyper["presets"][name.removesuffix("_256")]
    batches = {int(k): n for k, n in told["minibatch_dict"].items()}
    least = told.get("lod_initial_resolution", 4)
    own = config(
        first_resolution=least,
        fade_kimg=600.0,
        stable_kimg=600.0,
        steps=10**7,
        steps_per_call=1,
        batch_size=batches[4],
        batch_changes=(*((k, n) for k, n in batches.items() if k > 4),),
        rate_changes=(*((int(k), x) for k, x in told["G_lrate_dict"].items()),),
    )
    every = growing.stages(own, spec(256))
    gans = [growing.grown(game, own, spec(256), i) for i in range(len(every))]
    for kimg, row in zip(arrays["in/kimg"], arrays[f"out/{name}"], strict=True):
        lod, side, batch_size, rate, _ = row
        starts = [stages.first_row(every, i) for i in range(len(every))]
        index = max(i for i, row in enumerate(starts) if row <= 1000 * kimg)
        into = (1000 * kimg - starts[index]) / every[index].batch_size
        step = stages.first_step(every, index) + into
        found = gans[index].nets["g"].of_step(jnp.float32(step))
        alpha = float(found["fade"]["alpha"]) if found else 1.0
        ours = every[index].spec["image"].shape[0]
        # Borders are between batches: later by up to one for each part of a stage.
        assert abs(np.log2(256 / ours) + 1 - alpha - lod) < 5e-3, kimg
        if kimg % 600:
            assert (ours, every[index].batch_size) == (side, batch_size), kimg
            assert growing.from_side(own["rate_changes"], ours, 0.001) == rate, kimg


def test_real_images_are_faded_as_the_authors_do(style_reference):
    _, arrays = style_reference("progressive_reals")
    for i, lod in enumerate(arrays["in/lods"]):
        x = np.moveaxis(arrays[f"in/img_lod{i}"], 1, -1) / 127.5 - 1
        x = jnp.asarray(x, jnp.float32)
        alpha = jnp.float32(1 - (lod - np.floor(lod)))
        found = mixed(upsample(downsample(x)), x, alpha)
        while found.shape[1] < 32:
            found = upsample(found)
        wanted = np.moveaxis(arrays[f"out/real_lod{i}"], 1, -1)
        np.testing.assert_allclose(found, wanted, atol=2e-6)
        if lod != np.floor(lod):
            assert np.abs(x - downsample(upsample(x))).max() < 1e-6
            assert np.abs(np.asarray(found) - wanted[::-1]).max() > 1e-2


def test_presets_have_the_length_that_they_say():
    for name, (*_, phase, kimg) in presets.SIZES.items():
        own = presets.get_config(name)
        found = growing.stages(own.to_dict(), spec(own.resolution))
        images = stages.examples(found, own.steps)
        assert abs(images / (1000 * kimg) - 1) < 1e-3, name
        assert own.fade_kimg == own.stable_kimg == phase
