"""What every variant promises, found by listing `gans/variants` and `configs`."""

import functools
import importlib
import inspect
import pathlib
import re

import jax
import jax.numpy as jnp
import pytest
from flax import linen as nn

from experiments import config as configs
from experiments.benchmarks import workload
from experiments.contracts import promises, trial
from experiments.contracts.trial import KEY, random_batch
from gans import core
from gans.data import spec as specs
from gans.layers.conv.inspect import slow_convolutions
from gans.losses.penalties import gradient_penalty

ROOT = pathlib.Path(__file__).parent.parent.parent
VARIANTS = sorted(
    p.stem for p in (ROOT / "gans" / "variants").glob("*.py") if p.stem != "__init__"
)
# Trained by default: a game of two players, and one of another kind.
BY_DEFAULT = ("wgan_gp", "pix2pix")
# Those that need two devices, or a metric, are asked by the command (see
# tests/experiments/test_check.py).
OF_ONE_DEVICE = [
    promise
    for promise in promises.PROMISES
    if promise not in (promises.devices_agree, promises.metrics_are_measured)
]


def presets(variant):
    module = importlib.import_module(f"configs.{variant}")
    with pytest.raises(ValueError) as error:
        module.get_config("nonsense")
    listed = str(error.value).split("is not one of ")[1].split("; did you")[0]
    return [name.strip("[]' ") for name in listed.split(",")]


def batch_of(config, key=KEY):
    """A decoded batch of the data that the config describes."""
    return random_batch(specs.from_json(config.spec.to_dict()), config.batch_size, key)


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(name, marks=() if name in BY_DEFAULT else pytest.mark.slow)
        for name in VARIANTS
    ],
)
def trained(request, tiny):
    """The first few steps of each variant."""
    config = tiny(request.param)
    gan = configs.build(config)
    return trial.begin(config, gan, lambda i: batch_of(config, jax.random.key(i)))


def test_there_is_a_config_for_every_variant():
    known = {p.stem for p in (ROOT / "configs").glob("*.py")}
    assert set(VARIANTS) <= known
    assert len(VARIANTS) >= 8


@pytest.mark.parametrize("promise", OF_ONE_DEVICE, ids=lambda x: x.__name__)
def test_a_variant_keeps_its_promises(promise, trained):
    try:
        assert list(promise(trained)) == []
    except promises.Skipped as skipped:
        pytest.skip(str(skipped))


@pytest.mark.slow
@pytest.mark.parametrize("variant", VARIANTS)
def test_every_preset_traces_at_full_size(variant):
    for preset in presets(variant):
        config = importlib.import_module(f"configs.{variant}").get_config(preset)
        config = configs.resolve(config, workload.source(config))
        every = configs.stages(config)
        last = len(every) - 1 if every[0].spec != every[-1].spec else 0
        for stage in {0, last}:
            gan, own = configs.build(config, stage), configs.of_stage(config, stage)
            state = jax.eval_shape(functools.partial(core.init, gan), KEY)
            batch = jax.eval_shape(functools.partial(batch_of, own))
            after, _ = jax.eval_shape(core.make_step(gan), state, batch, KEY)
            assert jax.tree.structure(after) == jax.tree.structure(state), preset


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_variant_names_its_paper_and_its_deviations(variant):
    module = importlib.import_module(f"gans.variants.{variant}")
    assert re.search(r"\b\d{4}\.\d{4,5}\b", module.__doc__), "no arXiv id"
    assert "Deviation" in module.__doc__
    parameters = inspect.signature(module.build).parameters
    assert list(parameters) == ["config", "spec", "stage"]
    assert parameters["stage"].default == 0


@pytest.mark.parametrize("variant", VARIANTS)
def test_bfloat16_networks_keep_float32_parameters_and_losses(variant, tiny):
    config = tiny(variant, dtype="bfloat16")
    gan = configs.build(config)
    state = jax.eval_shape(functools.partial(core.init, gan), KEY)
    _, metrics = jax.eval_shape(core.make_step(gan), state, batch_of(config), KEY)
    for leaf in jax.tree.leaves((state.params, metrics)):
        assert leaf.dtype == jnp.float32


@pytest.mark.slow
@pytest.mark.parametrize("variant", VARIANTS)
def test_no_convolution_of_a_step_is_slow(variant, tiny):
    """Of no derivative, of no network, under `cond` or `scan`."""
    known = presets(variant)
    for preset in {"digits", "cifar10"} & {*known} or known[:1]:
        config = tiny(variant, preset)
        gan = configs.build(config)
        step = core.make_step(gan)
        state = jax.eval_shape(functools.partial(core.init, gan), KEY)
        batch = jax.eval_shape(functools.partial(batch_of, config))
        stacked = jax.tree.map(
            lambda x: jax.ShapeDtypeStruct((2, *x.shape), x.dtype), batch
        )

        def scanned(state, batches, step=step):
            return jax.lax.scan(lambda s, b: step(s, b, KEY), state, batches)

        traced = jax.jit(scanned).trace(state, stacked)
        text = traced.lower(lowering_platforms=("cpu",)).as_text()
        assert slow_convolutions(text) == []


def test_the_plain_layers_would_be_found():
    """The negative control: the same game with Flax's own convolution."""

    class Discriminator(nn.Module):
        @nn.compact
        def __call__(self, x):
            return nn.Conv(4, (4, 4), (2, 2))(x).sum(axis=(1, 2, 3))

    d, x = Discriminator(), jnp.ones((2, 8, 8, 1))
    params = d.init(KEY, x)

    def loss(params):
        return gradient_penalty(lambda x: d.apply(params, x), x, 2 * x, KEY).mean()

    text = (
        jax.jit(jax.grad(loss))
        .trace(params)
        .lower(lowering_platforms=("cpu",))
        .as_text()
    )
    assert slow_convolutions(text)
