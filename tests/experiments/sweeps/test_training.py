"""What the process of a trial checks before a sweep begins."""

import pytest

from experiments import config as configs
from experiments.sweeps import training

VARIANT = """
from gans.stages import Stage
from gans.variants import gan

def stages(config, spec):
    return Stage(10, 4, spec), Stage(10, 4, spec)

def build(config, spec, stage=0):
    if stage == 1 and config["latent"] > 5:
        raise ValueError("the second stage takes 5 numbers at most")
    return gan.build(config, spec)
"""


def test_every_stage_of_every_corner_is_built(tmp_path, tiny, monkeypatch):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "growing.py").write_text(VARIANT)
    monkeypatch.syspath_prepend(tmp_path)
    config = tiny("gan", "circle", steps=20, steps_per_call=5, n_evaluate=100)
    config.variant = "mine.growing"
    text = configs.to_json(config)
    found = training._check([text, text])
    assert found == {"objective": "eval/modes/high_quality", "better": "higher"}
    config.latent = 6
    with pytest.raises(ValueError, match="second stage takes 5"):
        training._check([text, configs.to_json(config)])
