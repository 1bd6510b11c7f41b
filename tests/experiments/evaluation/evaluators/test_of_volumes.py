"""Evaluators of volumes: boxes of several sizes, and such of one size."""

import functools

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
from gans.metrics.classifiers import solids

SIDE, N = 8, 40


class Boxes(nn.Module):
    """z [B], the size of each box -> volumes [B, 8, 8, 8, 1], in one corner."""

    @nn.compact
    def __call__(self, z, train):
        size = 2 + z * self.param("spread", nn.initializers.ones, ())
        place = jnp.indices((SIDE,) * 3).max(0)[..., None]
        inside = place < size[:, None, None, None, None]
        return jnp.where(inside, 0.9, -0.9)


def volumes(n):
    z = np.arange(n) % 4
    x = Boxes().apply({"params": {"spread": 1.0}}, z.astype(np.float32), train=False)
    return np.rint((np.asarray(x) + 1) * 127.5).astype(np.uint8)


@pytest.fixture(scope="module")
def boxes():
    """f(*metrics, spread, test, changes) -> report."""

    def inputs(key, batch):
        z = jax.random.randint(key, (length(batch),), 0, 4)
        return {"z": z.astype(jnp.float32)}

    def sample(nets, given, key):
        return {"voxels": nets["g"](given["z"])}

    gan = GAN(
        nets={"g": Net(Boxes(), (jax.ShapeDtypeStruct((1,), jnp.float32),))},
        updates=(),
        inputs=inputs,
        outputs={"sample": sample},
    )
    state = jax.jit(functools.partial(core.init, gan))(jax.random.key(0))
    source = InMemory("boxes", {"voxels": volumes(N)})

    def report(*metrics, spread=1.0, test=None, **changes):
        known = {"variant": "boxes", "data": "boxes", "data_dir": None}
        known |= {"dtype": "float32", "extractor": "auto"}
        known |= {"n_evaluate": N, "metrics": metrics} | changes
        own = jax.tree.map(lambda x: x * spread if x.ndim == 0 else x, state.params)
        other = state.replace(params=own)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("experiments.rundir.restore.load_test", lambda *_: test)
            return reports.make_evaluate(gan, ConfigDict(known), source)(other)

    return report


def values(report):
    assert not report["failed"], report["failed"]
    return {
        name.removeprefix("shapes/"): x["value"]
        for name, x in report["results"].items()
    }


def test_all_sizes_cover_and_one_does_not(boxes):
    found, one = values(boxes("shapes")), values(boxes("shapes", spread=0.0))
    # Of four sizes, of which the first of equals counts as the nearest.
    assert found["coverage"] == pytest.approx(4 / 20)
    assert one["coverage"] == pytest.approx(1 / 20)
    assert found["matching"] == pytest.approx(0, abs=1e-6)
    assert one["matching"] > 0.3 and one["nearest_training"] == pytest.approx(0)
    for x in (found, one):
        assert x["matching_training"] == x["matching_nearest"] == pytest.approx(0)
        assert x["coverage_training"] == pytest.approx(4 / 20)
        assert x["matching_empty"] == pytest.approx(8 * 3**0.5)
        assert 0.3 < x["matching_mean"] < 2
        assert x["nearest_training_real"] == pytest.approx(0, abs=1e-6)
    assert one["occupied"] == pytest.approx(8 / 512)
    assert found["occupied_real"] == pytest.approx(np.mean([8, 27, 64, 125]) / 512, 0.3)


def test_the_test_set_is_what_is_covered(boxes):
    test = InMemory("boxes", {"voxels": volumes(4)})
    report = boxes({"name": "shapes", "distance": "overlap"}, test=test)
    found = values(report)
    assert found["coverage"] == 1 and found["matching_empty"] == 1
    assert report["results"]["shapes/coverage"]["real"] == "4 test volumes"


@pytest.mark.parametrize(
    "options, message",
    [
        ({"distance": "hausdorf"}, "'hausdorf' is not one of chamfer, overlap"),
        ({"threshold": 1.0}, r"shapes: threshold=1.0 must be in \(0, 1\)"),
    ],
)
def test_options_that_do_not_exist(boxes, options, message):
    with pytest.raises(ValueError, match=message):
        boxes({"name": "shapes"} | options)


def test_which_extractors_see_volumes(boxes):
    shape = (SIDE, SIDE, SIDE, 1)
    assert extractors.choose(shape, kind="voxels")[0] == "solids"
    with pytest.raises(ValueError, match="'motion' does not see voxels; .*: solids"):
        boxes("fid", extractor="motion")
    with pytest.raises(ValueError, match="'solids' does not see clips; .*: motion"):
        extractors.check("solids", shape)
    with pytest.raises(ValueError, match="displacement is for data of kind video; out"):
        boxes("displacement")


def test_what_is_done_to_volumes():
    x = volumes(64)
    found, known = solids.altered(jnp.array(x), np.arange(64) % 3, 3, jax.random.key(0))
    found, plain = np.asarray(found), known < 3
    assert 0.3 < plain.mean() < 0.7 and {*np.unique(known)} == set(range(7))
    np.testing.assert_array_equal(found[plain], x[plain])
    assert (known[plain] == (np.arange(64) % 3)[plain]).all()
    np.testing.assert_array_equal(found[known == 3], x[known == 3][:, :, ::-1])
    lying = x[known == 4].swapaxes(1, 2)[:, ::-1]
    np.testing.assert_array_equal(found[known == 4], lying)
    np.testing.assert_array_equal(found[known == 5][:, :, :4], x[known == 5][:, :, :4])
    assert found[known == 6].sum() < 0.9 * x[known == 6].sum()


@pytest.mark.slow
def test_features_of_volumes_are_learnt_and_kept(boxes, tmp_path, monkeypatch):
    """Boxes at the other end are far, in features; a cached network is not trained."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("experiments.evaluation.volumetric.STEPS", 40)
    source = InMemory("boxes", {"voxels": volumes(N)})
    monkeypatch.setattr("gans.data.load", lambda *_, split="train", **__: source)
    near, far = (boxes("fid", spread=spread) for spread in (1.0, 2.0))
    for report in (near, far):
        assert not report["failed"], report["failed"]
    near, far = (x["results"]["fd_solids"]["value"] for x in (near, far))
    assert 0 <= near < far
    assert len([*tmp_path.rglob("solids_*.npz")]) == 1
