"""Evaluators of clips: bars that move by one pixel a frame, or by more."""

import functools
import sys
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from ml_collections import ConfigDict

from experiments.evaluation import extractors, reports
from gans import core
from gans.core import GAN, Net, length
from gans.data.source import InMemory
from gans.data.spec import Field

T, SIDE, N = 5, 16, 48


class Bars(nn.Module):
    """z [B], where each bar begins -> clips [B, T, 16, 16, 1] of 1 pixel a frame."""

    @nn.compact
    def __call__(self, z, train):
        speed = 1 + self.param("more", nn.initializers.zeros, ())
        places = z[:, None] + speed * jnp.arange(T)
        far = (jnp.arange(SIDE) - places[..., None]) % SIDE
        rows = jnp.where(far < 5, 0.9, -0.9)[..., None, :, None]
        return jnp.broadcast_to(rows, (len(z), T, SIDE, SIDE, 1))


def inputs(key, batch):
    return {"z": jax.random.randint(key, (length(batch),), 0, 4).astype(jnp.float32)}


def parts(clips):
    """An extractor of the user's: the mean brightness of each column."""
    x = clips.astype("float32").mean((1, 2, 4)) / 255
    return {"features": x}


@pytest.fixture
def bars(tmp_path, monkeypatch):
    """(source, metrics -> report), of `more` pixels a frame than the data's."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    user = types.SimpleNamespace(parts=parts)
    monkeypatch.setitem(sys.modules, "user_extractor", user)
    monkeypatch.setattr(
        "experiments.rundir.restore.load_test", lambda config, spec: None
    )
    gan = GAN(
        nets={"g": Net(Bars(), (jax.ShapeDtypeStruct((1,), jnp.float32),))},
        updates=(),
        inputs=inputs,
        outputs={"sample": lambda nets, given, key: {"video": nets["g"](given["z"])}},
    )
    state = jax.jit(functools.partial(core.init, gan))(jax.random.key(0))
    z = np.arange(N) % 4
    x = Bars().apply({"params": {"more": 0.0}}, z.astype(np.float32), train=False)
    video = np.rint((np.asarray(x) + 1) * 127.5).astype(np.uint8)
    spec = {"video": Field("video", video.shape[1:], "uint8")}
    source = InMemory("bars", {"video": video}, spec)

    def report(*metrics, more=0.0, **changes):
        known = {"variant": "bars", "data": "bars", "data_dir": None}
        known |= {"dtype": "float32", "extractor": "user_extractor:parts"}
        known |= {"n_evaluate": N, "metrics": metrics} | changes
        own = jax.tree.map(lambda x: x + more if x.ndim == 0 else x, state.params)
        faster = state.replace(params=own)
        return reports.make_evaluate(gan, ConfigDict(known), source)(faster)

    return source, report


def test_displacement_is_that_of_samples_and_of_data(bars):
    _, report = bars
    same, faster = report("displacement"), report("displacement", more=1.0)
    assert not same["failed"], same["failed"]
    same, faster = same["results"], faster["results"]
    for found, wanted in ((same, 1), (faster, 2)):
        assert found["displacement/mean"]["value"] == pytest.approx(wanted, abs=0.1)
        assert found["displacement/mean_real"]["value"] == pytest.approx(1, abs=0.05)
    assert same["displacement/distance"]["value"] < 0.05
    assert faster["displacement/distance"]["value"] == pytest.approx(1, abs=0.1)
    assert faster["displacement/distance"]["better"] == "lower"
    real = faster["displacement/distance_real"]
    assert real["value"] < 0.05 and "half of the training clips" in real["real"]
    assert faster["displacement/mean"]["largest"] == 4
    assert faster["displacement/unexplained"]["value"] < 0.2


def test_scores_by_features_take_clips(bars):
    _, report = bars
    found = report("fid", {"name": "pr", "k": 3}, more=3.0)
    assert [*found["results"]][:2] == ["fd_parts", "precision_parts"]
    assert found["results"]["fd_parts"]["value"] > 0.01
    assert report("fid")["results"]["fd_parts"]["value"] < 0.004


def test_single_frames_do_not_see_motion(bars):
    _, report = bars
    metric = {"name": "frames", "extractor": "random", "per_clip": 2}
    found = report(metric)
    assert not found["failed"], found["failed"]
    found = found["results"]
    assert found["frames/fd_random"]["value"] >= 0
    assert found["frames/fd_random"]["protocol"]["n_fake"] == 2 * N
    assert "half" in found["frames/fd_random_real"]["real"]
    with pytest.raises(ValueError, match="per_clip=9 must be from 1 to 5"):
        report({"name": "frames", "per_clip": 9})
    with pytest.raises(ValueError, match="'motion' is not one of"):
        report({"name": "frames", "extractor": "motion"})


def test_which_extractors_see_clips(bars):
    _, report = bars
    with pytest.raises(ValueError, match="'random' does not see clips; .*: motion"):
        report("fid", extractor="random")
    with pytest.raises(ValueError, match="'motion' does not see images; those that do"):
        extractors.check("motion", (16, 16, 3))
    with pytest.raises(ValueError, match="memorisation is for data of kind image; out"):
        report("memorisation")
    assert extractors.choose((T, SIDE, SIDE, 1))[0] == "motion"
