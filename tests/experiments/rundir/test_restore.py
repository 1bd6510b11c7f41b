"""A run opened again: its config, its data's spec, its state."""

import functools
import json
import sys
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict

from experiments import config as configs
from experiments.rundir import restore
from experiments.rundir.checkpoint import Checkpoints
from gans import core
from gans.data.sets import NoSplit
from gans.data.source import InMemory
from gans.data.spec import Field


def test_the_spec_of_a_run_and_of_an_older_one(tiny, tmp_path):
    config = tiny("cgan", "digits")
    wanted = {
        "image": Field("image", (16, 16, 1), "uint8"),
        "label": Field("label", (), "int32", 3),
    }
    (tmp_path / "config.json").write_text(configs.to_json(config))
    assert restore.spec_of(restore.config_of(tmp_path)) == wanted
    older = json.loads(configs.to_json(config))
    del older["spec"]
    older["critic"] = older.pop("discriminator")
    older["critic"]["layers"] = older["critic"].pop("convolutions")
    (tmp_path / "config.json").write_text(json.dumps(older))
    assert restore.spec_of(restore.config_of(tmp_path)) == wanted
    assert configs.to_json(restore.config_of(tmp_path)) == configs.to_json(config)
    with pytest.raises(ValueError, match="the config has no spec"):
        restore.spec_of({"n_classes": None})


def test_steps_by_name(tmp_path):
    (tmp_path / "run.json").write_text('{"best": {"step": 30}}')
    steps = [restore.step_of(tmp_path, x) for x in ("last", None, "best", "20", 20)]
    assert steps == [None, None, 30, 20, 20]
    with pytest.raises(ValueError, match="^checkpoint 'first': wanted last, best"):
        restore.step_of(tmp_path, "first")
    with pytest.raises(ValueError, match="^checkpoint 'best': no evaluation chose one"):
        restore.step_of(tmp_path / "other", "best")


def of_data(name, **changes):
    known = {"resolution": None, "channels": None, "data_dir": None, "seed": 0}
    known |= {"skip_corrupt": False, "jitter": 0, "frames": 16, "stride": 1}
    return ConfigDict({"data": name, **known, **changes})


def split_by_seed(*, split, seed, **_):
    """Ten points of which the seed chooses those to be tested with."""
    order = np.random.default_rng(seed).permutation(10)[:, None]
    rows = order[:7] if split == "train" else order[7:]
    return InMemory("points", {"point": rows.astype(np.float32)})


def without_test(*, split, **_):
    if split != "train":
        raise NoSplit("points has no such split")
    return split_by_seed(split=split, seed=0)


def broken(*, split, **_):
    raise ValueError("the file is damaged")


@pytest.mark.parametrize("seed", [0, 5])
def test_the_test_set_is_that_of_the_training_set(seed, monkeypatch):
    user = types.SimpleNamespace(**globals())
    monkeypatch.setitem(sys.modules, "user_points", user)
    config = of_data("python:user_points:split_by_seed", seed=seed)
    train = configs.load_data(config)
    test = restore.load_test(config, train.spec)
    both = np.concatenate([train.arrays["point"], test.arrays["point"]])
    assert sorted(both.ravel()) == list(range(10))
    config.data = "python:user_points:without_test"
    assert restore.load_test(config, train.spec) is None
    # An error is not taken for the lack of a test set.
    config.data = "python:user_points:broken"
    with pytest.raises(ValueError, match="the file is damaged"):
        restore.load_test(config, train.spec)


def test_the_test_set_has_the_size_of_the_training_set(tmp_path):
    config = of_data("digits")
    of = {"image": Field("image", (16, 16, 1), "uint8")}
    test = restore.load_test(config, of)
    assert test.spec["image"].shape == (16, 16, 1) and len(test) == 360
    np.save(tmp_path / "x.npy", np.zeros((4, 16, 16, 1), np.uint8))
    config.data = f"array:{tmp_path / 'x.npy'}"
    assert restore.load_test(config, of) is None
    # Two images of one size, of which one is grey.
    config.data = "colourise:photos"
    of = {"a": of["image"], "b": Field("image", (16, 16, 3), "uint8")}
    assert restore.load_test(config, of).spec == of


def test_statistics_are_recalibrated(tmp_path, tiny):
    """Of an average whose statistics are far off, samples change; without norm, not."""
    config = tiny("wgan_gp", ema=0.5)
    gan = configs.build(config)
    state = jax.jit(functools.partial(core.init, gan))(jax.random.key(0))
    wrong = jax.tree.map(lambda x: x + 5, state.ema["g"]["stats"])
    state = state.replace(ema={"g": {**state.ema["g"], "stats": wrong}})
    checkpoints = Checkpoints(tmp_path, keep=1)
    checkpoints.save(1, state, {"stream": 0})
    checkpoints.close()
    _, _, plain = restore.restore(config, tmp_path, None)
    afresh = restore.recalibrate(gan, plain)
    key = jax.random.key(1)
    inputs = gan.inputs(key, {"": jnp.zeros(64)})
    spread = [
        float(jnp.std(core.sample(gan, s, inputs, key)["image"], axis=0).mean())
        for s in (plain, afresh)
    ]
    assert spread[1] > 2 * spread[0]
    for a, b in zip(
        jax.tree.leaves(plain.ema["g"]["params"]),
        jax.tree.leaves(afresh.ema["g"]["params"]),
        strict=True,
    ):
        np.testing.assert_array_equal(a, b)
