"""What a config adds to the moves, on points: numbers put together by hand."""

import functools
import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gans import augment, core, stabilisers
from gans.losses import adversarial, matching, penalties, regularisers
from gans.variants import gan

KEY = jax.random.key(0)
POINTS = jax.random.normal(jax.random.key(1), (6, 2))


def ready(tiny, preset="ring8", players=(), **changes):
    """(config, game, state) of the plain GAN with `changes`."""
    config = tiny("gan", preset, batch_size=6, **changes)
    for key, value in dict(players).items():
        player, name = key.split(".")
        with config[player].unlocked(), config[player].ignore_type():
            config[player][name] = value
    game = gan.build(config)
    return config, game, jax.jit(functools.partial(core.init, game))(KEY)


def loss_of(game, state, update, batch=None):
    """(value, Out) of the update of that name."""
    nets = core.bind(game, state, train=True)
    (found,) = [u for u in game.updates if u.name == update]
    return found.loss(nets, batch or {"point": POINTS}, KEY, state)


def fake_of(config, state, game, n_keys):
    nets = core.bind(game, state, train=True)
    key_g, _, *keys = jax.random.split(KEY, n_keys)
    fake, _, z = gan.generate(nets["g"], 6, None, key_g, config.latent)
    return nets, fake, z, keys


def test_terms_are_added_with_their_weights(tiny):
    specs = ("r1(weight=3)", "orthogonal(weight=0.5)")
    config, game, state = ready(tiny, players={"critic.penalties": specs})
    plain = ready(tiny)[1]
    nets, *_ = fake_of(config, state, game, 6)
    r1 = penalties.r1(nets["d"], POINTS)
    orthogonal = regularisers.orthogonal(state.params["d"])
    value, out = loss_of(game, state, "d")
    without, _ = loss_of(plain, state, "d")
    np.testing.assert_allclose(value - without, 3 * r1 + orthogonal / 2, rtol=1e-4)
    np.testing.assert_allclose(out.metrics["r1"], r1, rtol=1e-5)
    np.testing.assert_allclose(out.metrics["orthogonal"], orthogonal, rtol=1e-5)


# What the papers, or their authors' code where they are silent, set.
DEFAULTS = {
    "gradient_penalty": {"weight": 10, "one_sided": False},  # 1704.00028
    "dragan": {"weight": 10},  # 1705.07215
    "r1": {"weight": 10},  # 1801.04406, of CelebA
    "r2": {"weight": 10},
    "zero_centred": {"weight": 100},  # 1902.03984
    "lecam": {"weight": 0.3, "decay": 0.99},  # 2104.03310
    "consistency": {"weight": 10, "policy": "translation"},  # 1910.12027
    "balanced_consistency": {"weight": 10, "policy": "translation"},  # 2002.04724
    "latent_consistency": {"weight": 5, "sigma": 0.03},
    "latent_diversity": {"weight": 0.5, "sigma": 0.03},
    "orthogonal": {"weight": 1e-4, "off_diagonal": True},  # 1809.11096
    "historical": {"weight": 1},
    "feature_matching": {"weight": 1, "moments": 1, "alone": True},
}


def test_options_are_the_papers_if_none_is_given():
    factories = stabilisers.TERMS["critic"] | stabilisers.TERMS["generator"]
    found = {
        name: {k: p.default for k, p in inspect.signature(f).parameters.items()}
        for name, f in factories.items()
    }
    assert found == DEFAULTS
    for player, known in stabilisers.TERMS.items():
        for term in stabilisers.make(tuple(known), player, (8, 8, 3)):
            assert term.weight == DEFAULTS[term.name]["weight"] and term.every == 1


IMAGES = jnp.tanh(jax.random.normal(KEY, (6, 16, 16, 1)))
# Of the critic, both sides of a batch, and the term's key.
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
    other = augment.make("diff_augment", policy="translation").apply(x, key, 0)
    return regularisers.consistency(d(x), d(other))


@pytest.mark.parametrize("spec", WANTED)
def test_what_each_term_is_fed_with(tiny, spec):
    specs = {"critic.penalties": (spec,), "critic.dropout": 0.0}
    config, game, state = ready(tiny, "digits", players=specs)
    # A critic steep enough for a one-sided penalty.
    params = jax.tree.map(lambda w: 4 * w, state.params["d"])
    state = state.replace(params={**state.params, "d": params})
    batch = {"image": IMAGES, "label": jnp.zeros(6, jnp.int32)}
    nets, fake, _, (key, *_) = fake_of(config, state, game, 5)
    _, out = loss_of(game, state, "d", batch)
    found = out.metrics[spec.partition("(")[0]]
    expected = WANTED[spec](nets["d"], IMAGES, fake, key)
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    # Another side, or key, is another number.
    others = (fake, IMAGES, key), (IMAGES, fake, jax.random.key(9))
    values = {float(WANTED[spec](nets["d"], *other)) for other in others}
    assert any(abs(value / expected - 1) > 1e-2 for value in values)


@pytest.mark.parametrize(
    "changes, players",
    [
        ({"augment": ("instance_noise(sigma=1.0)",)}, {}),
        ({}, {"critic.dropout": 0.4}),
        ({}, {"critic.dropout": 0.4, "critic.norm": "batch"}),
    ],
)
def test_terms_see_what_the_loss_has_seen(tiny, changes, players):
    """The same noise and the same units dropped, on either side."""
    terms = {"critic.penalties": ("latent_consistency(sigma=0)",)}
    _, game, state = ready(tiny, players=players | terms, **changes)
    _, out = loss_of(game, state, "d")
    np.testing.assert_allclose(out.metrics["latent_consistency"], 0, atol=1e-10)
    nets = core.bind(game, state, train=True)
    inner = game.updates[0].loss.keywords["game"]
    move, *_ = gan.critic_move(nets, {"point": POINTS}, KEY, state, [], game=inner)
    near = functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-5)
    near(move.critic(POINTS), move.on_real)
    near(move.both(POINTS, move.fake)[:2], (move.on_real, move.on_fake))
    near(move.critic(move.fake, as_fake=True), move.on_fake)
    # By itself a fake one would have the draws of a real one.
    assert np.abs(move.critic(move.fake) - move.on_fake).max() > 1e-3


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
def test_the_average_counts_the_generators_moves(tiny, average, expected):
    """With n_critic = 3 the first moves are at steps 2, 5, 8: moves 0, 1, 2."""
    config = tiny("gan", "circle", n_critic=3)
    with config.unlocked(), config.ignore_type():
        config.update(average)
    game = gan.build(config)
    found = [game.nets["g"].ema(jnp.int32(step)) for step in (2, 5, 8, 3000)]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_a_lazy_term_is_a_move_of_its_own(tiny):
    specs = ("r1(weight=2, every=4)",)
    config, game, state = ready(tiny, players={"critic.penalties": specs})
    plain = ready(tiny)[1]
    np.testing.assert_array_equal(
        loss_of(game, state, "d")[0], loss_of(plain, state, "d")[0]
    )
    nets = core.bind(game, state, train=True)
    value, out = loss_of(game, state, "d_r1")
    r1 = penalties.r1(nets["d"], POINTS)
    np.testing.assert_allclose(value, 4 * 2 * r1, rtol=1e-5)
    np.testing.assert_allclose(out.metrics["value"], r1, rtol=1e-5)
    (update,) = [u for u in game.updates if u.name == "d_r1"]
    assert update.trains == ("d",)
    assert [bool(update.when(jnp.int32(i))) for i in range(5)] == [0, 0, 0, 1, 0]
    # Adam's first move is its rate: 1e-3 * 4 / 5, and 1e-3 without.
    for made, rate in ((game, 8e-4), (plain, 1e-3)):
        after, _ = jax.jit(core.make_step(made))(state, {"point": POINTS}, KEY)
        moves = np.abs(
            after.params["d"]["out"]["bias"] - state.params["d"]["out"]["bias"]
        )
        np.testing.assert_allclose(moves, rate, rtol=1e-3)


def test_lazy_terms_of_the_generator_go_by_its_own_moves(tiny):
    """Every second of its moves, which are every third step."""
    specs = ("orthogonal(weight=1, every=2)",)
    _, game, _ = ready(tiny, players={"generator.penalties": specs}, n_critic=3)
    due = {
        u.name: [i for i in range(12) if bool(u.when(jnp.int32(i)))]
        for u in game.updates[1:]
    }
    assert due == {"g": [2, 5, 8, 11], "g_orthogonal": [5, 11]}


def test_lecam_remembers_the_logits(tiny):
    specs = ("lecam(weight=1, decay=0.75)",)
    config, game, state = ready(tiny, players={"critic.penalties": specs})
    nets, fake, *_ = fake_of(config, state, game, 5)
    real = float(nets["d"](POINTS).mean())
    for n in (1, 2):
        _, out = loss_of(game, state, "d")
        state = state.replace(aux={**state.aux, **out.aux})
        # 0.25 of a constant, then 0.25 + 0.75 * 0.25 of it.
        share = {1: 0.25, 2: 0.4375}[n]
        np.testing.assert_allclose(out.aux["d_lecam"]["real"], share * real, rtol=1e-4)
    means = state.aux["d_lecam"]
    expected = regularisers.lecam(
        nets["d"](POINTS), nets["d"](fake), means["real"], means["fake"]
    )
    _, out = loss_of(game, state, "d")
    np.testing.assert_allclose(out.metrics["lecam"], expected, rtol=1e-5)


def test_historical_averaging_pulls_back_to_the_mean_of_the_past(tiny):
    specs = ("historical(weight=1)",)
    both = {"critic.penalties": specs, "generator.penalties": specs}
    config, game, state = ready(tiny, players=both)
    step = jax.jit(core.make_step(game))
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
        # In the last move: the distance from the mean of the two before it.
        before = jax.tree.map(
            lambda a, b: (a + b) / 2, path[0][player], path[1][player]
        )
        expected = regularisers.historical(path[2][player], before)
        found = metrics[f"{player}/historical"]
        np.testing.assert_allclose(found, expected, rtol=2e-2)
        assert found > 0


def test_feature_matching_takes_the_place_of_the_loss(tiny):
    specs = {"generator.penalties": ("feature_matching",)}
    config, game, state = ready(tiny, players=specs)
    nets, fake, *_ = fake_of(config, state, game, 4)
    features = nets["d"].features(POINTS), nets["d"].features(fake)
    distance = matching.feature_matching(*features)
    value, out = loss_of(game, state, "g")
    np.testing.assert_allclose(value, distance, rtol=1e-5)
    assert distance > 1e-4
    beside = {"generator.penalties": ("feature_matching(alone=False, weight=2)",)}
    _, game, _ = ready(tiny, players=beside)
    plain, _ = loss_of(ready(tiny)[1], state, "g")
    value, _ = loss_of(game, state, "g")
    np.testing.assert_allclose(value, plain + 2 * distance, rtol=1e-4)


def test_nearby_latents(tiny):
    specs = {
        "critic.penalties": ("latent_consistency(weight=1, sigma=0.5)",),
        "generator.penalties": ("latent_diversity(weight=1, sigma=0.5)",),
    }
    config, game, state = ready(tiny, players=specs)
    nets, fake, z, (key, *_) = fake_of(config, state, game, 5)
    key = jax.random.split(key)[0]
    other = nets["g"](z + 0.5 * jax.random.normal(key, z.shape))
    _, out = loss_of(game, state, "d")
    expected = regularisers.consistency(nets["d"](fake), nets["d"](other))
    np.testing.assert_allclose(out.metrics["latent_consistency"], expected, rtol=1e-4)
    nets, fake, z, (key, *_) = fake_of(config, state, game, 5)
    key = jax.random.split(key)[0]
    other = nets["g"](z + 0.5 * jax.random.normal(key, z.shape))
    _, out = loss_of(game, state, "g")
    expected = regularisers.latent_diversity(fake, other)
    np.testing.assert_allclose(out.metrics["latent_diversity"], expected, rtol=1e-4)
    assert expected < 0


def test_flipped_labels_exchange_the_sides(tiny):
    config, game, state = ready(tiny, label_flip=1.0)
    nets, fake, *_ = fake_of(config, state, game, 4)
    loss = adversarial.make("non_saturating")
    value, out = loss_of(game, state, "d")
    swapped = loss.critic(nets["d"](fake), nets["d"](POINTS))
    np.testing.assert_allclose(value, swapped, rtol=1e-5)
    assert not np.isclose(swapped, loss.critic(nets["d"](POINTS), nets["d"](fake)))
    # What is logged is what the critic says, whatever it was told.
    np.testing.assert_allclose(out.metrics["real"], nets["d"](POINTS).mean(), rtol=1e-4)


def test_top_k_is_the_loss_of_the_best_fakes(tiny):
    config, game, state = ready(tiny, top_k="top_k(share=0.5, gamma=0.5, interval=1)")
    nets, fake, *_ = fake_of(config, state, game, 3)
    logits = np.sort(nets["d"](fake))[::-1]
    loss = adversarial.make("non_saturating")
    for step, k in ((0, 6), (1, 3), (9, 3)):
        at = state.replace(step=jnp.int32(step))
        value, _ = loss_of(game, at, "g")
        np.testing.assert_allclose(
            value, loss.generator(jnp.array(logits[:k])), rtol=1e-5
        )


def test_a_relativistic_generator_sees_real_data(tiny):
    config, game, state = ready(tiny, loss="relativistic_pairing")
    nets, fake, *_ = fake_of(config, state, game, 3)
    loss = adversarial.make("relativistic_pairing")
    value, _ = loss_of(game, state, "g")
    expected = loss.generator(nets["d"](fake), nets["d"](POINTS))
    np.testing.assert_allclose(value, expected, rtol=1e-5)


def test_noise_on_the_inputs_of_both_sides_decays(tiny):
    noise = ("instance_noise(sigma=1.0, stop=10)",)
    config, game, state = ready(tiny, augment=noise)
    plain = ready(tiny)[1]
    for update in ("d", "g"):
        noisy, _ = loss_of(game, state, update)
        without, _ = loss_of(plain, state, update)
        late = state.replace(step=jnp.int32(10))
        assert abs(noisy - without) > 1e-4
        np.testing.assert_allclose(loss_of(game, late, update)[0], without, rtol=1e-5)


def test_feature_matching_goes_through_the_augmentation(tiny):
    specs = {"generator.penalties": ("feature_matching",)}
    noise = ("instance_noise(sigma=100.0)",)
    _, game, state = ready(tiny, players=specs, augment=noise)
    noisy, _ = loss_of(game, state, "g")
    plain, _ = loss_of(ready(tiny, players=specs)[1], state, "g")
    assert noisy > 2 * plain


def test_a_penalty_goes_through_the_augmentation(tiny):
    """Its critic is the one that the loss has: noise first, then the network."""
    specs = {"critic.penalties": ("r1(weight=1)",)}
    noise = ("instance_noise(sigma=1.0)",)
    _, game, state = ready(tiny, players=specs, augment=noise)
    nets = core.bind(game, state, train=True)
    _, out = loss_of(game, state, "d")
    key_in = jax.random.fold_in(jax.random.split(KEY, 5)[3], 0)
    seen = augment.instance_noise(POINTS, key_in, 1.0)
    np.testing.assert_allclose(
        out.metrics["r1"], penalties.r1(nets["d"], seen), rtol=1e-4
    )
    assert not np.isclose(out.metrics["r1"], penalties.r1(nets["d"], POINTS))


def test_the_adaptive_probability_follows_the_critic(tiny):
    kind = "ada(target=0.0, kimg=0.06, interval=2)"
    config, game, state = ready(tiny, "digits", augment=(kind,))
    batch = {"image": jnp.zeros((6, *config.shape)), "label": jnp.zeros(6, jnp.int32)}
    _, out = loss_of(game, state, "d", batch)
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
        _, out = loss_of(game, at, "d", batch)
        np.testing.assert_allclose(out.aux["ada"]["p"], p, rtol=1e-5)
        np.testing.assert_allclose(out.metrics["ada_p"], p, rtol=1e-5)


@pytest.mark.parametrize(
    "changes, players, message",
    [
        ({}, {"critic.penalties": ("r3",)}, "config.critic.penalties: 'r3' is not one"),
        ({}, {"critic.penalties": ("r1(wieght=1)",)}, "option of r1: 'wieght'"),
        ({}, {"critic.penalties": ("r1(1)",)}, "neither NAME nor"),
        ({}, {"critic.penalties": ("r1", "r1(every=2)")}, "each at most once"),
        ({}, {"critic.penalties": ("r1(every=0)",)}, "every=0 must be at least 1"),
        ({}, {"critic.penalties": ("lecam(every=2)",)}, "keeps a running mean"),
        ({}, {"critic.penalties": ("r1(weight='a')",)}, "weight='a' must be a number"),
        (
            {},
            {"generator.penalties": ("feature_matching(every=2)",)},
            "replaces the loss",
        ),
        (
            {"n_critic_changes": ((5, 2),)},
            {"generator.penalties": ("orthogonal(every=2)",)},
            "change their pace",
        ),
        (
            {"top_k": "top_k"},
            {"generator.penalties": ("feature_matching",)},
            "that feature_matching replaces",
        ),
        (
            {},
            {"critic.equalised": True, "critic.penalties": ("orthogonal",)},
            "config.critic: orthogonal is about the size",
        ),
        ({"n_critic": 0}, {}, "n must be an integer of at least 1, got 0"),
        ({"n_critic_changes": ((5, 2.5),)}, {}, "at least 1, got 2.5"),
        ({}, {"critic.penalties": ("r1(weight=-1)",)}, "weight=-1 must be a number"),
        ({}, {"critic.penalties": ("lecam(decay=1)",)}, "decay=1 must be a number"),
        (
            {},
            {"generator.penalties": ("latent_diversity(sigma=-0.1)",)},
            "sigma=-0.1 must be",
        ),
        (
            {},
            {"critic.penalties": ("latent_consistency(sigma='a')",)},
            "sigma='a' must be a number",
        ),
        ({"ema": 1.0}, {}, r"config.ema=1.0 must be a number in \[0, 1\)"),
        ({"ema_half_life": -5}, {}, "config.ema_half_life=-5 must be a number of at"),
        ({"ema_ramp": 0.0}, {}, "config.ema_ramp=0.0 must be a number above 0"),
        ({}, {"critic.dropout": 1.5}, "config.critic.dropout=1.5 must be a number in"),
        ({}, {"critic.dropout": None}, "config.critic.dropout=None must be a number"),
        ({"n_critic_changes": ((5.5, 2),)}, {}, "must rise from above 0, whole"),
        (
            {},
            {"critic.minibatch": "stddev(group=4)"},
            "group does not divide batch_size=6",
        ),
        ({}, {"critic.penalties": "r1"}, "must be a tuple of strings"),
        ({}, {"generator.penalties": ("r1",)}, "config.generator.penalties: 'r1'"),
        ({}, {"critic.penalties": ("consistency",)}, "for images"),
        ({}, {"generator.penalties": ("feature_matching(moments=3)",)}, "moments=3"),
        ({}, {"critic.norm": "batch", "critic.penalties": ("r1",)}, "norm='batch'"),
        (
            {},
            {"critic.minibatch": "stddev", "critic.penalties": ("dragan",)},
            "dragan is per example.*minibatch='stddev'",
        ),
        ({}, {"critic.norm": "virtual"}, "n_reference=64, got batch_size=6"),
        ({"augment": ("diff_augment",)}, {}, "for images"),
        ({"augment": ("instance_noise",) * 2}, {}, "each at most once"),
        ({"augment": ("noise",)}, {}, "'noise' is not one of"),
        ({"label_flip": 1.5}, {}, "label_flip=1.5"),
        ({"top_k": "top_k(share=0)"}, {}, "share, gamma must be in"),
        ({"top_k": "k"}, {}, "'k' is not one of top_k"),
        (
            {"top_k": "top_k", "loss": "relativistic_average"},
            {},
            "ranks fakes alone; config.loss='relativistic_average'",
        ),
        ({"loss": "hinge(a=1)"}, {}, "hinge"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(tiny, changes, players, message):
    with pytest.raises(ValueError, match=message):
        ready(tiny, players=players, **changes)


def test_ada_needs_logits_with_a_zero(tiny):
    with pytest.raises(
        ValueError, match="has no meaning with config.loss='wasserstein'"
    ):
        ready(tiny, "digits", augment=("ada",), loss="wasserstein")
