"""A model that is asked for what a sentence says."""

import functools

import jax
import numpy as np
import pytest

from experiments import config as configs
from experiments.rundir.checkpoint import Checkpoints
from gans import core

pytest.importorskip("fastapi", reason="extra serve")
from experiments.service import asked, models  # noqa: E402

pytestmark = pytest.mark.slow


def test_samples_are_those_of_the_text(tiny, tmp_path):
    config = tiny("gan_cls")
    (tmp_path / "config.json").write_text(configs.to_json(config))
    state = jax.jit(functools.partial(core.init, configs.build(config)))
    checkpoints = Checkpoints(tmp_path, keep=None)
    checkpoints.save(1, state(jax.random.key(0)), {})
    checkpoints.close()
    limits = asked.Limits(n=4)
    served = models.opened("text", tmp_path, "last", (4,), limits)
    output = served.outputs["sample"]

    def made(text):
        wanted = asked.read(b'{"n": 2, "seed": 5, "text": "%s"}' % text)
        ((rows, _),), _ = output.prepared(wanted)
        return output([rows])[0]["image"]

    wanted = served.model.sample(2, seed=5, text="a large thin three")["image"]

    def far(images):  # as a share: untrained images are faint
        return np.abs(images - wanted).max() / np.abs(wanted).max()

    assert far(made(b"a large thin three")) < 1e-4
    assert far(made(b"a small thick one")) > 1e-2
    with pytest.raises(asked.Invalid, match="'thinn' is not one of .* 'thin'"):
        made(b"a thinn three")
    with pytest.raises(asked.Invalid, match="made of caption"):
        output.prepared(asked.read(b'{"n": 2}'))
