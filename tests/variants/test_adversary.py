"""What the discriminators of translations are given: penalties, data that fit."""

import functools
import types

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn

from experiments import config as configs
from gans import augment, core, networks
from gans.adversary import Adversary, Shown
from gans.losses import adversarial, penalties
from gans.networks import patch


def test_the_penalty_of_a_map_is_the_authors(arrays):
    """Theirs is of the sum over the map, ours in training of its mean."""
    kept = arrays("gradient_penalty")
    state = {k[2:]: v.astype(np.float64) for k, v in kept.items() if k[:2] == "w/"}
    real, fake = (
        np.moveaxis(kept[x].astype(np.float64), 1, -1) for x in ("real", "fake")
    )
    alpha = kept["alpha"].astype(np.float64)[:, :, None, None]
    points = {"real": real, "fake": fake, "mixed": alpha * real + (1 - alpha) * fake}
    with jax.enable_x64(True):
        options, variables = patch.from_torch(state)
        d = networks.make("Discriminator", "patch", dtype="float64", **options)

        def norms(x, reduced):
            def discriminate(x):
                return reduced(d.apply(variables, x, train=True), axis=(1, 2))

            return penalties.gradient_norms(discriminate, x)

        of = jax.jit(norms, static_argnums=1)
        for kind, x in points.items():
            found = np.asarray(of(x, jax.numpy.sum))
            for constant in (0, 1):
                expected = kept[f"{kind}_{constant}/value"]
                ours = 10 * np.mean((found - constant) ** 2)
                np.testing.assert_allclose(ours, expected, rtol=1e-6)
        # The negative control: another reduction.
        wrong = 10 * np.mean(np.asarray(of(real, jax.numpy.mean)) ** 2)
        assert abs(wrong / kept["real_0/value"] - 1) > 0.1


@pytest.mark.parametrize(
    "groups, fits", [([("a", "b")], True), ([("a",), ("b",)], False)]
)
def test_unpaired_data_are_rejected_where_pairs_are_needed(tiny, groups, fits):
    config = tiny("pix2pix")
    check = functools.partial(configs.check_pairs, config, configs.build(config))
    source = types.SimpleNamespace(groups=groups)
    if fits:
        check(source)
    else:
        with pytest.raises(ValueError, match="a and b of an example do not belong"):
            check(source)


class Difference(nn.Module):
    """The logit of a pair is how far its two images are apart; one image's its mean."""

    @nn.compact
    def __call__(self, x, *, train):
        weight = self.param("weight", nn.initializers.ones, ())
        if x.shape[-1] > 3:
            x = jnp.abs(x[..., :3] - x[..., 3:])
        return weight * x.mean(axis=(1, 2, 3))


def augmented(*augments, given):
    """(GAN, its state): a discriminator of images, each of them its own condition."""
    adversary = Adversary(
        name="d",
        module=Difference(),
        tx=optax.sgd(0.0),
        loss=adversarial.non_saturating(),
        augments=augments,
    )
    image = jax.random.uniform(jax.random.key(0), (2, 16, 16, 3), minval=0.5)
    seen = Shown(real=image, fake=image, given=image if given else None)
    update, *_ = adversary.updates(lambda *_: seen)
    shapes = [(16, 16, 3)] * (2 if given else 1)
    gan = core.GAN(
        nets={"d": adversary.net(*shapes)},
        updates=(update,),
        inputs=lambda key, batch: {},
        outputs={},
        aux=adversary.aux,
    )
    state = core.init(gan, jax.random.key(0))
    return gan, state


def test_what_is_given_and_what_is_made_of_it_get_one_draw():
    moved = augment.make("diff_augment")
    gan, state = augmented(moved, given=True)
    _, metrics = core.make_step(gan)(state, {}, jax.random.key(1))
    np.testing.assert_allclose(metrics["d/loss"], np.log(2), rtol=1e-6)
    # The negative control: an image alone is seen augmented.
    losses = [
        core.make_step(gan)(state, {}, jax.random.key(1))[1]["d/loss"]
        for gan, state in (augmented(moved, given=False), augmented(given=False))
    ]
    assert abs(losses[0] - losses[1]) > 1e-3


def test_the_controller_of_a_discriminator_of_images_follows_its_logits():
    ada = augment.make("ada", kimg=0.1, interval=1)
    gan, state = augmented(ada, given=False)
    assert state.aux["d_ada"]["p"] == 0  # logits of bright images are above 0
    state, metrics = core.make_step(gan)(state, {}, jax.random.key(1))
    np.testing.assert_allclose(state.aux["d_ada"]["p"], 2 / 100)
    np.testing.assert_allclose(metrics["d/ada_p"], 2 / 100)


def test_augmentations_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match="Wasserstein"):
        Adversary(
            name="d",
            module=Difference(),
            tx=optax.sgd(0.0),
            loss=adversarial.wasserstein(),
            augments=(augment.make("ada"),),
        )
