"""What every variant promises, found by listing `gans/variants` and `configs`."""

import functools
import importlib
import inspect
import itertools
import pathlib
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from experiments import config as configs
from experiments.benchmarks import workload
from experiments.rundir.checkpoint import Checkpoints
from gans import core
from gans.data import kinds
from gans.data import spec as specs
from gans.layers.conv.inspect import slow_convolutions
from gans.losses.penalties import gradient_penalty

ROOT = pathlib.Path(__file__).parent.parent.parent
VARIANTS = sorted(
    p.stem for p in (ROOT / "gans" / "variants").glob("*.py") if p.stem != "__init__"
)
KEY = jax.random.key(11)
# Little effort goes into compiling what runs a few times.
quick = functools.partial(
    jax.jit, compiler_options={"xla_backend_optimization_level": 0}
)


def presets(variant):
    module = importlib.import_module(f"configs.{variant}")
    with pytest.raises(ValueError) as error:
        module.get_config("nonsense")
    listed = str(error.value).split("is not one of ")[1].split("; did you")[0]
    return [name.strip("[]' ") for name in listed.split(",")]


def batch_of(config, key=KEY):
    """A decoded batch of the data that the config describes."""
    batch, spec = {}, spec_of(config)
    for i, (name, x) in enumerate(specs.blank(spec, config.batch_size).items()):
        key_x = jax.random.fold_in(key, i)
        if kinds.of(spec[name]).CLASSES:
            batch[name] = jax.random.randint(key_x, x.shape, 0, spec[name].n_classes)
        else:
            batch[name] = jnp.tanh(jax.random.normal(key_x, x.shape))
    return batch


def spec_of(config):
    return specs.from_json(config.spec.to_dict())


@pytest.fixture(scope="module", params=VARIANTS)
def trained(request, tiny):
    """(config, gan, states, metrics) of the first few steps of each variant."""
    config = tiny(request.param)
    gan = configs.build(config)
    step = quick(core.make_step(gan))
    states = [quick(functools.partial(core.init, gan))(KEY)]
    metrics = []
    for i in range(config.n_critic + 1):
        batch = batch_of(config, jax.random.key(i))
        state, found = step(states[-1], batch, KEY)
        states.append(state)
        metrics.append(found)
    assert step._cache_size() == 1, "more than one compilation"
    return config, gan, states, metrics


def equal(a, b):
    assert jax.tree.structure(a) == jax.tree.structure(b)
    pairs = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    return all(x.dtype == y.dtype and np.array_equal(x, y) for x, y in pairs)


def test_there_is_a_config_for_every_variant():
    known = {p.stem for p in (ROOT / "configs").glob("*.py")}
    assert set(VARIANTS) <= known
    assert len(VARIANTS) >= 8


def test_steps_are_finite(trained):
    _, gan, states, metrics = trained
    for leaf in jax.tree.leaves(states[-1]):
        assert np.isfinite(leaf).all()
    for i, found in enumerate(metrics):
        for update in gan.updates:
            due = update.when is None or bool(update.when(jnp.int32(i)))
            for name, value in found.items():
                assert value.dtype == jnp.float32 and value.shape == ()
                if name.startswith(f"{update.name}/"):
                    assert np.isfinite(value) == due, (i, name, value)


def test_all_networks_are_trained(trained):
    _, gan, states, _ = trained
    for name in gan.nets:
        assert not equal(states[0].params[name], states[-1].params[name]), name


def test_each_update_changes_only_what_it_trains(trained):
    config, gan, states, metrics = trained
    batch = jax.eval_shape(functools.partial(batch_of, config))
    for update in gan.updates:
        play = functools.partial(core.play, gan, update)
        changes, _ = jax.eval_shape(play, states[0], batch, KEY)
        assert set(changes["params"]) == set(changes["opt"]) == set(update.trains)
        assert set(changes["stats"]) <= set(update.trains)
    # A step in which none of a network's updates was due has left it alone.
    for i, (before, after) in enumerate(itertools.pairwise(states)):
        for name in gan.nets:
            of_net = [update for update in gan.updates if name in update.trains]
            due = any(u.when is None or u.when(jnp.int32(i)) for u in of_net)
            changed = not equal(before.params[name], after.params[name])
            assert changed == due, (name, i)


def test_outputs_have_the_shape_and_range_of_the_data(trained):
    config, gan, states, _ = trained
    spec = spec_of(config)
    decoded = specs.decoded(spec)
    batch = batch_of(config) if gan.conditioned_on else specs.blank(spec, 4)
    inputs = gan.inputs(KEY, batch)
    for output in gan.outputs:
        sample = functools.partial(core.sample, gan, output=output)
        made = quick(sample)(states[-1], inputs, KEY)
        assert made.keys() & spec.keys(), output
        for name in made.keys() & spec.keys():
            x, kind = made[name], kinds.of(spec[name])
            assert x.shape == (4, *spec[name].shape), (output, name)
            assert x.dtype == decoded[name].dtype, (output, name)
            if kind.RANGE:
                assert kind.RANGE[0] <= x.min() and x.max() <= kind.RANGE[1]
            if kind.CLASSES:
                assert 0 <= x.min() and x.max() < spec[name].n_classes
            else:
                assert float(x.std(axis=0).max()) > 0, "all samples are the same"


def test_a_restored_state_is_the_saved_one(trained, tmp_path):
    _, gan, states, _ = trained
    checkpoints = Checkpoints(tmp_path, keep=1)
    checkpoints.save(3, states[-1], {"stream": 0})
    checkpoints.close()
    template = jax.eval_shape(functools.partial(core.init, gan), KEY)
    restored, extra = Checkpoints(tmp_path, keep=1).restore(template)
    assert equal(restored, states[-1])
    assert extra["stream"] == 0
    assert not equal(restored, states[-2]), "the comparison sees no difference"


@pytest.mark.slow
@pytest.mark.parametrize("variant", VARIANTS)
def test_every_preset_traces_at_full_size(variant):
    for preset in presets(variant):
        config = importlib.import_module(f"configs.{variant}").get_config(preset)
        config = configs.resolve(config, workload.source(config))
        gan = configs.build(config)
        state = jax.eval_shape(functools.partial(core.init, gan), KEY)
        batch = jax.eval_shape(functools.partial(batch_of, config))
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
    for preset in ("digits", "cifar10"):
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
