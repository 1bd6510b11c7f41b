"""An exported run, imported again: the same weights, so the same samples."""

import functools
import pathlib

import jax
import numpy as np
import pytest
import safetensors.numpy

import experiments
from experiments import config as configs
from experiments.exchange import exporting, importing
from experiments.rundir.checkpoint import Checkpoints
from gans import core, stages

ROOT = pathlib.Path(__file__).parents[3]
VARIANTS = sorted(p.stem for p in (ROOT / "gans/variants").glob("[a-z]*.py"))
PARTS = ("params", "stats", "ema")


def run_of(config, folder):
    """The workdir of a run with random weights, after half of its steps."""
    step = config.steps // 2
    index = stages.index_of(configs.stages(config), step)
    gan = configs.build(config, index)
    init = functools.partial(core.init, gan)
    rng = np.random.default_rng(0)
    state = jax.tree.map(
        lambda x: rng.normal(size=x.shape).astype(x.dtype),
        jax.eval_shape(init, jax.random.key(0)),
    )
    folder.mkdir()
    (folder / "config.json").write_text(configs.to_json(config))
    checkpoints = Checkpoints(folder, keep=None)
    checkpoints.save(step, state.replace(step=np.int32(step)), {})
    checkpoints.close()
    return folder


def there_and_back(config, folder):
    """(model, the same after an export and an import, the file)."""
    workdir, out = run_of(config, folder / "run"), folder / "x.safetensors"
    exporting.weights(workdir, out)
    importing.models([out], folder / "again", config, asked=False)
    return *(experiments.load(x) for x in (workdir, folder / "again")), out


def compare(model, again):
    assert int(again.state.step) == int(model.state.step) > 0
    for part in PARTS:
        jax.tree.map(
            np.testing.assert_array_equal,
            getattr(model.state, part),
            getattr(again.state, part),
        )


@pytest.mark.parametrize("variant", ["gan"])
def test_the_same_samples(variant, tiny, tmp_path):
    model, again, out = there_and_back(tiny(variant, "ring8"), tmp_path)
    compare(model, again)
    names = {x.split("/")[0] for x in safetensors.numpy.load_file(out)}
    assert names == {*PARTS} - {"stats"}
    one, other = (x.sample(8)["point"] for x in (model, again))
    np.testing.assert_array_equal(one, other)
    assert (one != again.sample(8, seed=1)["point"]).all()


@pytest.mark.slow
@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_comes_back(variant, tiny, tmp_path):
    compare(*there_and_back(tiny(variant), tmp_path)[:2])
