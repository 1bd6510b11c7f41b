"""Every game of two players with every stabiliser: steps, and exact resume.

    python -m pytest tests/variants/test_crossing.py --all-pairs

tries all pairs; without the flag each stabiliser is tried with one variant.
"""

import functools
import importlib
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs.ablations import mode_collapse
from experiments import config as configs
from experiments.rundir.checkpoint import Checkpoints
from gans import core, names, networks
from gans.layers import Layers

ROOT = pathlib.Path(__file__).parent.parent.parent
VARIANTS = sorted(
    p.stem
    for p in (ROOT / "gans" / "variants").glob("*.py")
    if p.stem not in ("__init__", "gan3d", "tgan")  # of other data
    and configs.is_game(
        importlib.import_module(f"configs.{p.stem}").get_config().to_dict()
    )
)
KEY = jax.random.key(3)
# Little effort goes into compiling steps that run three times.
quick = functools.partial(
    jax.jit, compiler_options={"xla_backend_optimization_level": 0}
)
# Beside those of the ablation: lazy terms, and stabilisers for images only.
MORE = {
    "lazy_r1": {
        "discriminator.penalties": ("gradient_penalty", "r1(weight=1, every=2)")
    },
    "lazy_generator": {"generator.penalties": ("orthogonal(every=2)",)},
    "ada": {"augment": ("ada(kimg=0.01, interval=1)",)},
    "two_augments": {"augment": ("diff_augment", "instance_noise(sigma=0.1)")},
    "latent_diversity": {"generator.penalties": ("latent_diversity",)},
    "moment_matching": {
        "generator.penalties": ("feature_matching(moments=2, alone=False)",)
    },
    "half_life": {"ema_half_life": 10},
    "n_critic_changes": {"n_critic_changes": ((1, 2), (3, 1))},
    "adamw": {
        "discriminator.optimizer": {"name": "adamw", "learning_rate": 1e-4, "warmup": 2}
    },
    "both_labels_smooth": {"loss": "minimax(smooth_real=0.1, smooth_fake=0.1)"},
    "plain_orthogonal": {
        "discriminator.penalties": ("orthogonal(off_diagonal=False)",)
    },
}


def stabilised(tiny, variant, name):
    config = tiny(variant, "digits")
    changes = dict((mode_collapse.arms(config) | MORE)[name])
    if variant == "wgan_gp" and "discriminator.penalties" in changes:
        own = ("gradient_penalty", *changes["discriminator.penalties"])
        others = [x for x in own[1:] if not x.startswith("gradient_penalty")]
        changes["discriminator.penalties"] = tuple(own[:1] + tuple(others))
    config = configs.override(config, changes)
    # In the few steps of the test every player shall be updated.
    config.n_critic = min(config.n_critic, 2)
    for role in ("generator", "discriminator"):
        if config[role].get("norm") == "virtual":
            norm = {f"{role}.norm": {"name": "virtual", "n_reference": 4}}
            config = configs.override(config, norm)
    return config


def name_of(value):
    """The name in NAME or {"name": NAME, ...}; None stays None."""
    return value if value is None else names.named(value, "")[0]


def rejection(config):
    """A part of the error for a pair that is incompatible; None for the others."""
    discriminator, generator = config.discriminator, config.generator
    if config.variant == "lsgan" and name_of(config.loss) != "least_squares":
        return "loss of LSGAN: must be 'least_squares'"
    if config.variant in ("wgan", "wgan_gp") and config.loss != "wasserstein":
        return "loss of WGAN.*: must be 'wasserstein'"
    if config.variant == "wgan" and discriminator.optimizer.get("clip") is None:
        return "WGAN needs clipping"
    if config.variant in ("sngan", "sagan") and not discriminator.spectral:
        return "spectral"
    for player in (discriminator, generator):
        if player.optimizer.name == "rmsprop" and "b1" in player.optimizer:
            return "optimiser rmsprop has no option 'b1'"
        if player.get("spectral") and player.get("equalised"):
            return "equalised"
        if player.get("equalised") and "clip" in player.optimizer:
            return "equalised kernels"
        role = "Generator" if player is generator else "Discriminator"
        if getattr(networks.find(role, player.network), "layers", Layers()).equalised:
            limits = {"clip", "clip_singular"} & {*player.optimizer}
            if limits or "orthogonal" in map(name_of, player.penalties):
                return "equalised kernels"
        conditional = player.get("condition") == "projection"
        if (
            conditional
            and player.get("norm", "batch") != "batch"
            and player is generator
        ):
            return "condition|norm"
        if player.get("condition") and name_of(player.get("norm")) == "virtual":
            return "condition"
    for role in ("generator", "discriminator"):
        known = networks.options_of(
            networks.find(role.capitalize(), config[role].network)
        )
        of_layers = {*names.options_of(Layers)} & {*config[role]} - {*known}
        if any(config[role][option] for option in of_layers):
            return "has no option"
    if config.loss == "wasserstein" and "ada" in map(name_of, config.augment):
        return "has no meaning with a Wasserstein"
    slopes = ("gradient_penalty", "dragan", "r1", "r2", "zero_centred")
    if discriminator.get("norm") == "batch" and {*slopes} & {
        *map(name_of, discriminator.penalties)
    }:
        return "with respect to its own example"
    return None


def pairs(sampled):
    """(variant, stabiliser): all; or each stabiliser once, mostly with GAN."""
    config = importlib.import_module("configs.dcgan").get_config("digits")
    known = list(mode_collapse.arms(config) | MORE)
    if not sampled:
        return [(variant, name) for variant in VARIANTS for name in known]
    others = [v for v in VARIANTS if v != "gan"]
    return [
        ("gan" if i % 5 else others[i // 5 % len(others)], name)
        for i, name in enumerate(known)
    ]


def pytest_generate_tests(metafunc):
    if "stabiliser" in metafunc.fixturenames:
        chosen = pairs(sampled=not metafunc.config.getoption("--all-pairs"))
        metafunc.parametrize("variant, stabiliser", chosen, ids=map("-".join, chosen))


def batch_of(config, i):
    key = jax.random.key(i)
    x = jnp.tanh(jax.random.normal(key, (config.batch_size, *config.shape)))
    label = jax.random.randint(key, (config.batch_size,), 0, config.n_classes)
    return {"image": x, "label": label}


def equal(a, b):
    assert jax.tree.structure(a) == jax.tree.structure(b)
    pairs = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    return all(  # metrics of updates that were not due are NaN
        x.dtype == y.dtype and np.array_equal(x, y, equal_nan=True) for x, y in pairs
    )


@pytest.mark.slow
def test_a_pair_steps_and_resumes(tiny, variant, stabiliser, tmp_path):
    config = stabilised(tiny, variant, stabiliser)
    reason = rejection(config)
    if reason is not None:
        with pytest.raises(ValueError, match=reason):
            configs.build(config)
        return
    gan = configs.build(config)
    state = quick(functools.partial(core.init, gan))(KEY)
    step = quick(core.make_step(gan))
    first, seen = state, set()
    losses = {f"{update.name}/loss" for update in gan.updates}
    for i in range(32):  # the last lazy term may be due after some steps
        state, metrics = step(state, batch_of(config, i), KEY)
        seen |= {name for name, value in metrics.items() if np.isfinite(value)}
        if i and losses <= seen:
            break
    assert losses <= seen, metrics
    for player in ("g", "d"):
        assert not equal(first.params[player], state.params[player]), player
    for leaf in jax.tree.leaves(state):
        assert np.isfinite(leaf).all()

    checkpoints = Checkpoints(tmp_path, keep=1)
    checkpoints.save(2, state, {"stream": 0})
    checkpoints.close()
    template = jax.eval_shape(functools.partial(core.init, gan), KEY)
    restored, _ = Checkpoints(tmp_path, keep=1).restore(template)
    found = [step(x, batch_of(config, 2), KEY) for x in (state, restored)]
    assert equal(*found)
    assert not equal(found[0][0].params, state.params)
    assert step._cache_size() <= 2, "compiled again for each step"
