"""StyleGAN2: the authors' numbers, lazy terms, inputs, outputs, and exact resume."""

import functools
import json
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import stylegan2 as presets
from experiments import config as configs
from experiments.rundir.checkpoint import Checkpoints
from gans import build as parts
from gans import core, names, optim
from gans.schedules import half_life

KEY = jax.random.key(2)
SCHEDULES = "shared/reference/parity/style/schedules_style.npz"
quick = functools.partial(
    jax.jit, compiler_options={"xla_backend_optimization_level": 0}
)


@pytest.fixture(scope="module")
def schedules():
    path = pathlib.Path(__file__).parents[3] / SCHEDULES
    if not path.exists():
        pytest.skip("the authors' schedules are not in ../shared/reference/parity")
    with np.load(path) as file:
        return {name: file[name] for name in file.files}


def weight(player, name):
    """Of the term of that name; None without it."""
    found = dict(names.named(x, "term") for x in expanded(player.penalties))
    return found[name]["weight"] if name in found else None


def expanded(penalties):
    from experiments.expressions import expand

    return expand(penalties, "penalties")


# Side, batch, group, base, rate, gamma: style_family's row "auto", on one device.
AUTO = [
    ("folder", 64, 32, 4, None, 0.0025, 0.0256),
    ("auto128", 128, 32, 4, 16384, 0.0025, 0.1024),
    ("auto", 256, 16, 4, 16384, 0.0025, 0.8192),
    ("auto512", 512, 8, 4, 32768, 0.0025, 6.5536),
    ("auto1024", 1024, 4, 4, 32768, 0.002, 52.4288),
]


@pytest.mark.parametrize("preset, side, batch, group, base, rate, gamma", AUTO)
def test_auto_is_the_authors_table(preset, side, batch, group, base, rate, gamma):
    config = presets.get_config(preset)
    assert config.resolution == side and config.batch_size == batch
    assert config.discriminator.group == group
    assert config.generator.optimizer.learning_rate == rate
    np.testing.assert_allclose(weight(config.discriminator, "r1"), gamma)
    if base:
        assert config.steps == 25_000_000 // batch
        for player in (config.generator, config.discriminator):
            assert (player.channel_base, player.channel_max) == (base, 512)
    # batch * 10 / 32 thousand images are 312.5 updates at any size.
    assert (config.ema_half_life, config.ema_ramp) == (312.5, 0.05)
    assert config.generator.mapping_layers == 2 and config.augment == ("ada",)


# Batch, group, base, rate, gamma, EMA and length in thousands of images.
PAPER = {
    "paper256": (64, 8, 16384, 0.0025, 1.0, 20, 25_000),
    "paper512": (64, 8, 32768, 0.0025, 0.5, 20, 25_000),
    "paper1024": (32, 4, 32768, 0.002, 2.0, 10, 25_000),
}


@pytest.mark.parametrize("preset", PAPER)
def test_paper_presets_are_the_authors_table(preset):
    batch, group, base, rate, gamma, kimg, total = PAPER[preset]
    config = presets.get_config(preset)
    generator, discriminator = config.generator, config.discriminator
    assert config.batch_size == batch and discriminator.group == group
    assert generator.channel_base == discriminator.channel_base == base
    assert generator.optimizer == discriminator.optimizer
    assert generator.optimizer.learning_rate == rate
    assert weight(discriminator, "r1") == gamma and weight(generator, "path_length")
    assert config.ema_half_life * batch == kimg * 1000 and config.ema_ramp is None
    assert config.steps == total * 1000 // batch and generator.mapping_layers == 8
    assert config.augment == ()


def test_cifar10_has_neither_path_length_nor_mixing():
    config = presets.get_config("cifar10")
    assert config.discriminator.architecture == "orig" and config.batch_size == 64
    assert config.generator.penalties == () and config.generator.mixing == 0
    assert config.discriminator.group == 32
    assert weight(config.discriminator, "r1") == 0.01
    assert config.ema_half_life == 500_000 / 64


@pytest.mark.parametrize(
    "preset, name",
    [("cifar10", "cifar"), ("folder", "auto_batch32"), ("paper256",) * 2],
)
def test_the_average_follows_the_authors(schedules, preset, name):
    """Theirs counts the images before a step, ours those after it."""
    config = presets.get_config(preset)
    decay = half_life(config.ema_half_life, config.ema_ramp)
    images, wanted = schedules["in/cur_nimg"][1:], schedules[f"out/ema_beta/{name}"][1:]
    found = decay(images / config.batch_size - 1)
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)
    late = decay(2 * images / config.batch_size - 1)
    assert np.abs(late - wanted).max() > 1e-3 or config.ema_ramp is None
    update = jnp.int32(99)  # the config's own
    assert parts.ema(config.to_dict(), 1, ())(update) == decay(update)


def test_lazy_adam_is_the_authors(schedules):
    """Updates by our optimiser, and by Adam with their rate and decays."""
    rng, given = (
        np.random.default_rng(0),
        {"learning_rate": 0.0025, "b1": 0, "b2": 0.99},
    )
    gradients = rng.normal(size=(6, 3))
    for interval, _, rate, b1, b2 in schedules["out/adam_lazy"]:
        ours = optim.make("adam", n_updates=9, lazy=(int(interval),), **given)
        plain = optim.make("adam", n_updates=9, **given)
        state, other = ours.init(jnp.zeros(3)), plain.init(jnp.zeros(3))
        m, v = np.zeros(3), np.zeros(3)
        for t, g in enumerate(gradients, 1):
            m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2
            wanted = -rate * (m / (1 - b1**t)) / (np.sqrt(v / (1 - b2**t)) + 1e-8)
            found, state = ours.update(jnp.array(g), state)
            uncorrected, other = plain.update(jnp.array(g), other)
            np.testing.assert_allclose(found, wanted, rtol=1e-5)
            assert np.abs(uncorrected / wanted - 1).min() > 0.04


# --- a small one, in training --------------------------------------------------------


@pytest.fixture(scope="module")
def small(tiny):
    """(config, gan, step, states before each of 18 steps) with ADA."""
    config = tiny("stylegan2", "digits", augment=("ada",))
    gan = configs.build(config)
    step = quick(core.make_step(gan))
    state = quick(functools.partial(core.init, gan))(KEY)
    aux = state.aux | {"ada": state.aux["ada"] | {"p": jnp.float32(0.3)}}
    states = [state.replace(aux=aux)]
    for i in range(18):
        states.append(step(states[-1], batch_of(config, i), KEY)[0])
    return config, gan, step, states


def batch_of(config, i):
    key = jax.random.key(i)
    return {
        "image": jnp.tanh(jax.random.normal(key, (config.batch_size, *config.shape)))
    }


def equal(a, b):
    pairs = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    return all(np.array_equal(x, y) for x, y in pairs)


def remembered(state):
    """p, the running mean of the lengths, and the averages of w."""
    return {
        "p": state.aux["ada"]["p"],
        "mean": state.aux["g_path_length"],
        "w_avg": state.stats["g"]["style"]["w_avg"],
        "ema_w_avg": state.ema["g"]["stats"]["style"]["w_avg"],
    }


@pytest.mark.slow
def test_it_resumes_bit_for_bit_with_all_that_it_remembers(small, tmp_path):
    config, gan, step, states = small
    assert all(jnp.any(x != 0) for x in remembered(states[6]).values())
    checkpoints = Checkpoints(tmp_path, keep=1)
    checkpoints.save(6, states[6], {"stream": 0})
    checkpoints.close()
    template = jax.eval_shape(functools.partial(core.init, gan), KEY)
    state, _ = Checkpoints(tmp_path, keep=1).restore(template)
    assert equal(remembered(state), remembered(states[6]))
    for i in range(6, 18):  # over a path length at 7 and R1 at 15
        state, _ = step(state, batch_of(config, i), KEY)
    assert equal(state, states[-1])
    for name in ("ada", "g_path_length"):  # the control: one of them is lost
        lost = states[6].replace(aux=states[6].aux | {name: states[0].aux[name]})
        state = lost
        for i in range(6, 8):
            state, _ = step(state, batch_of(config, i), KEY)
        assert not equal(state, states[8]), name


@pytest.mark.slow
def test_the_terms_are_due_in_their_last_steps(small):
    *_, states = small
    counts = {name: [int(s.opt[name][0].count) for s in states] for name in ("g", "d")}
    steps = np.arange(19)
    np.testing.assert_array_equal(counts["d"], steps + steps // 16)
    np.testing.assert_array_equal(counts["g"], steps + steps // 4)
    means = [float(s.aux["g_path_length"]) for s in states]
    np.testing.assert_array_equal(np.diff(means) != 0, steps[1:] % 4 == 0)
    averages = [np.asarray(s.stats["g"]["style"]["w_avg"]) for s in states]
    assert all((a != b).any() for a, b in zip(averages, averages[1:], strict=False))


@pytest.mark.slow
def test_truncation_is_an_input_and_samples_are_in_range(small):
    config, gan, _, states = small
    batch = {"image": jnp.zeros((4, *config.shape))}
    inputs = gan.inputs(KEY, batch)
    assert {k: x.shape for k, x in inputs.items()} == {"z": (4, 5), "truncation": (4,)}
    assert (inputs["truncation"] == 1).all()
    sample = quick(functools.partial(core.sample, gan))
    # Far from the start, so that w is not w_avg, and images leave [-1, 1].
    loud = jax.tree.map(lambda x: 3 * x, states[-1].ema["g"])
    state = states[-1].replace(ema={"g": loud})
    whole = sample(state, inputs, KEY)["image"]
    none = sample(state, inputs | {"truncation": jnp.zeros(4)}, KEY)["image"]
    half = sample(state, inputs | {"truncation": jnp.array([1, 0, 1, 0.5])}, KEY)
    assert np.abs(whole).max() == 1
    np.testing.assert_array_equal(half["image"][:2], jnp.stack([whole[0], none[1]]))
    assert not np.array_equal(half["image"][3], whole[3])


def test_labels_are_used_where_they_are_asked_for(tiny):
    config = tiny("stylegan2", "digits", conditional=True)
    gan = configs.build(config)
    inputs = gan.inputs(KEY, {"image": jnp.zeros((5, 1))})
    assert inputs["label"].tolist() == [0, 1, 2, 0, 1] and "truncation" in inputs
    state = jax.eval_shape(functools.partial(core.init, gan), KEY)
    made = jax.eval_shape(functools.partial(core.sample, gan), state, inputs, KEY)
    assert made["label"].shape == (5,)
    batch = batch_of(config, 0) | {"label": jnp.zeros(config.batch_size, jnp.int32)}
    after, _ = jax.eval_shape(core.make_step(gan), state, batch, KEY)
    assert jax.tree.structure(after) == jax.tree.structure(state)
    for player in "gd":
        assert "embed" in json.dumps(jax.tree.map(lambda x: 0, state.params[player]))


def test_what_it_cannot_be(tiny):
    with pytest.raises(ValueError, match="conditional=True needs labels, and the data"):
        config = tiny("stylegan2", "digits", conditional=True)
        spec = config.spec.to_dict()
        with config.unlocked():
            config.spec = {"image": spec["image"]}
        configs.build(config)
    config = configs.override(
        tiny("stylegan2", "digits"),
        {"generator": {"network": "dcgan", "optimizer": "adam(learning_rate=0.001)"}},
    )
    with pytest.raises(ValueError, match="network='dcgan' has no mapping network"):
        configs.build(config)
