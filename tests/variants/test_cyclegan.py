"""CycleGAN: the authors' two steps, the pool, one pass of the generators."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import config as configs
from experiments.contracts.trial import equal, random_batch
from experiments.rundir.checkpoint import Checkpoints
from gans import core, optim
from gans.data import spec as specs
from gans.data.spec import Field
from gans.networks import patch, translator
from gans.variants import cyclegan

KEY = jax.random.key(6)
quick = functools.partial(
    jax.jit, compiler_options={"xla_backend_optimization_level": 0}
)


def image(*shape):
    return Field("image", shape, "uint8")


def ready(tiny, **changes):
    """(config, GAN, state, batch) of a small game."""
    config = configs.override(tiny("cyclegan"), changes)
    gan = configs.build(config)
    spec = specs.from_json(config.spec.to_dict())
    state = quick(functools.partial(core.init, gan))(KEY)
    return config, gan, state, random_batch(spec, config.batch_size)


# --- the authors' numbers ------------------------------------------------------------

# Their D_A judges what their G_A makes, images of side b.
NETWORKS = {
    "g_ab": ("G_A", translator.from_torch),
    "g_ba": ("G_B", translator.from_torch),
    "d_b": ("D_A", patch.from_torch),
    "d_a": ("D_B", patch.from_torch),
}
# {ours: (theirs, what ours is multiplied by)}
LOSSES = {
    "g/adversarial_b": ("G_A", 1),
    "g/adversarial_a": ("G_B", 1),
    "g/cycle_a": ("cycle_A", 10),
    "g/cycle_b": ("cycle_B", 10),
    "g/identity_b": ("idt_A", 5),
    "g/identity_a": ("idt_B", 5),
    "d_b/loss": ("D_A", 1),
    "d_a/loss": ("D_B", 1),
}


def theirs(reference, factor=1.0, **changes):
    """Our game with the options of the authors' run."""
    adam = {"name": "adam", "learning_rate": 2e-4, "b1": 0.5}
    parts = {
        role: {"network": network, "optimizer": adam, **module.from_torch(state)[0]}
        for role, network, module, state in (
            ("generator", "translator", translator, reference.state("G_A")),
            ("discriminator", "patch", patch, reference.state("D_A")),
        )
    }
    config = {
        "loss": {"name": "least_squares", "factor": factor},
        "cycle": 10.0,
        "identity": 5.0,
        "pool": 50,
        "augment": (),
        "ema": 0.0,
        "batch_size": 1,
        "steps": 2,
        "dtype": "float64",
        **parts,
    }
    spec = {side: image(*reference.shape) for side in "ab"}
    with jax.enable_x64(True):  # for the pools
        return cyclegan.build(config | changes, spec)


def losses_error(reference, metrics):
    """The largest error of a loss, as a share of it."""
    return max(
        abs(factor * found[ours] / expected[name] - 1)
        for found, expected in zip(metrics, reference.losses, strict=True)
        for ours, (name, factor) in LOSSES.items()
        if ours in found
    )


@pytest.mark.slow
def test_two_steps_are_the_authors(two_steps):
    """And with other weights they are not: the negative controls."""
    reference = two_steps("cyclegan_two_steps")
    build = functools.partial(theirs, reference)
    settings = {"cycle": 10.0, "factor": 1.0}, {"cycle": 9.0, "factor": 1.0}
    settings += ({"cycle": 10.0, "factor": 0.5},)
    same, *others = reference.train(build, NETWORKS, *settings)
    state, metrics = same
    assert metrics[0].keys() >= LOSSES.keys()
    assert losses_error(reference, metrics) < 1e-6
    assert reference.error(state, NETWORKS) < 1e-6
    for state, _ in others:
        assert reference.error(state, NETWORKS) > 1e-5


@pytest.mark.slow
def test_discriminators_first_have_other_numbers(two_steps):
    """As would fakes that are made after the generators' update: a negative control."""
    reference = two_steps("cyclegan_two_steps")
    gan = theirs(reference)
    gan = dataclasses.replace(gan, updates=(*gan.updates[1:], gan.updates[0]))
    ((_, metrics),) = reference.train(lambda: gan, NETWORKS, {})
    assert losses_error(reference, metrics) > 1e-3


@pytest.mark.parametrize("schedule, close", [("half_linear", True), ("linear", False)])
def test_the_rate_falls_as_the_authors(rules, schedule, close):
    """Theirs by the epoch, ours by the step: 2 % of the rate apart at most."""
    key = "n_epochs=100,n_epochs_decay=100,lr=0.0002,epoch_count=1"
    theirs = np.array(rules["lr_by_epoch"][key])
    tx = optim.make("sgd", learning_rate=2e-4, n_updates=800, schedule=schedule)

    def update(state, _):
        delta, state = tx.update(jnp.float32(-1), state)
        return state, delta

    _, ours = jax.lax.scan(update, tx.init(jnp.float32(0)), length=800)
    ours = np.asarray(ours).reshape(200, 4).mean(axis=1)
    assert (np.abs(ours - theirs).max() < 0.02 * 2e-4) == close


# --- the pool ------------------------------------------------------------------------


def replayed(trace, query):
    """What our pool returns for the queries of a trace, and their draws."""
    size = trace["pool_size"]
    held = jnp.full((size, 1), -1.0), jnp.int32(0)
    returned = []
    for asked in trace["queries"]:
        draws = list(asked["draws"])
        answer = []
        for given in asked["given"]:
            p, place = 0.0, 0
            if held[1] == size:
                p = draws.pop(0)[1]
                place = draws.pop(0)[1] if p > 0.5 else 0
            held, out = query(*held, jnp.full(1, float(given)), p, place)
            answer.append(int(out[0]))
        assert draws == []
        returned.append(answer)
    return returned


def test_the_pool_answers_as_the_authors(rules):
    for trace in rules["image_pool"]:
        if trace["pool_size"]:
            expected = [asked["returned"] for asked in trace["queries"]]
            assert replayed(trace, jax.jit(cyclegan.query)) == expected

            def other(images, n, fake, p, place):
                return cyclegan.query(images, n, fake, 1 - p, place)

            full = any(asked["draws"] for asked in trace["queries"])
            assert (replayed(trace, other) != expected) == full


def test_a_pool_of_none_shows_what_is_new():
    pool = {"images": jnp.zeros((0, 2)), "n": jnp.int32(0), "shown": jnp.zeros((3, 2))}
    fakes = jnp.ones((3, 2))
    np.testing.assert_array_equal(cyclegan.exchange(pool, fakes, KEY)["shown"], fakes)


def test_half_of_what_a_full_pool_shows_is_old():
    """Image by image, not batch by batch: both kinds within a batch."""
    size, n = 50, 64
    pool = {
        "images": -jnp.ones((size, 1)),
        "n": jnp.int32(size),
        "shown": jnp.zeros((n, 1)),
    }
    fakes = 1.0 + jnp.arange(n)[:, None]
    after = cyclegan.exchange(pool, fakes, KEY)
    shown = np.ravel(after["shown"])
    old = int((shown != np.ravel(fakes)).sum())
    assert abs(old - n / 2) < 4 * (n / 4) ** 0.5
    # Nothing is lost and nothing is there twice.
    kept = np.concatenate([np.ravel(after["images"]), shown])
    expected = np.concatenate([-np.ones(size), np.ravel(fakes)])
    gone = sorted(kept[kept > 0])
    assert gone == sorted(set(gone)) and (kept == -1).sum() == size
    assert len(kept) == len(expected)


@pytest.fixture(scope="module")
def pooled(tiny):
    """(step, config, GAN, state, batch) of a game whose pools are full in two steps."""
    config, gan, state, batch = ready(tiny, pool=6)
    return quick(core.make_step(gan)), config, gan, state, batch


@pytest.mark.slow
def test_a_pool_fills_before_it_gives(pooled):
    step, config, _, state, batch = pooled
    n = config.batch_size
    for i in range(3):
        state, _ = step(state, batch, KEY)
        pool = state.aux["pool_b"]
        assert int(pool["n"]) == min(n * (i + 1), 6)
        assert pool["shown"].shape == (n, *config.spec["b"].shape)
        if i == 0:
            np.testing.assert_array_equal(pool["shown"], pool["images"][:n])


@pytest.mark.slow
def test_a_half_full_pool_is_resumed_bit_for_bit(pooled, tmp_path):
    step, _, gan, state, batch = pooled
    state, _ = step(state, batch, KEY)
    assert 0 < int(state.aux["pool_a"]["n"]) < 6
    checkpoints = Checkpoints(tmp_path, keep=1)
    checkpoints.save(1, state, {"stream": 0})
    checkpoints.close()
    template = jax.eval_shape(functools.partial(core.init, gan), KEY)
    restored, _ = Checkpoints(tmp_path, keep=1).restore(template)
    for _ in range(3):
        state, restored = (step(x, batch, KEY)[0] for x in (state, restored))
    assert equal(state, restored)
    empty = restored.replace(
        aux=jax.tree.map(jnp.zeros_like, restored.aux), step=state.step
    )
    assert not equal(step(state, batch, KEY)[0], step(empty, batch, KEY)[0])


# --- what a step costs ---------------------------------------------------------------


def flops(f, *args):
    return quick(f).lower(*args).compile().cost_analysis()["flops"]


@pytest.mark.slow
def test_fakes_are_made_once(tiny):
    """The discriminators' updates make no pass of a generator."""
    _, gan, state, batch = ready(tiny)
    step = core.make_step(gan)
    alone = core.make_step(dataclasses.replace(gan, updates=gan.updates[:1]))
    others = core.make_step(dataclasses.replace(gan, updates=gan.updates[1:]))
    whole, g, d = (flops(f, state, batch, KEY) for f in (step, alone, others))
    assert whole < 1.02 * (g + d)
    nets = core.bind(gan, state, train=True)
    forward = flops(lambda x: nets["g_ab"](x, key=KEY), batch["a"])
    one_d = flops(lambda x: nets["d_b"](x, key=KEY), batch["b"])
    # Two discriminators with two passes forward, and two passes back each.
    assert d < 2 * 2 * 3.5 * one_d + 0.5 * forward


# --- its options ---------------------------------------------------------------------


@pytest.mark.slow
def test_terms_of_both_discriminators(tiny):
    penalties = ("r1(weight=1.0)", "gradient_penalty(every=2)")
    _, gan, state, batch = ready(tiny, **{"discriminator.penalties": penalties})
    names = [update.name for update in gan.updates]
    lazy = [f"d_{side}_gradient_penalty" for side in "ab"]
    assert names == ["g", "d_a", lazy[0], "d_b", lazy[1]]
    step = quick(core.make_step(gan))
    for _ in range(2):
        state, metrics = step(state, batch, KEY)
    for side in "ab":
        assert metrics[f"d_{side}/r1"] > 0
        assert np.isfinite(metrics[f"d_{side}_gradient_penalty/value"])


def test_a_cycle_goes_there_and_back(tiny):
    _, gan, state, batch = ready(tiny)
    inputs = gan.inputs(KEY, batch)
    sample = quick(functools.partial(core.sample, gan), static_argnums=3)
    there = sample(state, inputs, KEY, "a_to_b")["b"]
    back = sample(state, {"a": batch["a"], "b": there}, KEY, "b_to_a")["a"]
    np.testing.assert_allclose(
        sample(state, inputs, KEY, "cycle_a")["a"], back, atol=1e-4
    )


def test_sides_of_other_shapes_have_no_identity(tiny):
    config = tiny("cyclegan")
    spec = {"a": image(32, 32, 1), "b": image(32, 32, 3)}
    config = configs.override(config, {"spec": specs.to_json(spec)})
    with pytest.raises(ValueError, match="identity=5.0 needs sides of one shape"):
        configs.build(config)
    gan = configs.build(configs.override(config, {"identity": 0.0}))
    state = jax.eval_shape(functools.partial(core.init, gan), KEY)
    made = jax.eval_shape(
        functools.partial(core.sample, gan, output="a_to_b"),
        state,
        random_batch(spec, 2),
        KEY,
    )
    assert made["b"].shape == (2, 32, 32, 3)


# --- it learns -----------------------------------------------------------------------


def sides(key, n=8):
    """Smooth pictures, dark ones (a) and bright ones (b), unrelated: [n, 16, 16, 3]."""
    keys = jax.random.split(key)
    coarse = jax.random.uniform(keys[0], (2, n, 4, 4, 3), minval=-0.4, maxval=0.4)
    x = jax.image.resize(coarse, (2, n, 16, 16, 3), "linear")
    return {"a": x[0] - 0.5, "b": x[1] + 0.5}


@pytest.mark.slow
def test_it_learns_to_brighten_and_keeps_the_content(tiny):
    spec = specs.to_json({side: image(16, 16, 3) for side in "ab"})
    options = {"learning_rate": 2e-3, "schedule": "constant"}
    changes = {
        f"{role}.optimizer.{name}": value
        for role in ("generator", "discriminator")
        for name, value in options.items()
    }
    # Normalisation of the image itself would hide its brightness.
    changes |= {"discriminator.n_layers": 1, "identity": 0.0, "spec": spec}
    config = configs.override(tiny("cyclegan"), changes)
    gan = configs.build(config)
    state = jax.jit(functools.partial(core.init, gan))(KEY)

    def body(state, key):
        return core.make_step(gan)(state, sides(key, config.batch_size), KEY)

    keys = jax.random.split(jax.random.key(1), 300)
    state, metrics = jax.jit(lambda state: jax.lax.scan(body, state, keys))(state)
    held_out = sides(jax.random.key(2))
    sample = jax.jit(functools.partial(core.sample, gan), static_argnums=3)
    made = sample(state, held_out, KEY, "a_to_b")["b"]
    again = sample(state, held_out, KEY, "cycle_a")["a"]
    assert abs(made.mean() - 0.5) < 0.25, made.mean()
    assert abs(again.mean() + 0.5) < 0.25, again.mean()
    # Mean brightness would do for the above; the content has gone there and back.
    alike = np.corrcoef(np.ravel(again), np.ravel(held_out["a"]))[0, 1]
    assert alike > 0.3, alike
