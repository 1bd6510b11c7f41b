"""`experiments.load`: a trained model in a notebook."""

import functools
import json
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn
from ml_collections import ConfigDict

import experiments
from experiments import config as configs
from experiments import own_code
from experiments.rundir import restore
from experiments.rundir.checkpoint import CheckpointError, Checkpoints
from experiments.sampling import recalibration
from experiments.sampling.model import Model
from gans import core
from gans.core import GAN, Net
from gans.data.source import InMemory


@pytest.fixture(scope="module")
def run(tiny, tmp_path_factory):
    """(folder, gan, {step: state}) of a conditional model of three classes."""
    folder = tmp_path_factory.mktemp("run")
    config = tiny("cgan", "digits")
    (folder / "config.json").write_text(configs.to_json(config))
    (folder / "run.json").write_text('{"best": {"step": 7}}')
    gan, states = configs.build(config), {}
    checkpoints = Checkpoints(folder, keep=None)
    for step in (7, 9):
        state = jax.jit(functools.partial(core.init, gan))(jax.random.key(step))
        states[step] = state.replace(step=np.int32(step))
        checkpoints.save(step, states[step], {})
    checkpoints.close()
    return folder, gan, states


def test_a_model_and_its_samples(run):
    folder, gan, states = run
    model = experiments.load(folder)
    assert model.outputs == ("sample",) and model.config.variant == "cgan"
    assert int(model.state.step) == 9
    assert list(model.spec) == ["image", "label"]
    found = model.sample(7, seed=3)
    assert found["image"].shape == (7, 16, 16, 1)
    assert found["image"].dtype == np.float32 and np.abs(found["image"]).max() <= 1
    assert found["label"].tolist() == [0, 1, 2, 0, 1, 2, 0]
    inputs = gan.inputs(jax.random.key(3), {"": jnp.zeros(7)})
    wanted = core.sample(gan, states[9], inputs, jax.random.key(0))["image"]
    np.testing.assert_allclose(found["image"], wanted, atol=1e-5)
    # Not a matter of the batches; but of the seed.
    apart = model.sample(7, seed=3, batch_size=2)["image"]
    np.testing.assert_allclose(apart, found["image"], atol=1e-5)
    assert not np.allclose(model.sample(7, seed=4)["image"], found["image"], atol=1e-3)


def test_a_class_and_a_checkpoint(run):
    folder, *_ = run
    best, last = (experiments.load(folder, x) for x in ("best", 9))
    assert (int(best.state.step), int(last.state.step)) == (7, 9)
    assert last.sample(4, label=2)["label"].tolist() == [2] * 4
    for label in (3, -1):
        with pytest.raises(ValueError, match=f"class {label}: the classes are 0 to 2"):
            last.sample(4, label=label)
    assert last.sample(3, label=("2", 1))["label"].tolist() == [2, 1, 2]
    both = last.sample(2, seed=(5, 3))["image"]
    one = last.sample(9, seed=3)["image"]
    np.testing.assert_allclose(both[2:], one[:2], atol=1e-5)
    with pytest.raises(ValueError, match="output: must be 'sample', got 'score'"):
        last.sample(4, output="score")
    with pytest.raises(ValueError, match="n=0: wanted at least 1"):
        last.sample(0)


class Noisy(nn.Module):
    """Adds noise of its own, as StyleGAN does, or dropout in a translation."""

    streams = ("noise",)

    @nn.compact
    def __call__(self, x, train):
        return x + jax.random.normal(self.make_rng("noise"), x.shape)


@pytest.mark.parametrize("noisy", [True, False])
def test_what_an_output_draws_depends_on_the_seed_and_the_index_alone(noisy):
    source = InMemory("flat", {"image": np.full((4, 4, 4, 1), 128, np.uint8)})
    example = jax.ShapeDtypeStruct((1, 4, 4, 1), jnp.float32)

    def sample(nets, x, key):
        return {"image": nets["g"](x["image"], key=key) if noisy else x["image"]}

    gan = GAN(
        nets={"g": Net(Noisy(), (example,), optax.sgd(1.0))},
        updates=(),
        inputs=lambda key, batch: {"image": batch["image"]},
        outputs={"sample": sample},
        conditioned_on=("image",),
    )
    state = jax.jit(functools.partial(core.init, gan))(jax.random.key(0))
    model = Model(
        ConfigDict({"variant": "noisy", "data": "digits"}), source.spec, gan, state
    )
    model.samplers.__dict__.update(conditions=source)
    assert model.sampler().draws is noisy and model.sampler().random is noisy
    whole = model.sample(7, seed=3)["image"]
    np.testing.assert_allclose(model.sample(7, seed=3, batch_size=2)["image"], whole)
    np.testing.assert_allclose(
        model.sample(5, seed=3, batch_size=4)["image"], whole[:5]
    )
    if noisy:
        assert len(np.unique(whole[:, 0, 0, 0])) == 7
        assert not np.allclose(model.sample(7, seed=4)["image"], whole)


def test_what_cannot_be_loaded(run, tmp_path):
    with pytest.raises(FileNotFoundError, match="no run there"):
        experiments.load(tmp_path)
    with pytest.raises(CheckpointError, match="no checkpoint of step 8"):
        experiments.load(run[0], 8)
    with pytest.raises(ValueError, match="wanted last, best or a step"):
        experiments.load(run[0], "first")


def test_it_works_where_no_flags_are_parsed(run):
    """As in a notebook; and importing the package alone imports nothing heavy."""
    code = f"""
import sys, experiments
assert not {{"jax", "flax", "numpy", "absl"}} & {{*sys.modules}}
print(experiments.load({str(run[0])!r}).sample(3)["image"].shape)
"""
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "(3, 16, 16, 1)\n"


class Normed(nn.Module):
    """Images, normalised over the batch and over space."""

    @nn.compact
    def __call__(self, x, train):
        return nn.BatchNorm(use_running_average=not train, momentum=0.9)(x)


def test_a_conditional_model_is_recalibrated_by_training_examples():
    images = np.full((9, 4, 4, 1), 255, np.uint8)  # all 1
    images[:, :2] = 191  # and about 0.5
    both = {"a": "image", "b": "image"}
    source = InMemory("bright", {"a": images, "b": images}, both)
    example = jax.ShapeDtypeStruct((1, 4, 4, 1), jnp.float32)
    gan = GAN(
        nets={"g": Net(Normed(), (example,), optax.sgd(1.0), ema=0.9)},
        updates=(),
        inputs=lambda key, batch: {"a": batch["a"]},
        outputs={"a_to_b": lambda nets, x, key: {"b": nets["g"](x["a"])}},
        conditioned_on=("a",),
    )
    state = jax.jit(functools.partial(core.init, gan))(jax.random.key(0))
    model = Model(
        ConfigDict({"variant": "normed", "data": "digits"}), source.spec, gan, state
    )
    model.__dict__.update(data=source)
    model.samplers.__dict__.update(conditions=source)
    assert model.main_output == "a_to_b"
    afresh = restore.recalibrate(gan, state, **recalibration.pool(model))
    before, mean = (
        x.ema["g"]["stats"]["batch_stats"]["BatchNorm_0"]["mean"]
        for x in (state, afresh)
    )
    assert float(before[0]) == 0
    np.testing.assert_allclose(mean[0], images.mean() / 127.5 - 1, rtol=1e-3)
    found = model.sample(3, output="a_to_b")["b"]
    np.testing.assert_allclose(found.max(), 1, atol=1e-2)  # not normalised: mean 0


def test_a_model_of_classes_is_recalibrated_by_the_shares_of_the_data():
    labels = np.array([0] * 88 + [1] * 12, np.int32)
    images = np.zeros((100, 4, 4, 1), np.uint8)
    source = InMemory("skewed", {"image": images, "label": labels})
    example = jax.ShapeDtypeStruct((1, 4, 4, 1), jnp.float32)

    def sample(nets, x, key):
        values = jnp.broadcast_to(x["label"][:, None, None, None], (256, 4, 4, 1))
        return {"image": nets["g"](values.astype(jnp.float32))}

    gan = GAN(
        nets={"g": Net(Normed(), (example,), optax.sgd(1.0), ema=0.9)},
        updates=(),
        inputs=lambda key, batch: {"label": jnp.arange(core.length(batch)) % 2},
        outputs={"sample": sample},
    )
    state = jax.jit(functools.partial(core.init, gan))(jax.random.key(0))
    model = Model(
        ConfigDict({"variant": "normed", "data": "digits"}), source.spec, gan, state
    )
    model.__dict__.update(data=source)
    afresh = restore.recalibrate(gan, state, **recalibration.pool(model))
    mean = afresh.ema["g"]["stats"]["batch_stats"]["BatchNorm_0"]["mean"]
    np.testing.assert_allclose(mean[0], 0.12, rtol=0.1)


OWN = """
import jax.numpy as jnp
from flax import linen as nn

class Generator(nn.Module):
    shape: tuple

    @nn.compact
    def __call__(self, z, label=None, *, train):
        return nn.Dense(2)(z)
"""


def test_a_model_of_own_code_that_has_changed(tiny, tmp_path, monkeypatch, capsys):
    def write(code):
        (tmp_path / "own_of_model.py").write_text(code)
        sys.modules.pop("own_of_model", None)

    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    write(OWN)
    config = tiny("gan", "circle")
    config = configs.override(config, {"generator.network": "own_of_model"})
    (tmp_path / "config.json").write_text(configs.to_json(config))
    code = {"code": own_code.code(config)}
    (tmp_path / "run.json").write_text(json.dumps(code))
    state = jax.jit(functools.partial(core.init, configs.build(config)))
    checkpoints = Checkpoints(tmp_path, keep=None)
    checkpoints.save(0, state(jax.random.key(0)), {})
    checkpoints.close()
    assert experiments.load(tmp_path).sample(3)["point"].shape == (3, 2)
    assert capsys.readouterr().err == ""
    write(OWN.replace("(z)", "(2 * z)"))
    assert experiments.load(tmp_path).sample(3)["point"].shape == (3, 2)
    said = "warning: own_of_model has changed since the training\n"
    assert capsys.readouterr().err == said
    write(OWN.replace("nn.Dense(2)(z)", "nn.Dense(2)(z) @ jnp.ones((3, 2))"))
    place = (
        "config.generator.network='own_of_model': TypeError: .*own_of_model.py, line"
    )
    with pytest.raises(own_code.CodeError, match=place):
        experiments.load(tmp_path)
    unsampled = "nn.Dense(2)(z) if train else nn.Dense(2)(z) @ jnp.ones((3, 2))"
    write(OWN.replace("nn.Dense(2)(z)", unsampled))
    with pytest.raises(own_code.CodeError, match=place):
        experiments.load(tmp_path).sample(3)
