"""Many runs in one program: each is the run it would be alone."""

import dataclasses
import functools
import os
import pathlib
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from configs import dcgan, gan
from experiments import config as configs
from experiments.ablations import arms
from experiments.ablations.arms import Arm, Program
from experiments.training.programs import Programs
from experiments.training.vmapped import VmappedRuns, replica
from gans import core
from gans.data import pipeline

STEPS = 4


def points():
    """In 2-D under SGD: Adam makes whole steps of the rounding of gradients near 0."""
    config = gan.get_config("ring8")
    config.generator.widths = config.discriminator.widths = (8, 8)
    return shortened(config)


def images():
    config = dcgan.get_config("digits")
    config.generator.widths, config.discriminator.convolutions = (
        (8, 8),
        ((8, 4, 2), (8, 4, 2)),
    )
    config.generator.norm = "batch"
    config.discriminator.dropout = 0.0
    return shortened(config)


def shortened(config):
    config.batch_size, config.steps, config.steps_per_call, config.seed = 8, STEPS, 2, 0
    for player in (config.generator, config.discriminator):
        player.optimizer = {"name": "sgd", "learning_rate": 0.05, "momentum": 0.5}
    return config


def resolved(config):
    return configs.resolve(config, configs.load_data(config))


def batches(config, seeds):
    found = {}
    for seed in seeds:
        own = config.copy_and_resolve_references()
        own.seed = seed
        source = configs.load_data(own)
        found[seed] = pipeline.batches(source, config.batch_size, seed=seed)
    return found


def trained(runs, steps=STEPS):
    state, means = runs.init(), []
    for start in range(0, steps, runs.per_call):
        state, found, finite = runs.call(state, start)
        means.append(found)
    return state, means, finite


def alone(config, seed, steps=STEPS, model=None):
    """A run of the config: (first state, last state, metrics of each step)."""
    model = model or configs.build(config)
    data = batches(config, [seed])[seed]
    programs = Programs(
        model,
        seed=seed,
        batch=data[0],
        prepare=data.prepare,
        per_call=1,
    )
    first = state = programs.init(0)
    step, found = jax.jit(core.make_step(model)), []
    prepare = jax.jit(data.prepare)
    for i in range(steps):
        state, metrics = step(state, prepare(data[i]), programs.key(0))
        found.append(metrics)
    return first, state, found


def leaves(tree):
    return {jax.tree_util.keystr(k): v for k, v in jax.tree.leaves_with_path(tree)}


def assert_the_same(one, run, first):
    """And what is compared has changed by far more than the tolerance."""
    first, one = leaves(first), leaves(one)
    change = 0.0
    for name, x in leaves(run).items():
        np.testing.assert_allclose(one[name], x, rtol=1e-4, atol=2e-6, err_msg=name)
        if ".params" in name:
            change = max(change, float(jnp.abs(x - first[name]).max()))
    assert change > 1e-3


@pytest.mark.slow
@pytest.mark.parametrize("base", [points, images])
def test_eight_seeds_at_once_are_eight_runs(base):
    config = resolved(base())
    runs = VmappedRuns(
        lambda values: configs.build(config),
        values={},
        seeds=range(8),
        batches=batches(config, range(8)),
        per_call=2,
    )
    state, means, finite = trained(runs)
    assert state.step.shape == () and int(state.step) == STEPS and finite.all()
    for seed in (0, 5, 7):
        first, run, found = alone(config, seed)
        assert_the_same(replica(state, seed), run, first)
        for name in ("d/loss", "g/loss"):
            values = [
                float(np.mean([f[name] for f in found[i : i + 2]])) for i in (0, 2)
            ]
            ours = [float(call[name][seed]) for call in means]
            np.testing.assert_allclose(ours, values, rtol=1e-4)
    other, run, _ = replica(state, 1), *alone(config, 2)[:2]
    with pytest.raises(AssertionError):  # another seed is another run
        assert_the_same(other, run, run)


BOTH = {
    "rates, losses and averages": (
        {
            "loss": "non_saturating(smooth_real=0.1)",
            "discriminator.optimizer.clip": 0.05,
        },
        {
            "loss": "non_saturating(smooth_real=0.2)",
            "discriminator.optimizer.clip": 0.02,
            "discriminator.optimizer.learning_rate": 0.02,
            "generator.optimizer.momentum": 0.9,
            "ema": 0.5,
        },
    ),
    "penalties and noise": (
        {
            "discriminator.penalties": (
                "gradient_penalty(weight=0.1)",
                "r1(weight=1.0, every=2)",
            ),
            "augment": ("instance_noise(sigma=0.1)",),
        },
        {
            "discriminator.penalties": (
                "gradient_penalty(weight=0.5)",
                "r1(weight=2.0, every=2)",
            ),
            "augment": ("instance_noise(sigma=0.5)",),
        },
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", BOTH)
def test_numbers_that_a_program_takes_are_those_of_the_config(kind):
    both = [
        Arm(name, resolved(configs.override(points(), changes)), {}, STEPS)
        for name, changes in zip("ab", BOTH[kind], strict=True)
    ]
    numbers = arms.differing(both)
    assert len(numbers) == (5 if kind.startswith("rates") else 3)
    assert arms.groups(both) == [both]
    program = Program(tuple(both), ((0, 0), (1, 0), (1, 3)), numbers)
    assert all(a != b == c for a, b, c in program.values.values())
    runs = VmappedRuns(
        program.build,
        values=program.values,
        seeds=[0, 0, 3],
        batches=batches(both[0].config, (0, 3)),
        per_call=2,
    )
    state, _, _ = trained(runs)
    runs = {}
    for i in (0, 2):
        arm, seed = program.replicas[i]
        begun, runs[i], _ = alone(both[arm].config, seed)
        assert_the_same(replica(state, i), runs[i], begun)
    with pytest.raises(AssertionError):  # the numbers alone change the run
        assert_the_same(replica(state, 1), runs[0], runs[0])


@pytest.mark.slow
def test_adam_gives_runs_that_are_statistically_alike():
    """Rounding may reverse one step of Adam, but not where many of them lead."""
    config = points()
    adam = {"name": "adam", "learning_rate": 1e-3, "b1": 0.5}
    config.generator.optimizer = config.discriminator.optimizer = adam
    config.steps = 100
    config = resolved(config)
    seeds = range(4)
    runs = VmappedRuns(
        lambda values: configs.build(config),
        values={},
        seeds=seeds,
        batches=batches(config, seeds),
        per_call=2,
    )
    state, means, _ = trained(runs, 100)
    ours = np.array([np.stack([m["d/loss"] for m in means[-25:]]).mean(0)])[0]
    runs = [alone(config, seed, 100) for seed in seeds]
    theirs = np.array([np.mean([m["d/loss"] for m in run[2][-50:]]) for run in runs])
    between = np.std(theirs, ddof=1)
    assert between > 0 and np.abs(ours - theirs).max() < 0.2 * between


def test_a_replica_that_is_not_finite_is_seen_and_the_others_go_on():
    config = resolved(points())
    data = batches(config, (0, 1))

    class Spoilt:
        prepare = data[1].prepare

        def window(self, start, k):
            found = data[1].window(start, k)
            return (
                found if start == 0 else {"point": np.full_like(found["point"], np.nan)}
            )

    def runs(other):
        return VmappedRuns(
            lambda values: configs.build(config),
            values={},
            seeds=[0, 1],
            batches={0: data[0], 1: other},
            per_call=2,
        )

    state, _, finite = trained(runs(Spoilt()))
    assert finite.tolist() == [True, False]
    whole, _, finite = trained(runs(data[1]))
    assert finite.all()
    for a, b in zip(
        jax.tree.leaves(replica(state, 0)),
        jax.tree.leaves(replica(whole, 0)),
        strict=True,
    ):
        np.testing.assert_array_equal(a, b)


def test_goes_on_from_states_of_numpy():
    config = resolved(points())
    make = functools.partial(
        VmappedRuns,
        lambda values: configs.build(config),
        values={},
        seeds=[0, 1],
        batches=batches(config, (0, 1)),
        per_call=2,
    )
    runs = make()
    state, _, _ = trained(runs)
    half, _, _ = runs.call(runs.init(), 0)
    half = jax.tree.map(np.asarray, runs.kept(half))
    other = make()
    assert jax.tree.map(lambda x: (x.shape, x.dtype), half) == jax.tree.map(
        lambda x: (x.shape, x.dtype), other.template
    )
    resumed, _, _ = other.call(other.put(half), 2)
    for a, b in zip(jax.tree.leaves(resumed), jax.tree.leaves(state), strict=True):
        np.testing.assert_array_equal(a, b)


class Fixed(nn.Module):
    """What a pretrained network is here: a fixed map of points [B, 2] to [B]."""

    @nn.compact
    def __call__(self, x, train):
        return nn.Dense(1)(x)[:, 0]


def with_fixed(config, kernel):
    """The config's GAN with a network "f" that is given, which pulls the samples."""
    gan = configs.build(config)
    given = {"params": {"Dense_0": {"kernel": kernel, "bias": jnp.zeros(1)}}}
    fixed = core.Net(Fixed(), (jax.ShapeDtypeStruct((1, 2), "float32"),), given=given)
    d, g = gan.updates

    def loss(nets, batch, key, state):
        value, out = g.loss(nets, batch, key, state)
        z = jax.random.normal(key, (8, config.latent))
        return value + nets["f"](nets["g"](z, None)).mean(), out

    updates = (d, dataclasses.replace(g, loss=loss))
    return dataclasses.replace(gan, nets={**gan.nets, "f": fixed}, updates=updates)


@pytest.mark.slow
def test_frozen_networks_are_one_for_all_replicas():
    config, kernel = resolved(points()), jnp.full((2, 1), 3.0)

    def make(kernel):
        return VmappedRuns(
            lambda values: with_fixed(config, kernel),
            values={},
            seeds=[0, 1],
            batches=batches(config, (0, 1)),
            per_call=2,
        )

    runs = make(kernel)
    state, _, finite = trained(runs)
    assert finite.all() and not kernel.is_deleted()
    assert state.frozen["f"]["params"]["Dense_0"]["kernel"].shape == (2, 1)
    first, run, _ = alone(config, 1, model=with_fixed(config, kernel))
    assert_the_same(replica(state, 1), run, first)
    with pytest.raises(AssertionError):  # another frozen network is another run
        assert_the_same(replica(trained(make(-kernel))[0], 1), run, run)
    # What is kept goes on in the same way.
    half, _, _ = runs.call(runs.init(), 0)
    half = jax.device_get(runs.kept(half))
    assert jax.tree.map(jnp.shape, half) == jax.tree.map(jnp.shape, runs.template)
    resumed, _, _ = runs.call(runs.put(half), 2)
    for a, b in zip(jax.tree.leaves(resumed), jax.tree.leaves(state), strict=True):
        np.testing.assert_array_equal(a, b)


SEVERAL = """
import os
import sys
os.environ["XLA_FLAGS"] = (
    "--xla_force_host_platform_device_count=3 --xla_dump_hlo_as_text"
    f" --xla_backend_optimization_level=1 --xla_dump_to={sys.argv[1]}"
)
sys.path[:0] = sys.argv[2:]
import jax, numpy as np
import test_vmapped as t
from experiments import config as configs
from experiments.training.vmapped import VmappedRuns, replica
config = t.resolved(t.images())
runs = VmappedRuns(lambda v: configs.build(config), values={}, seeds=[0, 1, 2, 3, 4],
              batches=t.batches(config, range(5)), per_call=2)
state, _, finite = t.trained(runs)
leaf = jax.tree.leaves(state.params)[0]
assert len(leaf.sharding.device_set) == 3 and len(leaf) == 6, leaf.sharding
assert finite.shape == (6,)
kept = runs.kept(state)
assert all(len(x) == 5 for x in jax.tree.leaves(kept.replace(step=None)))
again = runs.put(jax.tree.map(np.asarray, kept))
for a, b in zip(jax.tree.leaves(again), jax.tree.leaves(state)):
    np.testing.assert_array_equal(a, b)
    assert a.sharding == b.sharding
for seed in (0, 4):
    first, run, _ = t.alone(config, seed)
    t.assert_the_same(replica(state, seed), run, first)
print("the same")
"""


@pytest.mark.slow
def test_devices_have_replicas_of_their_own(tmp_path):
    """Five replicas on three devices, which do not communicate in any program."""
    here, dump = pathlib.Path(__file__).parent, tmp_path / "dump"
    # A program that is found in a cache is not dumped.
    environ = os.environ | {"JAX_ENABLE_COMPILATION_CACHE": "false"}
    result = subprocess.run(
        [sys.executable, "-c", SEVERAL, str(dump), str(here)],
        capture_output=True,
        text=True,
        env=environ,
    )
    assert result.stdout == "the same\n", result.stderr
    programs = [p.read_text() for p in dump.glob("*after_optimizations.txt")]
    assert any("jit_call" in text and "num_partitions=3" in text for text in programs)
    for word in ("all-gather", "all-reduce", "collective-permute", "all-to-all"):
        assert not [text for text in programs if word in text], word
