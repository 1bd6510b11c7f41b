"""What a config adds to the updates, on points: numbers put together by hand."""

import dataclasses
import functools
import inspect
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import config as configs
from gans import augment, core, game, terms
from gans import build as parts
from gans.augment.instance_noise import instance_noise
from gans.data import spec as specs
from gans.losses import adversarial, matching, penalties, regularisers
from gans.terms import Context, Term

KEY = jax.random.key(0)
POINTS = jax.random.normal(jax.random.key(1), (6, 2))


def ready(tiny, preset="ring8", players=None, **changes):
    """(config, gan, state) of the plain GAN with `changes`."""
    config = configs.override(
        tiny("gan", preset, batch_size=6, **changes), players or {}
    )
    gan = configs.build(config)
    return config, gan, jax.jit(functools.partial(core.init, gan))(KEY)


def resolved(config):
    """(nested dicts, spec) of a resolved config, as variants are given them."""
    content = config.to_dict()
    return content, specs.from_json(content["spec"])


def adversarial_loss(loss, on_real, on_fake):
    return adversarial.total(loss.discriminator(on_real, on_fake))


def generator_loss(loss, on_fake, on_real=None):
    return adversarial.total(loss.generator(on_fake, on_real))


def loss_of(gan, state, update, batch=None):
    """(value, Out) of the update of that name."""
    nets = core.bind(gan, state, train=True)
    (found,) = [u for u in gan.updates if u.name == update]
    return found.loss(nets, batch or {"point": POINTS}, KEY, state)


def fake_of(config, state, gan, n_keys):
    nets = core.bind(gan, state, train=True)
    key_g, _, *keys = jax.random.split(KEY, n_keys)
    fake, _, z = game.generate(nets["g"], 6, None, key_g, config.latent)
    return nets, fake, z, keys


def test_terms_are_added_with_their_weights(tiny):
    specs = ("r1(weight=3)", "orthogonal(weight=0.5)")
    config, gan, state = ready(tiny, players={"discriminator.penalties": specs})
    plain = ready(tiny)[1]
    nets, *_ = fake_of(config, state, gan, 6)
    r1 = penalties.r1(nets["d"], POINTS).mean()
    orthogonal = regularisers.orthogonal(state.params["d"])
    value, out = loss_of(gan, state, "d")
    without, _ = loss_of(plain, state, "d")
    np.testing.assert_allclose(value - without, 3 * r1 + orthogonal / 2, rtol=1e-4)
    np.testing.assert_allclose(out.metrics["r1"], r1, rtol=1e-5)
    np.testing.assert_allclose(out.metrics["orthogonal"], orthogonal, rtol=1e-5)


# What the papers, or their authors' code where they are silent, set.
DEFAULTS = {
    "gradient_penalty": {"weight": 10, "one_sided": False, "target": 1},  # 1704.00028
    "dragan": {"weight": 10},  # 1705.07215
    "r1": {"weight": 10},  # 1801.04406, of CelebA
    "r2": {"weight": 10},
    "zero_centred": {"weight": 100},  # 1902.03984
    "drift": {"weight": 1e-3},  # 1710.10196
    "auxiliary_classifier": {"weight": 1},  # 1610.09585
    "lecam": {"weight": 0.3, "decay": 0.99},  # 2104.03310
    "consistency": {"weight": 10, "policy": ("translation",)},  # 1910.12027
    "balanced_consistency": {"weight": 10, "policy": ("translation",)},  # 2002.04724
    "latent_consistency": {"weight": 5, "sigma": 0.03},
    "latent_diversity": {"weight": 0.5, "sigma": 0.03},
    "orthogonal": {"weight": 1e-4, "off_diagonal": True},  # 1809.11096
    "historical": {"weight": 1},
    "feature_matching": {"weight": 1, "moments": 1, "alone": True},
    "path_length": {"weight": 2, "decay": 0.01, "shrink": 2},  # 1912.04958
}
LAZY = {"path_length": 4}


def test_options_are_the_papers_if_none_is_given():
    factories = terms.known("discriminator") | terms.known("generator")
    found = {
        name: {k: p.default for k, p in inspect.signature(f).parameters.items()}
        for name, f in factories.items()
    }
    assert {name: options.pop("every") for name, options in found.items()} == {
        name: LAZY.get(name, 1) for name in DEFAULTS
    }
    assert found == DEFAULTS
    for role in ("discriminator", "generator"):
        for term in terms.make(terms.known(role), role):
            assert (
                term.name in DEFAULTS
                and term.weight == DEFAULTS[term.name]["weight"]
                and term.every == LAZY.get(term.name, 1)
            )


IMAGES = jnp.tanh(jax.random.normal(KEY, (6, 16, 16, 1)))
# Of the discriminator, both sides of a batch, and the term's key.
WANTED = {
    "gradient_penalty": penalties.gradient_penalty,
    "gradient_penalty(one_sided=True)": functools.partial(
        penalties.gradient_penalty, one_sided=True
    ),
    "dragan": lambda d, real, fake, key: penalties.dragan(d, real, key),
    "r1": lambda d, real, fake, key: penalties.r1(d, real),
    "r2": lambda d, real, fake, key: penalties.r2(d, fake),
    "zero_centred": penalties.zero_centred,
    "consistency": lambda d, real, fake, key: moved(d, real, key),
    "balanced_consistency": lambda d, real, fake, key: sum(
        map(functools.partial(moved, d), (real, fake), jax.random.split(key))
    ),
}


def moved(d, x, key):
    other = augment.make("diff_augment", policy=("translation",)).apply(x, key, 0)
    return regularisers.consistency(d(x), d(other))


@pytest.mark.parametrize("spec", WANTED)
def test_what_each_term_is_fed_with(tiny, spec):
    specs = {"discriminator.penalties": (spec,), "discriminator.dropout": 0.0}
    config, gan, state = ready(tiny, "digits", players=specs)
    # A discriminator steep enough for a one-sided penalty.
    params = jax.tree.map(lambda w: 4 * w, state.params["d"])
    state = state.replace(params={**state.params, "d": params})
    batch = {"image": IMAGES, "label": jnp.zeros(6, jnp.int32)}
    nets, fake, _, (key, *_) = fake_of(config, state, gan, 5)
    _, out = loss_of(gan, state, "d", batch)
    found = out.metrics[spec.partition("(")[0]]
    expected = WANTED[spec](nets["d"], IMAGES, fake, key).mean()
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    # Another side, or key, is another number.
    others = (fake, IMAGES, key), (IMAGES, fake, jax.random.key(9))
    values = {float(WANTED[spec](nets["d"], *other).mean()) for other in others}
    assert any(abs(value / expected - 1) > 1e-2 for value in values)


@pytest.mark.parametrize(
    "changes, players",
    [
        ({"augment": ("instance_noise(sigma=1.0)",)}, {}),
        ({}, {"discriminator.dropout": 0.4}),
        ({}, {"discriminator.dropout": 0.4, "discriminator.norm": "batch"}),
    ],
)
def test_terms_see_what_the_loss_has_seen(tiny, changes, players):
    """The same noise and the same units dropped, on either side."""
    terms = {"discriminator.penalties": ("latent_consistency(sigma=0)",)}
    _, gan, state = ready(tiny, players=players | terms, **changes)
    _, out = loss_of(gan, state, "d")
    np.testing.assert_allclose(out.metrics["latent_consistency"], 0, atol=1e-10)
    nets = core.bind(gan, state, train=True)
    two = gan.updates[0].loss.__self__
    context, *_ = two.against_data(nets, {"point": POINTS}, KEY, state, ())
    near = functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-5)
    near(context.discriminate(POINTS), context.on_real)
    near(context.both(POINTS, context.fake), (context.on_real, context.on_fake))
    near(context.discriminate(context.fake, as_fake=True), context.on_fake)
    # By itself a fake one would have the draws of a real one.
    assert np.abs(context.discriminate(context.fake) - context.on_fake).max() > 1e-3


@pytest.mark.parametrize(
    "average, expected",
    [
        ({"ema": 0.9}, [1 / 10, 2 / 11, 3 / 12, 0.9]),
        (
            {"ema_half_life": 100, "ema_ramp": 0.5},
            [0.5 ** (1 / life) for life in (0.5, 1, 1.5, 100)],
        ),
        ({"ema_half_life": 100, "ema_ramp": None}, [0.5 ** (1 / 100)] * 4),
    ],
)
def test_the_average_counts_the_generators_updates(tiny, average, expected):
    """With n_critic = 3 the first updates, 0, 1 and 2, are at steps 2, 5 and 8."""
    config = tiny("gan", "circle", n_critic=3)
    with config.unlocked(), config.ignore_type():
        config.update(average)
    gan = configs.build(config)
    found = [gan.nets["g"].ema(jnp.int32(step)) for step in (2, 5, 8, 3000)]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_a_lazy_term_is_an_update_of_its_own(tiny):
    specs = ("r1(weight=2, every=4)",)
    config, gan, state = ready(tiny, players={"discriminator.penalties": specs})
    plain = ready(tiny)[1]
    np.testing.assert_array_equal(
        loss_of(gan, state, "d")[0], loss_of(plain, state, "d")[0]
    )
    nets = core.bind(gan, state, train=True)
    value, out = loss_of(gan, state, "d_r1")
    r1 = penalties.r1(nets["d"], POINTS).mean()
    np.testing.assert_allclose(value, 4 * 2 * r1, rtol=1e-5)
    np.testing.assert_allclose(out.metrics["value"], r1, rtol=1e-5)
    (update,) = [u for u in gan.updates if u.name == "d_r1"]
    assert update.trains == ("d",)
    assert [bool(update.when(jnp.int32(i))) for i in range(5)] == [0, 0, 0, 1, 0]
    # Adam's first update is its rate: 1e-3 * 4 / 5, and 1e-3 without.
    for made, rate in ((gan, 8e-4), (plain, 1e-3)):
        after, _ = jax.jit(core.make_step(made))(state, {"point": POINTS}, KEY)
        change = np.abs(
            after.params["d"]["out"]["bias"] - state.params["d"]["out"]["bias"]
        )
        np.testing.assert_allclose(change, rate, rtol=1e-3)


def test_lazy_terms_of_the_generator_count_its_own_updates(tiny):
    """Every second of its updates, which are every third step."""
    specs = ("orthogonal(weight=1, every=2)",)
    _, gan, _ = ready(tiny, players={"generator.penalties": specs}, n_critic=3)
    due = {
        u.name: [i for i in range(12) if bool(u.when(jnp.int32(i)))]
        for u in gan.updates[1:]
    }
    assert due == {"g": [2, 5, 8, 11], "g_orthogonal": [5, 11]}


def test_lecam_remembers_the_logits(tiny):
    specs = ("lecam(weight=1, decay=0.75)",)
    config, gan, state = ready(tiny, players={"discriminator.penalties": specs})
    nets, fake, *_ = fake_of(config, state, gan, 5)
    real = float(nets["d"](POINTS).mean())
    for n in (1, 2):
        _, out = loss_of(gan, state, "d")
        state = state.replace(aux={**state.aux, **out.aux})
        # 0.25 of a constant, then 0.25 + 0.75 * 0.25 of it.
        share = {1: 0.25, 2: 0.4375}[n]
        np.testing.assert_allclose(out.aux["d_lecam"]["real"], share * real, rtol=1e-4)
    means = state.aux["d_lecam"]
    expected = adversarial.total(
        regularisers.lecam(
            nets["d"](POINTS), nets["d"](fake), means["real"], means["fake"]
        )
    )
    _, out = loss_of(gan, state, "d")
    np.testing.assert_allclose(out.metrics["lecam"], expected, rtol=1e-5)


def test_historical_averaging_pulls_back_to_the_mean_of_the_past(tiny):
    specs = ("historical(weight=1)",)
    both = {"discriminator.penalties": specs, "generator.penalties": specs}
    config, gan, state = ready(tiny, players=both)
    step = jax.jit(core.make_step(gan))
    path = [state.params]
    for _ in range(3):
        state, metrics = step(state, {"point": POINTS}, KEY)
        path.append(state.params)
    for player in ("d", "g"):
        mean = jax.tree.map(lambda *x: sum(x) / 3, *(p[player] for p in path[:3]))
        kept = state.aux[f"{player}_historical"]
        for a, b in zip(
            jax.tree.leaves(kept["mean"]), jax.tree.leaves(mean), strict=True
        ):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)
        # In the last update: the distance from the mean of the two before it.
        before = jax.tree.map(
            lambda a, b: (a + b) / 2, path[0][player], path[1][player]
        )
        expected = regularisers.historical(path[2][player], before)
        found = metrics[f"{player}/historical"]
        np.testing.assert_allclose(found, expected, rtol=2e-2)
        assert found > 0


def test_feature_matching_takes_the_place_of_the_loss(tiny):
    specs = {"generator.penalties": ("feature_matching",)}
    config, gan, state = ready(tiny, players=specs)
    nets, fake, *_ = fake_of(config, state, gan, 4)
    features = nets["d"].features(POINTS), nets["d"].features(fake)
    distance = matching.feature_matching(*features)
    value, out = loss_of(gan, state, "g")
    np.testing.assert_allclose(value, distance, rtol=1e-5)
    assert distance > 1e-4
    beside = {"generator.penalties": ("feature_matching(alone=False, weight=2)",)}
    _, gan, _ = ready(tiny, players=beside)
    plain, _ = loss_of(ready(tiny)[1], state, "g")
    value, _ = loss_of(gan, state, "g")
    np.testing.assert_allclose(value, plain + 2 * distance, rtol=1e-4)


def test_nearby_latents(tiny):
    specs = {
        "discriminator.penalties": ("latent_consistency(weight=1, sigma=0.5)",),
        "generator.penalties": ("latent_diversity(weight=1, sigma=0.5)",),
    }
    config, gan, state = ready(tiny, players=specs)
    nets, fake, z, (key, *_) = fake_of(config, state, gan, 5)
    key = jax.random.split(key)[0]
    other = nets["g"](z + 0.5 * jax.random.normal(key, z.shape))
    _, out = loss_of(gan, state, "d")
    expected = regularisers.consistency(nets["d"](fake), nets["d"](other)).mean()
    np.testing.assert_allclose(out.metrics["latent_consistency"], expected, rtol=1e-4)
    nets, fake, z, (key, *_) = fake_of(config, state, gan, 5)
    key = jax.random.split(key)[0]
    other = nets["g"](z + 0.5 * jax.random.normal(key, z.shape))
    _, out = loss_of(gan, state, "g")
    expected = regularisers.latent_diversity(fake, other).mean()
    np.testing.assert_allclose(out.metrics["latent_diversity"], expected, rtol=1e-4)
    assert expected < 0


def test_flipped_labels_exchange_the_sides(tiny):
    config, gan, state = ready(tiny, label_flip=1.0)
    nets, fake, *_ = fake_of(config, state, gan, 4)
    loss = adversarial.make("non_saturating")
    value, out = loss_of(gan, state, "d")
    swapped = adversarial_loss(loss, nets["d"](fake), nets["d"](POINTS))
    np.testing.assert_allclose(value, swapped, rtol=1e-5)
    assert not np.isclose(
        swapped, adversarial_loss(loss, nets["d"](POINTS), nets["d"](fake))
    )
    # The logged scores are those of the discriminator, without flipped labels.
    np.testing.assert_allclose(
        out.metrics["score_real"], nets["d"](POINTS).mean(), rtol=1e-4
    )


def test_top_k_is_the_loss_of_the_best_fakes(tiny):
    config, gan, state = ready(tiny, top_k="top_k(share=0.5, gamma=0.5, interval=1)")
    nets, fake, *_ = fake_of(config, state, gan, 3)
    logits = np.sort(nets["d"](fake))[::-1]
    loss = adversarial.make("non_saturating")
    for step, k in ((0, 6), (1, 3), (9, 3)):
        at = state.replace(step=jnp.int32(step))
        value, _ = loss_of(gan, at, "g")
        np.testing.assert_allclose(
            value, generator_loss(loss, jnp.array(logits[:k])), rtol=1e-5
        )


def test_a_relativistic_generator_sees_real_data(tiny):
    config, gan, state = ready(tiny, loss="relativistic_pairing")
    nets, fake, *_ = fake_of(config, state, gan, 3)
    loss = adversarial.make("relativistic_pairing")
    value, _ = loss_of(gan, state, "g")
    expected = generator_loss(loss, nets["d"](fake), nets["d"](POINTS))
    np.testing.assert_allclose(value, expected, rtol=1e-5)


def test_noise_on_the_inputs_of_both_sides_decays(tiny):
    noise = ("instance_noise(sigma=1.0, stop=10)",)
    config, gan, state = ready(tiny, augment=noise)
    plain = ready(tiny)[1]
    for update in ("d", "g"):
        noisy, _ = loss_of(gan, state, update)
        without, _ = loss_of(plain, state, update)
        late = state.replace(step=jnp.int32(10))
        assert abs(noisy - without) > 1e-4
        np.testing.assert_allclose(loss_of(gan, late, update)[0], without, rtol=1e-5)


def test_feature_matching_goes_through_the_augmentation(tiny):
    specs = {"generator.penalties": ("feature_matching",)}
    noise = ("instance_noise(sigma=100.0)",)
    _, gan, state = ready(tiny, players=specs, augment=noise)
    noisy, _ = loss_of(gan, state, "g")
    plain, _ = loss_of(ready(tiny, players=specs)[1], state, "g")
    assert noisy > 2 * plain


def test_a_penalty_goes_through_the_augmentation(tiny):
    """It sees what the loss sees: noise first, then the network."""
    specs = {"discriminator.penalties": ("r1(weight=1)",)}
    noise = ("instance_noise(sigma=1.0)",)
    _, gan, state = ready(tiny, players=specs, augment=noise)
    nets = core.bind(gan, state, train=True)
    _, out = loss_of(gan, state, "d")
    key_in = jax.random.fold_in(jax.random.split(KEY, 5)[3], 0)
    seen = instance_noise(POINTS, key_in, 1.0)
    np.testing.assert_allclose(
        out.metrics["r1"], penalties.r1(nets["d"], seen).mean(), rtol=1e-4
    )
    assert not np.isclose(out.metrics["r1"], penalties.r1(nets["d"], POINTS).mean())


def test_the_adaptive_probability_follows_the_discriminator(tiny):
    kind = "ada(target=0.0, kimg=0.06, interval=2)"
    config, gan, state = ready(tiny, "digits", augment=(kind,))
    batch = {"image": jnp.zeros((6, *config.shape)), "label": jnp.zeros(6, jnp.int32)}
    _, out = loss_of(gan, state, "d", batch)
    assert out.aux["ada"]["p"] == 0  # at odd steps only
    bias = state.params["d"]["out"]["bias"]
    for sign, p in ((1, 0.7), (-1, 0.3)):  # 2 * 6 of 60 images, from 0.5
        params = {
            **state.params["d"],
            "out": {**state.params["d"]["out"], "bias": bias + 50 * sign},
        }
        at = state.replace(
            step=jnp.int32(1),
            params={**state.params, "d": params},
            aux={"ada": {"p": jnp.float32(0.5), "r": jnp.float32(sign)}},
        )
        _, out = loss_of(gan, at, "d", batch)
        np.testing.assert_allclose(out.aux["ada"]["p"], p, rtol=1e-5)
        np.testing.assert_allclose(out.metrics["ada_p"], p, rtol=1e-5)


@pytest.mark.parametrize(
    "changes, players, message",
    [
        (
            {},
            {"discriminator.penalties": ("r3",)},
            "term: 'r3' is not one",
        ),
        (
            {},
            {"discriminator.penalties": ("r1(wieght=1)",)},
            "r1 has no option 'wieght'",
        ),
        ({}, {"discriminator.penalties": ("r1(1)",)}, "neither NAME nor"),
        ({}, {"discriminator.penalties": ("r1", "r1(every=2)")}, "each at most once"),
        (
            {},
            {"discriminator.penalties": ("r1(every=0)",)},
            "every=0 must be at least 1",
        ),
        (
            {},
            {"discriminator.penalties": ("r1(weight='a')",)},
            "weight='a' must be a number",
        ),
        (
            {},
            {"generator.penalties": ("feature_matching(every=2)",)},
            "replaces the loss",
        ),
        (
            {"n_critic_changes": ((5, 2),)},
            {"generator.penalties": ("orthogonal(every=2)",)},
            "n_critic changes during training",
        ),
        (
            {"top_k": "top_k"},
            {"generator.penalties": ("feature_matching",)},
            "which feature_matching replaces",
        ),
        (
            {},
            {
                "discriminator.equalised": True,
                "discriminator.penalties": ("orthogonal",),
            },
            "orthogonal is about the size",
        ),
        ({"n_critic": 0}, {}, "n must be an integer of at least 1, got 0"),
        ({"n_critic_changes": ((5, 2.5),)}, {}, "at least 1, got 2.5"),
        (
            {},
            {"discriminator.penalties": ("r1(weight=-1)",)},
            "weight=-1 must be a number",
        ),
        (
            {},
            {"discriminator.penalties": ("lecam(decay=1)",)},
            "decay=1 must be a number",
        ),
        (
            {},
            {"generator.penalties": ("latent_diversity(sigma=-0.1)",)},
            "sigma=-0.1 must be",
        ),
        (
            {},
            {"discriminator.penalties": ("latent_consistency(sigma='a')",)},
            "sigma='a' must be a number",
        ),
        ({"ema": 1.0}, {}, r"ema=1.0 must be a number in \[0, 1\)"),
        ({"ema_half_life": -5}, {}, "ema_half_life=-5.0 must be a number above 0"),
        (
            {"ema_half_life": 10, "ema_ramp": 0.0},
            {},
            "ema_ramp=0.0 must be a number above 0",
        ),
        (
            {},
            {"discriminator.dropout": 1.5},
            "discriminator: dropout=1.5 must be a number in",
        ),
        (
            {},
            {"discriminator.dropout": None},
            "dropout=None must be a number",
        ),
        ({"n_critic_changes": ((5.5, 2),)}, {}, "must rise from above 0, whole"),
        (
            {},
            {"discriminator.minibatch": "stddev(group=4)"},
            "group does not divide batch_size=6",
        ),
        ({}, {"discriminator.penalties": "r1"}, "must be a tuple of terms"),
        (
            {},
            {"generator.penalties": ("r1",)},
            "generator: term: 'r1' is not one of",
        ),
        (
            {},
            {"discriminator.penalties": ("consistency",)},
            "is for data of kind image",
        ),
        ({}, {"generator.penalties": ("feature_matching(moments=3)",)}, "moments=3"),
        (
            {},
            {"discriminator.norm": "batch", "discriminator.penalties": ("r1",)},
            "norm='batch'",
        ),
        (
            {},
            {"generator.penalties": ("path_length",)},
            "path_length is for data of kind image",
        ),
        ({}, {"discriminator.norm": "virtual"}, "n_reference=64, got batch_size=6"),
        ({"augment": ("diff_augment",)}, {}, "is for data of kind image"),
        ({"augment": ("instance_noise",) * 2}, {}, "each at most once"),
        ({"augment": ("noise",)}, {}, "'noise' is not one of"),
        ({"label_flip": 1.5}, {}, "label_flip=1.5"),
        (
            {"top_k": "top_k(share=0)"},
            {},
            r"top_k: share=0 must be a number in \(0, 1\]",
        ),
        ({"top_k": "k"}, {}, "top_k: must be 'top_k', got 'k'"),
        (
            {"top_k": "top_k", "loss": "relativistic_average"},
            {},
            "top_k ranks fake examples by their own logits",
        ),
        ({"loss": "hinge(a=1)"}, {}, "hinge"),
    ],
)
def test_what_cannot_be_is_rejected(tiny, changes, players, message):
    with pytest.raises(ValueError, match=message):
        ready(tiny, players=players, **changes)


def test_r1_with_minibatch_features_is_of_the_sum_of_the_logits(tiny):
    """Cross terms are in it, as in PGGAN and StyleGAN2: by finite differences."""
    players = {
        "discriminator.penalties": ("r1",),
        "discriminator.minibatch": "stddev(group=3)",
    }
    _, gan, state = ready(tiny, players=players)
    d = core.bind(gan, state, train=True)["d"]
    _, out = loss_of(gan, state, "d")
    with jax.enable_x64(True):
        d = dataclasses.replace(d, params=jax.tree.map(jnp.float64, d.params))
        x, h, slopes = np.asarray(POINTS, float), 1e-4, np.zeros(POINTS.shape)
        alone = np.zeros(POINTS.shape)
        for at in np.ndindex(*x.shape):
            step = np.zeros_like(x)
            step[at] = h
            change = (d(jnp.array(x + step)) - d(jnp.array(x - step))) / (2 * h)
            slopes[at], alone[at] = change.sum(), change[at[0]]
    wanted = 0.5 * (slopes**2).sum(1).mean()
    np.testing.assert_allclose(out.metrics["r1"], wanted, rtol=1e-3)
    assert abs(0.5 * (alone**2).sum(1).mean() - wanted) > 0.01 * wanted


def test_ada_needs_logits_with_a_zero(tiny):
    with pytest.raises(ValueError, match="has no meaning with a Wasserstein"):
        ready(tiny, "digits", augment=("ada",), loss="wasserstein")


# --- terms that are lazy and remember, of any network --------------------------------


def path_length(weight=2.0, every=4, decay=0.9):
    """StyleGAN2's (arXiv 1912.04958, section 3.2): lengths stay near their mean."""

    def value(c):
        noise = jax.random.normal(c.key, c.fake.shape)
        image = lambda z: (c.net(z, c.label) * noise).sum()  # noqa: E731
        lengths = jnp.linalg.norm(jax.grad(image)(c.z), axis=1)
        mean = decay * c.memory + (1 - decay) * lengths.mean()
        return jnp.mean((lengths - mean) ** 2), mean

    return terms.Term(
        name="path_length",
        value=value,
        weight=weight,
        every=every,
        memory=lambda params: jnp.zeros(()),
        about=("generator",),
    )


def test_a_term_can_be_lazy_and_have_a_running_mean(tiny):
    two = parts.game(*resolved(tiny("gan", "ring8", batch_size=6)))
    gan = dataclasses.replace(two, terms={"g": (path_length(),)}).gan()
    state = jax.jit(functools.partial(core.init, gan))(KEY)
    step = jax.jit(core.make_step(gan))
    means = [float(state.aux["g_path_length"])]
    for i in range(8):
        state, metrics = step(state, {"point": POINTS}, KEY)
        means.append(float(state.aux["g_path_length"]))
        assert np.isfinite(metrics["g_path_length/value"]) == (i % 4 == 3)
    # It changes in the steps in which the term is due, and only there.
    changed = np.diff(means) != 0
    np.testing.assert_array_equal(changed, np.arange(8) % 4 == 3)
    # From 0, the first mean is 0.1 of the mean length, and the loss 4 * 2 * value.
    start = jax.jit(functools.partial(core.init, gan))(KEY)
    value, out = loss_of(gan, start, "g_path_length")
    np.testing.assert_allclose(value, 4 * 2 * out.metrics["value"], rtol=1e-6)
    assert out.aux["g_path_length"] > 0


def test_a_term_is_about_whichever_network_it_is_given():
    """CycleGAN's d_a takes R1 and averaging as the d of two players does."""
    w = jnp.array([3.0, 4.0])
    net = core.Bound(None, {"w": w}, {}, train=True)
    added = terms.make(
        ({"name": "r1", "weight": 2.0}, {"name": "historical", "weight": 0.5}),
        "discriminator",
    )
    slots = [terms.slot(term, "d_a") for term in added]
    assert slots == ["d_a_r1", "d_a_historical"]
    aux = {"d_a_historical": added[1].memory({"w": w - 1})}
    context = terms.Context(
        name="d_a",
        net=net,
        step=jnp.int32(0),
        discriminate=lambda x: x @ w,
        real=jnp.ones((5, 2)),
    )
    keys = list(jax.random.split(KEY, 2))
    loss, values, remembered = terms.add(1.0, added, context, keys, aux)
    # R1 is 25 / 2; the distance from (2, 3) is 1 + 1.
    assert values == {"r1": 12.5, "historical": 2.0}
    assert loss == 1 + 2 * 12.5 + 0.5 * 2
    assert list(remembered) == ["d_a_historical"]
    np.testing.assert_allclose(remembered["d_a_historical"]["mean"]["w"], w)
    assert remembered["d_a_historical"]["n"] == 1


def test_terms_are_found_by_listing_their_folder():
    folder = pathlib.Path(terms.__file__).parent
    files = {p.stem for p in folder.glob("*.py")}
    assert files - {"__init__", "base"} == {
        "consistency", "features", "gradient_penalties", "logits", "parameters",
        "path_length",
    }  # fmt: skip
    assert set(terms.known("generator")) == {
        "auxiliary_classifier", "feature_matching", "historical", "latent_diversity",
        "orthogonal", "path_length",
    }  # fmt: skip


def test_drift_and_a_target_of_the_penalty():
    """0.001 * mean of logits squared; norms of 3 are 1 / 250 of 750."""
    context = Context(name="d", net=None, step=0, on_real=jnp.array([1.0, -3.0]))
    value, _, _ = terms.add(
        jnp.zeros(()), terms.make(("drift",), "discriminator"), context, [KEY], {}
    )
    assert float(value) == pytest.approx(1e-3 * 5)
    x = jnp.ones((2, 9))
    found = penalties.gradient_penalty(lambda x: x.sum(1), x, -x, KEY, target=750.0)
    np.testing.assert_allclose(found, (3 / 750 - 1) ** 2, rtol=1e-6)
    with pytest.raises(ValueError, match="target=0 must be a number above 0"):
        terms.make(({"name": "gradient_penalty", "target": 0},), "discriminator")


def test_the_auxiliary_classifier():
    """Of real and fake examples in the discriminator's update, of fake in the other."""
    classes = {"real": jnp.log(jnp.array([[0.5, 0.5]])), "fake": jnp.zeros((1, 2)) + 7}
    own = {"label": jnp.array([1]), "net": None, "step": 0, "real": "real"}
    own |= {"fake": "fake", "features": lambda x: {"classes": classes[x]}}
    found = {}
    for name, role in (("d", "discriminator"), ("g", "generator")):
        context = Context(name=name, **own)
        (term,) = terms.make(("auxiliary_classifier",), role)
        found[name] = float(term.value(context))
    assert found == pytest.approx({"d": 2 * np.log(2), "g": np.log(2)})
    own["features"] = lambda x: {}
    with pytest.raises(ValueError, match="auxiliary_classifier needs labels"):
        terms.make(("auxiliary_classifier",), "generator")[0].value(
            Context(name="g", **own)
        )


def test_a_term_that_is_no_number_is_refused():
    """An array would be added to the loss, which then has rows."""
    own = Term(name="rows", value=lambda context: context.real, weight=1.0)
    context = Context(name="d", net=None, step=0, real=jnp.ones(3))
    said = r"term 'rows' is one number \[\], got \[3\] \(\S*test_terms.py, line \d+\)"
    with pytest.raises(ValueError, match=said):
        terms.add(jnp.zeros(()), (own,), context, [None], {})
