import dataclasses
import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from experiments import config as configs
from experiments.training.programs import Programs, make_call
from gans import core
from gans.data import pipeline
from gans.data.spec import Field

PREPARE = pipeline.prepare({"point": Field("point", (2,), "float32")}, [["point"]])


@pytest.fixture(scope="module")
def gan(tiny):
    return configs.build(tiny("gan", "circle", n_critic=2))


def batch(step, size=4):
    rng = np.random.default_rng(step)
    return {"point": rng.standard_normal((size, 2), np.float32)}


def make(gan, per_call=1, size=4):
    def draw(state):
        key = jax.random.key(9)
        inputs = gan.inputs(key, {"": jnp.zeros(8)})
        return {"sample": core.sample(gan, state, inputs, key)}

    return Programs(
        gan,
        seed=0,
        batch=batch(0, size),
        prepare=PREPARE,
        per_call=per_call,
        draw=draw,
    )


def bits(tree):
    return [np.asarray(x).tobytes() for x in jax.tree.leaves(tree)]


def test_state_and_samples_are_functions_of_seed_and_stream(gan):
    programs = make(gan)
    assert bits(programs.init(0)) == bits(make(gan).init(0))
    assert bits(programs.init(0)) != bits(programs.init(1))
    assert bits(jax.random.key_data(programs.key(0))) != bits(
        jax.random.key_data(programs.key(1))
    )
    assert programs.draw(programs.init(0))["sample"]["point"].shape == (8, 2)
    shapes = [(x.shape, x.dtype) for x in jax.tree.leaves(programs.template)]
    assert shapes == [(x.shape, x.dtype) for x in jax.tree.leaves(programs.init(0))]


def test_the_call_is_the_step_and_takes_the_state_away(gan):
    programs = make(gan)
    call, seconds = programs.start_compiling().result()
    key, state = programs.key(0), programs.init(0)
    expected, _ = jax.jit(core.make_step(gan))(state, batch(0), key)
    after, metrics = call(state, programs.put_batch(batch(0)), key)
    assert bits(after) == bits(expected) and metrics["d/loss"].shape == ()
    assert seconds > 0
    assert all(x.is_deleted() for x in jax.tree.leaves(state))


def test_several_steps_in_one_call(gan):
    programs = make(gan, per_call=2)
    call, _ = programs.start_compiling().result()
    stacked = {"point": np.stack([batch(0)["point"], batch(1)["point"]])}
    after, metrics = call(
        programs.init(0), programs.put_batch(stacked), programs.key(0)
    )
    assert int(after.step) == 2
    # every(2): g is updated in the second step only.
    assert np.isnan(metrics["g/loss"]).tolist() == [True, False]
    step, state = make_call(gan, 1, PREPARE), programs.init(0)
    for i in range(2):
        state, _ = jax.jit(step)(state, batch(i), programs.key(0))
    for x, y in zip(jax.tree.leaves(state), jax.tree.leaves(after), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("field", ["params", "stats", "opt", "ema", "aux"])
def test_names_the_part_that_is_not_finite(tiny, field):
    config = tiny("gan", "circle")
    config.generator.norm = "batch"
    gan = dataclasses.replace(configs.build(config), aux={"p": jnp.zeros(2)})
    programs = make(gan)
    state = programs.init(0)
    assert programs.not_finite(state) == []
    name = "p" if field == "aux" else "g"
    leaves, treedef = jax.tree.flatten(getattr(state, field)[name])
    i = next(i for i, x in enumerate(leaves) if np.issubdtype(x.dtype, np.inexact))
    leaves[i] = np.asarray(leaves[i]).copy()
    leaves[i].flat[-1] = np.nan
    broken = {**getattr(state, field), name: jax.tree.unflatten(treedef, leaves)}
    found = programs.not_finite(state.replace(**{field: broken}))
    assert found == [f"{field}/{name}"]


class Fixed(nn.Module):
    """What a pretrained network is here: a fixed map of points [B, 2] to [B]."""

    @nn.compact
    def __call__(self, x, train):
        return nn.Dense(1)(x)[:, 0]


def with_fixed(gan, kernel):
    """The GAN with a network "f" that is given, and a loss of g that depends on it."""
    given = {"params": {"Dense_0": {"kernel": kernel, "bias": jnp.zeros(1)}}}
    fixed = core.Net(Fixed(), (jax.ShapeDtypeStruct((1, 2), "float32"),), given=given)
    d, g = gan.updates

    def loss(nets, batch, key, state):
        value, out = g.loss(nets, batch, key, state)
        made = nets["g"](jax.random.normal(key, (4, 5)), None)
        return value + nets["f"](made).mean(), out

    updates = (d, dataclasses.replace(g, loss=loss))
    return dataclasses.replace(gan, nets={**gan.nets, "f": fixed}, updates=updates)


@pytest.mark.parametrize("per_call", [1, 2])
def test_frozen_networks_are_placed_once_and_survive_the_donation(gan, per_call):
    kernel = jnp.ones((2, 1))
    batches = [batch(i) for i in range(per_call)]
    given = batch(0)
    if per_call > 1:
        given = {"point": np.stack([b["point"] for b in batches])}

    def after(kernel):
        programs = make(with_fixed(gan, kernel), per_call)
        call, _ = programs.start_compiling().result()
        state = programs.put_state(jax.device_get(programs.init(0)))
        for _ in range(2):
            before = state
            state, _ = call(state, programs.put_batch(given), programs.key(0))
            assert all(x.is_deleted() for x in jax.tree.leaves(before.params))
        assert programs.not_finite(state) == []
        assert programs.draw(state)["sample"]["point"].shape == (8, 2)
        shapes = jax.tree.map(lambda x: (x.shape, x.dtype), state)
        assert shapes == jax.tree.map(lambda x: (x.shape, x.dtype), programs.template)
        (placed,) = state.frozen.values()
        (first,) = programs.frozen.values()
        for x, y in zip(jax.tree.leaves(placed), jax.tree.leaves(first), strict=True):
            assert x is y and not x.is_deleted()
        return state

    state = after(kernel)
    assert not kernel.is_deleted() and "f" not in state.params
    assert (np.asarray(state.frozen["f"]["params"]["Dense_0"]["kernel"]) == 1).all()
    # Another kernel is another training.
    assert bits(state.params) != bits(after(2 * kernel).params)


MANY = """
import sys
sys.path.insert(0, "tests")
import numpy as np
from conftest import _tiny
from experiments import config as configs
from experiments.training.programs import Programs
gan = configs.build(_tiny("gan", "circle", n_critic=2))
points = {"point": np.arange(16, dtype=np.float32).reshape(8, 2) / 16}
programs = Programs(
    gan, seed=0, batch=points, prepare=lambda batch: batch, per_call=1
)
call, _ = programs.start_compiling().result()
batch = programs.put_batch(points)
state, metrics = call(programs.init(0), batch, programs.key(0))
print(len(batch["point"].sharding.device_set), batch["point"].addressable_data(0).shape)
print(float(metrics["d/loss"]))
from experiments.training.loop import train
train(_tiny("gan", "circle", batch_size=6), "nowhere")
"""


def test_many_devices_share_a_batch(gan):
    flags = f"{os.environ['XLA_FLAGS']} --xla_force_host_platform_device_count=4"
    environ = {**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    many = subprocess.run(
        [sys.executable, "-c", MANY], env=environ, capture_output=True, text=True
    )
    assert "config.batch_size=6 cannot be split evenly among 4 devices" in many.stderr
    shared, loss = many.stdout.splitlines()
    assert shared == "4 (2, 2)"
    points = {"point": np.arange(16, dtype=np.float32).reshape(8, 2) / 16}
    programs = make(gan, size=8)
    step = jax.jit(core.make_step(gan))
    _, metrics = step(programs.init(0), points, programs.key(0))
    np.testing.assert_allclose(float(loss), metrics["d/loss"], rtol=1e-5)


DEFERRED = """
import sys
sys.path.insert(0, "tests")
from conftest import _tiny
from etils import epy
from experiments.training.programs import Programs
from experiments.training.loop import train
lazy_imports, start_compiling = epy.lazy_imports, Programs.start_compiling
compiling = False
def noted(**options):
    if compiling:
        print("deferred by", sys._getframe(1).f_globals["__name__"])
    return lazy_imports(**options)
def start(self, pool=None):
    global compiling
    compiling = True
    return start_compiling(self, pool)
epy.lazy_imports, Programs.start_compiling = noted, start
config = _tiny("gan", "circle", steps=4, evaluate_every=4, n_evaluate=64)
config.steps_per_call = 1
train(config, sys.argv[1])
print(compiling)
"""


@pytest.mark.slow
def test_no_import_is_deferred_while_a_thread_compiles(tmp_path):
    command = [sys.executable, "-c", DEFERRED, str(tmp_path)]
    run = subprocess.run(command, capture_output=True, text=True)
    assert (run.returncode, run.stdout) == (0, "True\n"), run.stderr
