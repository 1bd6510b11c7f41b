"""StyleGAN3: the authors' settings, what is remembered, and what is refused."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import stylegan3 as presets
from experiments import config as configs
from experiments.rundir.checkpoint import Checkpoints
from gans import core

KEY = jax.random.key(2)
quick = functools.partial(
    jax.jit, compiler_options={"xla_backend_optimization_level": 0}
)


@pytest.mark.parametrize("side, gamma", [(128, 0.5), (256, 2), (512, 8), (1024, 32)])
def test_presets_are_the_authors_table(side, gamma):
    for kind, base, most in (("t", 32768, 512), ("r", 65536, 1024)):
        config = presets.get_config(f"{kind}{side}")
        generator, discriminator = config.generator, config.discriminator
        assert config.resolution == side and config.batch_size == 32
        assert config.steps == 25_000_000 // 32 and config.latent == 512
        assert (config.ema_half_life, config.ema_ramp) == (312.5, 0.05)
        assert (generator.channel_base, generator.channel_max) == (base, most)
        assert (discriminator.channel_base, discriminator.channel_max) == (32768, 512)
        assert generator.rotation == (kind == "r") and generator.depth == 14
        rates = [x.optimizer.learning_rate for x in (generator, discriminator)]
        assert rates == [0.0025, 0.002] and generator.penalties == ()
        assert discriminator.penalties == (f"r1(weight={gamma:g}, every=16)",)
        # 200,000 images.
        sigma = 5 if side == 128 else 10
        blur = (f"fading_blur(sigma={sigma}, stop=6250)",) if kind == "r" else ()
        assert config.augment == (*blur, "ada")


@pytest.fixture(scope="module")
def small(tiny):
    """(config, gan, step, states before each of 4 steps)."""
    config = tiny("stylegan3", "digits_r")
    gan = configs.build(config)
    step = quick(core.make_step(gan))
    states = [quick(functools.partial(core.init, gan))(KEY)]
    for i in range(4):
        states.append(step(states[-1], batch_of(config, i), KEY)[0])
    return config, gan, step, states


def batch_of(config, i):
    shape = (config.batch_size, *config.shape)
    return {"image": jnp.tanh(jax.random.normal(jax.random.key(i), shape))}


def equal(a, b):
    pairs = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    return all(np.array_equal(x, y) for x, y in pairs)


@pytest.mark.slow
def test_it_resumes_bit_for_bit_with_its_magnitudes(small, tmp_path):
    config, gan, step, states = small
    assert not equal(
        states[0].stats["g"]["magnitude"], states[1].stats["g"]["magnitude"]
    )
    assert equal(states[0].stats["g"]["fourier"], states[4].stats["g"]["fourier"])
    assert equal(
        states[0].ema["g"]["stats"]["fourier"], states[4].stats["g"]["fourier"]
    )
    checkpoints = Checkpoints(tmp_path, keep=1)
    checkpoints.save(2, states[2], {"stream": 0})
    checkpoints.close()
    template = jax.eval_shape(functools.partial(core.init, gan), KEY)
    state, _ = Checkpoints(tmp_path, keep=1).restore(template)
    lost = state.stats["g"] | {"magnitude": states[0].stats["g"]["magnitude"]}
    lost = state.replace(stats=state.stats | {"g": lost})
    for i in (2, 3):
        state, lost = (step(s, batch_of(config, i), KEY)[0] for s in (state, lost))
    assert equal(state, states[4])
    assert not equal(lost, states[4])


@pytest.mark.slow
def test_truncation_is_an_input(small):
    config, gan, _, states = small
    inputs = gan.inputs(KEY, {"image": jnp.zeros((4, *config.shape))})
    sample = quick(functools.partial(core.sample, gan))
    whole = sample(states[-1], inputs, KEY)["image"]
    none = sample(states[-1], inputs | {"truncation": jnp.zeros(4)}, KEY)["image"]
    assert whole.shape == (4, *config.shape) and np.abs(whole).max() <= 1
    assert np.allclose(none, none[:1], atol=1e-6) and not np.allclose(whole, none)


def test_what_it_cannot_be(tiny):
    """All of it is told while a program is traced, before one is compiled."""

    def traced(config):
        return jax.eval_shape(functools.partial(core.init, configs.build(config)), KEY)

    config = tiny("stylegan3", "digits")
    with config.unlocked():
        config.spec.image.shape = (48, 48, 1)
    with pytest.raises(ValueError, match="images of 48x48; accepted are squares of 8"):
        traced(config)
    config = tiny("stylegan3", "digits")
    config.generator.depth = 2
    with pytest.raises(ValueError, match="depth=2.*at least 3"):
        traced(config)
    config = tiny("stylegan3", "digits", conditional=True)
    with config.unlocked():
        config.spec = {"image": config.spec.to_dict()["image"]}
    with pytest.raises(ValueError, match="conditional=True needs labels"):
        configs.build(config)
