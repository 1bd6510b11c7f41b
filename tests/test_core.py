"""The engine, on networks so small that their numbers can be worked out by hand."""

import dataclasses
import functools
import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn

from gans import averaging, core
from gans.core import GAN, SEEDS, Net, Out, Update
from gans.schedules import every

KEY = jax.random.key(7)


class Scale(nn.Module):
    """x [B, 1] -> w x, with w = 2 at the start."""

    @nn.compact
    def __call__(self, x, *, train):
        return x * self.param("w", nn.initializers.constant(2.0), ())


class Mlp(nn.Module):
    """x [B, N] -> [B, features], with batch norm, dropout, or neither."""

    features: int = 1
    norm: bool = False
    dropout: float = 0.0

    @nn.compact
    def __call__(self, x, *, train):
        h = nn.Dense(8)(x)
        if self.norm:
            h = nn.BatchNorm(use_running_average=not train, momentum=0.9)(h)
        self.sow("features", "hidden", h)
        h = nn.Dropout(self.dropout, deterministic=not train)(jnp.tanh(h))
        return nn.Dense(self.features)(h)


def net(module, width=1, lr=0.1, ema=None):
    """A network under SGD: no rounding noise made large, as Adam would."""
    x = jax.ShapeDtypeStruct((1, width), jnp.float32)
    return Net(module, (x,), optax.sgd(lr) if lr else None, ema)


def noise(key, like):
    return jax.random.normal(key, like.shape)


def d_loss(nets, batch, key, state, g="g", d="d"):
    fake = nets[g](noise(key, batch["x"]))
    real_logits, stats = nets[d].mutate(batch["x"])
    value = jnp.mean((real_logits - 1) ** 2) + jnp.mean(nets[d](fake) ** 2)
    return value, Out({"real": real_logits.mean()}, stats={d: stats})


def g_loss(nets, batch, key, state, g="g", d="d"):
    fake, stats = nets[g].mutate(noise(key, batch["x"]))
    return jnp.mean((nets[d](fake) - 1) ** 2), Out(stats={g: stats})


def game(n_critic=1, norm=False, ema=None, **changes):
    gan = GAN(
        nets={"g": net(Mlp(norm=norm), ema=ema), "d": net(Mlp())},
        updates=(
            Update("d", ("d",), d_loss),
            Update("g", ("g",), g_loss, when=every(n_critic)),
        ),
        inputs=lambda key, batch: {"z": noise(key, batch["x"])},
        outputs={"sample": lambda nets, inputs, key: {"x": nets["g"](inputs["z"])}},
    )
    return dataclasses.replace(gan, **changes)


def batches(n, size=16):
    x = jax.random.normal(jax.random.key(3), (n, size, 1)) + 3
    return [{"x": x[i]} for i in range(n)]


def start(gan, seed=0):
    return jax.jit(functools.partial(core.init, gan))(jax.random.key(seed))


def run(gan, n, state=None):
    state = start(gan) if state is None else state
    step = jax.jit(core.make_step(gan))
    history = []
    for batch in batches(n):
        state, metrics = step(state, batch, KEY)
        history.append((state, metrics))
    return state, history


def assert_close(a, b, rtol=1e-5):
    assert jax.tree.structure(a) == jax.tree.structure(b)
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_allclose(x, y, rtol=rtol, atol=1e-6)


def equal(a, b):
    pairs = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    return all(np.array_equal(x, y) for x, y in pairs)


def test_one_update_by_hand():
    # loss = mean((w x)^2) with w = 2 and x = (1, 3): 4 (1 + 9) / 2 = 20.
    # Its gradient is 2 w mean(x^2) = 20; SGD at rate 0.1 takes w to 2 - 2 = 0.
    gan = GAN(
        nets={"d": net(Scale())},
        updates=(
            Update(
                "d", ("d",), lambda n, b, k, s: (jnp.mean(n["d"](b["x"]) ** 2), Out())
            ),
        ),
        inputs=None,
        outputs={},
    )
    state, metrics = core.make_step(gan)(
        start(gan), {"x": jnp.array([[1.0], [3.0]])}, KEY
    )
    assert float(metrics["d/loss"]) == 20
    np.testing.assert_allclose(state.params["d"]["w"], 0, atol=1e-6)
    assert int(state.step) == 1


def test_every_n_updates_the_generator_after_each_nth_batch():
    first = start(game(3))
    _, history = run(game(3), 7, first)
    before = first
    for i, (state, metrics) in enumerate(history):
        due = i in (2, 5)
        assert not equal(before.params["d"], state.params["d"])
        assert equal(before.params["g"], state.params["g"]) != due
        assert equal(before.opt["g"], state.opt["g"])  # SGD keeps nothing
        assert np.isfinite(metrics["g/loss"]) == due
        assert np.isfinite(metrics["d/loss"])
        before = state


def test_a_lazy_update_shares_its_network():
    def decay(nets, batch, key, state):
        squares = jax.tree.map(lambda p: jnp.sum(p**2), nets["d"].params)
        return jax.tree.reduce(jnp.add, squares), Out()

    lazy = game()
    lazy = dataclasses.replace(
        lazy, updates=(*lazy.updates, Update("r", ("d",), decay, when=every(4)))
    )
    _, plain = run(game(), 4)
    _, history = run(lazy, 4)
    assert equal(plain[2][0], history[2][0])
    assert not equal(plain[3][0].params["d"], history[3][0].params["d"])
    # SGD at 0.1 on the sum of squares shrinks the weights by 1 - 0.2.
    shrunk = jax.tree.map(lambda p: 0.8 * p, plain[3][0].params["d"])
    assert_close(shrunk, history[3][0].params["d"])


def test_two_generators_and_two_discriminators_in_one_game():
    """CycleGAN's shape: one update trains two networks at once."""

    def both(nets, batch, key, state):
        ab, out_ab = g_loss(nets, batch, key, state, "g_ab", "d_b")
        ba, out_ba = g_loss(nets, batch, key, state, "g_ba", "d_a")
        cycle = jnp.mean((nets["g_ba"](nets["g_ab"](batch["x"])) - batch["x"]) ** 2)
        return ab + ba + cycle, Out({"cycle": cycle}, out_ab.stats | out_ba.stats)

    gan = GAN(
        nets={name: net(Mlp(), lr=0.01) for name in ("g_ab", "g_ba", "d_a", "d_b")},
        updates=(
            Update("d_a", ("d_a",), functools.partial(d_loss, g="g_ba", d="d_a")),
            Update("d_b", ("d_b",), functools.partial(d_loss, g="g_ab", d="d_b")),
            Update("g", ("g_ab", "g_ba"), both),
        ),
        inputs=None,
        outputs={},
    )
    first = start(gan)
    state, history = run(gan, 40, first)
    for name in gan.nets:
        assert not equal(first.params[name], state.params[name])
    assert history[-1][1]["g/cycle"] < history[0][1]["g/cycle"]


def test_a_frozen_network_stays_and_is_no_constant_of_the_program():
    def loss(nets, batch, key, state):
        return jnp.mean(nets["f"](nets["g"](batch["x"])) ** 2), Out()

    gan = GAN(
        nets={"g": net(Mlp()), "f": net(Mlp(), lr=None)},
        updates=(Update("g", ("g",), loss),),
        inputs=None,
        outputs={},
    )
    first = start(gan)
    state, _ = run(gan, 2, first)
    assert equal(first.params["f"], state.params["f"])
    assert not equal(first.params["g"], state.params["g"])
    assert "f" not in state.opt
    # Other weights of the frozen network, the same compiled step: another loss.
    step = jax.jit(core.make_step(gan))
    other = first.replace(
        params={**first.params, "f": jax.tree.map(jnp.zeros_like, first.params["f"])}
    )
    batch = batches(1)[0]
    assert step(first, batch, KEY)[1]["g/loss"] > 0
    assert step(other, batch, KEY)[1]["g/loss"] == 0
    assert step._cache_size() == 1
    with pytest.raises(ValueError, match="'f', which is frozen"):
        dataclasses.replace(gan, updates=(Update("f", ("f",), loss),))


def test_aux_may_be_made_of_the_first_parameters():
    first = {"twice": lambda params: jax.tree.map(lambda x: 2 * x, params["d"])}
    state = jax.jit(functools.partial(core.init, game(aux=first)))(KEY)
    kernel = state.params["d"]["Dense_0"]["kernel"]
    np.testing.assert_array_equal(state.aux["twice"]["Dense_0"]["kernel"], 2 * kernel)


def test_the_norm_of_the_gradient_is_logged():
    """Of w in the mean of w x: the mean of x, here 2; of an update of nothing, 0."""
    loss = lambda nets, batch, key, state: (nets["s"](batch["x"]).mean(), Out())  # noqa: E731
    none = lambda nets, batch, key, state: (jnp.zeros(()), Out())  # noqa: E731
    gan = game(
        nets={"s": net(Scale())},
        updates=(Update("s", ("s",), loss), Update("watch", (), none)),
    )
    state = core.init(gan, KEY)
    batch = {"x": jnp.array([[1.0], [3.0]])}
    _, metrics = core.make_step(gan)(state, batch, KEY)
    np.testing.assert_allclose(metrics["s/grad_norm"], 2.0, rtol=1e-6)
    assert metrics["watch/grad_norm"] == 0


def test_an_image_pool_in_aux():
    """The discriminator sees fakes of the step before, which the pool passes on."""

    def pooled(nets, batch, key, state):
        value = jnp.mean(nets["d"](state.aux["pool"]) ** 2)
        return value, Out(aux={"pool": nets["g"](batch["x"])})

    gan = game(aux={"pool": jnp.zeros((16, 1))})
    gan = dataclasses.replace(gan, updates=(Update("d", ("d",), pooled),))
    first = start(gan)
    state, history = run(gan, 2, first)
    expected = core.bind(gan, first, train=True)["g"](batches(1)[0]["x"])
    np.testing.assert_allclose(history[0][0].aux["pool"], expected, rtol=1e-5)
    np.testing.assert_allclose(
        history[1][1]["d/loss"],
        jnp.mean(core.bind(gan, history[0][0], train=True)["d"](expected) ** 2),
        rtol=1e-5,
    )


def test_a_controller_at_the_end_of_the_step():
    def after(state, metrics):
        sign = jnp.sign(metrics["d/real"])
        return state.replace(aux={"p": state.aux["p"] + 0.01 * sign})

    gan = game(aux={"p": jnp.float32(0.5)}, after=after)
    state, history = run(gan, 5)
    signs = sum(np.sign(float(metrics["d/real"])) for _, metrics in history)
    np.testing.assert_allclose(state.aux["p"], 0.5 + 0.01 * signs, rtol=1e-6)


def test_stages_over_one_state():
    """Stage 1 trains parameters that stage 0 left alone; both take the same state."""

    def build(stage):
        trains = ("g",) if stage == 0 else ("g", "d")

        def loss(nets, batch, key, state):
            return jnp.mean(nets["d"](nets["g"](batch["x"])) ** 2), Out()

        return game(updates=(Update("u", trains, loss),))

    first = start(build(0))
    middle, _ = run(build(0), 2, first)
    last, _ = run(build(1), 2, middle)
    assert equal(first.params["d"], middle.params["d"])
    assert not equal(middle.params["d"], last.params["d"])
    assert jax.tree.structure(first) == jax.tree.structure(last)
    assert int(last.step) == 4


@pytest.mark.parametrize("n_critic", [1, 3])
def test_scanned_steps_equal_the_loop(n_critic):
    gan = game(n_critic, norm=True, ema=0.9)
    looped, history = run(gan, 6)
    stacked = jax.tree.map(lambda *x: jnp.stack(x), *batches(6))
    step = core.make_step(gan)
    scanned, metrics = jax.jit(
        lambda s, b: jax.lax.scan(lambda s, b: step(s, b, KEY), s, b)
    )(start(gan), stacked)
    assert_close(looped, scanned)
    for i, (_, m) in enumerate(history):
        assert_close(m, jax.tree.map(lambda x, i=i: x[i], metrics))


def test_seeds_in_one_program_equal_single_runs():
    gan = game(2, norm=True, ema=0.9)
    singles = [start(gan, seed) for seed in range(3)]
    many = jax.tree.map(lambda *x: jnp.stack(x), *singles)
    many = many.replace(step=singles[0].step)
    keys = jax.random.split(KEY, 3)
    step = core.make_step(gan)
    together = jax.jit(jax.vmap(step, in_axes=(SEEDS, None, 0), out_axes=(SEEDS, 0)))
    alone = jax.jit(step)
    for batch in batches(4):
        many, _ = together(many, batch, keys)
        singles = [alone(s, batch, k)[0] for s, k in zip(singles, keys, strict=True)]
    assert many.step.shape == ()
    for i, single in enumerate(singles):
        one = jax.tree.map(lambda x, i=i: x[i], many.replace(step=jnp.zeros(3)))
        assert_close(one.replace(step=single.step), single)
    # The lazy branch is still a branch: a select would pay it at each step.
    text = together.lower(many, batch, keys).as_text()
    assert "stablehlo.case" in text


EIGHT_DEVICES = """
import jax, numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec as P
import test_core as t
from gans import averaging, core
assert jax.device_count() == 8
gan = t.game(2, norm=True, ema=0.9)
one, _ = t.run(gan, 4)
mesh = Mesh(np.array(jax.devices()), ("data",))
split, whole = NamedSharding(mesh, P("data")), NamedSharding(mesh, P())
step = jax.jit(core.make_step(gan), donate_argnums=0, out_shardings=whole)
state = jax.device_put(t.start(gan), whole)
for batch in t.batches(4):
    state, metrics = step(state, jax.device_put(batch, split), t.KEY)
t.assert_close(one, state)
print("equal")
"""


def test_eight_devices_equal_one():
    # Batch norm included: the statistics are those of the whole batch.
    flags = f"{os.environ['XLA_FLAGS']} --xla_force_host_platform_device_count=8"
    here = os.path.dirname(__file__)
    path = os.pathsep.join([here, os.path.dirname(here)])
    done = subprocess.run(
        [sys.executable, "-c", EIGHT_DEVICES],
        env={**os.environ, "XLA_FLAGS": flags, "PYTHONPATH": path},
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == "equal", done.stderr


def test_the_whole_state_is_donated_in_one_compilation():
    gan = game(2, norm=True, ema=0.9)
    step = jax.jit(core.make_step(gan), donate_argnums=0)
    state = start(gan)
    for batch in batches(3):
        old = state
        state, _ = step(old, batch, KEY)
        assert all(leaf.is_deleted() for leaf in jax.tree.leaves(old))
    assert step._cache_size() == 1


def test_keys_differ_between_steps_and_updates_and_repeat_between_runs():
    def loss(nets, batch, key, state):
        u = jax.random.uniform(key)
        return jnp.sum(nets["d"](batch["x"])) * 0, Out({"u": u})

    gan = game(updates=(Update("a", ("d",), loss), Update("b", ("d",), loss)))
    drawn = [float(m[f"{name}/u"]) for _, m in run(gan, 3)[1] for name in "ab"]
    assert len(set(drawn)) == 6
    again = [float(m[f"{name}/u"]) for _, m in run(gan, 3)[1] for name in "ab"]
    assert drawn == again


def test_a_call_drops_the_stats_that_mutate_returns():
    gan = game(norm=True)
    bound = core.bind(gan, start(gan), train=True)["g"]
    x = 5 + jnp.arange(4.0)[:, None]
    out, stats = bound.mutate(x)
    np.testing.assert_array_equal(bound(x), out)
    assert not equal(stats, bound.stats)
    # In training the batch's own statistics count, otherwise the running ones.
    frozen = core.bind(gan, start(gan), train=False)["g"]
    assert not np.allclose(frozen(x), out)
    assert equal(frozen.mutate(x)[1], bound.stats)


def test_one_writer_of_stats_per_network():
    gan = game(norm=True)
    twice = (*gan.updates, Update("again", ("g",), g_loss))
    step = core.make_step(dataclasses.replace(gan, updates=twice))
    with pytest.raises(ValueError, match="'g' and 'again' both write the stats of 'g'"):
        step(start(gan), batches(1)[0], KEY)


@pytest.mark.parametrize("n_critic", [1, 3])
def test_the_average_takes_parameters_and_batch_statistics(n_critic):
    """Sampling with averaged weights but raw statistics is a known silent bug."""
    gan = game(n_critic, norm=True, ema=0.75)
    first = start(gan)
    average = {"params": first.params["g"], "stats": first.stats["g"]}
    assert equal(first.ema["g"], average)
    state, history = run(gan, 6, first)
    for i, (now, _) in enumerate(history):
        if (i + 1) % n_critic == 0:  # the steps in which g is updated
            new = {"params": now.params["g"], "stats": now.stats["g"]}
            average = jax.tree.map(lambda a, b: 0.75 * a + 0.25 * b, average, new)
        assert_close(average, now.ema["g"])
    # `sample` uses both; raw statistics would give other samples.
    inputs = gan.inputs(KEY, {"x": jnp.zeros((4, 1))})
    drawn = core.sample(gan, state, inputs, KEY)["x"]
    by_hand = core.Bound(
        gan.nets["g"].module, average["params"], average["stats"], train=False
    )(inputs["z"])
    np.testing.assert_allclose(drawn, by_hand, rtol=1e-4, atol=1e-5)
    wrong = core.Bound(
        gan.nets["g"].module, average["params"], state.stats["g"], train=False
    )(inputs["z"])
    assert not np.allclose(drawn, wrong, rtol=1e-4, atol=1e-5)


def test_recalibrated_statistics_are_those_of_the_averaged_weights():
    gan = game(norm=True, ema=0.9)
    state = core.init(gan, KEY)
    moved = jax.tree.map(lambda x: x + 3, state.params["g"])
    average = {**state.ema["g"], "params": moved}
    state = state.replace(ema={"g": average})
    again = jax.jit(
        functools.partial(
            averaging.recalibrate,
            gan,
            n=200,
            examples=lambda i: {"x": jnp.zeros((512, 1))},
        )
    )
    found = again(state, KEY)
    assert set(found.ema) == {"g"}
    # The hidden layer of z ~ N(0, 1) has mean b and variance w^2.
    dense = moved["Dense_0"]
    stats = found.ema["g"]["stats"]["batch_stats"]["BatchNorm_0"]
    np.testing.assert_allclose(stats["mean"], dense["bias"], atol=0.15)
    np.testing.assert_allclose(stats["var"], dense["kernel"][0] ** 2, rtol=0.05)
    for name in ("params", "opt", "stats"):
        for a, b in zip(
            jax.tree.leaves(getattr(found, name)),
            jax.tree.leaves(getattr(state, name)),
            strict=True,
        ):
            np.testing.assert_array_equal(a, b)
    assert np.abs(average["stats"]["batch_stats"]["BatchNorm_0"]["mean"]).max() == 0


def test_the_decay_may_be_a_schedule():
    gan = game(ema=lambda step: jnp.where(step < 2, 0.0, 1.0))
    _, history = run(gan, 4)
    assert_close(history[1][0].ema["g"]["params"], history[1][0].params["g"])
    assert equal(history[1][0].ema["g"], history[3][0].ema["g"])


def test_dropout_wants_a_key_and_features_have_names():
    gan = game(nets={"g": net(Mlp()), "d": net(Mlp(dropout=0.5))})
    state = start(gan)
    bound = core.bind(gan, state, train=True)["d"]
    x = jnp.ones((4, 1))
    assert not np.allclose(bound(x, key=KEY), bound(x, key=jax.random.key(1)))
    hidden = core.bind(gan, state, train=False)["d"].features(x)["hidden"]
    dense = state.params["d"]["Dense_0"]
    np.testing.assert_allclose(hidden, x @ dense["kernel"] + dense["bias"], rtol=1e-5)
    assert "features" not in state.stats["d"]


def test_a_module_names_its_random_streams():
    """The first has the pass's own key, the second another; without names: dropout."""

    class Noisy(nn.Module):
        streams = ("noise", "mixing")

        @nn.compact
        def __call__(self, x, *, train):
            of = [jax.random.normal(self.make_rng(name), ()) for name in self.streams]
            return x * self.param("w", nn.initializers.ones, ()) + jnp.stack(of)

    noisy = net(Noisy())
    assert noisy.rngs == ("noise", "mixing") and net(Mlp()).rngs == ("dropout",)
    gan = GAN({"g": noisy}, (), lambda key, batch: {}, {})
    g = core.bind(gan, core.init(gan, KEY), train=True)["g"]
    first, second = (
        g(jnp.zeros((1, 2)), key=key)[0] for key in (KEY, jax.random.key(8))
    )
    assert len({*map(float, (*first, *second))}) == 4
    assert jnp.array_equal(first, g(jnp.zeros((1, 2)), key=KEY)[0])
    assert core.streams(KEY, noisy.rngs)["noise"] is KEY


def test_a_game_is_checked_when_it_is_made():
    u = Update("d", ("d",), d_loss)
    with pytest.raises(ValueError, match="names must differ"):
        game(updates=(u, u))
    with pytest.raises(ValueError, match="'x', which is not a network.*'d', 'g'"):
        game(updates=(Update("d", ("x",), d_loss),))
