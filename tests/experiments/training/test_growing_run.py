"""A training whose networks grow: interrupted in a fade and at a border."""

import os
import signal

import jax
import numpy as np
import pytest

from configs import pggan
from experiments import config as configs
from experiments.evaluation import reports
from experiments.rundir.checkpoint import Checkpoints
from experiments.rundir.restore import restore
from experiments.signals import Interrupted
from experiments.training import loop
from experiments.training.loop import train
from experiments.training.stage import Stages


def small():
    """4 and 8 pixels: 5 steps, 10 of fading, and 10."""
    config = pggan.get_config()
    config.resolution, config.latent, config.batch_size = 8, 5, 4
    for player in (config.generator, config.discriminator):
        player.channel_base, player.channel_max = 64, 4
    config.stable_kimg, config.fade_kimg = 0.02, 0.04
    config.steps, config.steps_per_call = 25, 5
    config.log_every = config.sample_every = config.checkpoint_every = 5
    config.diagnose_every = config.evaluate_every = 0
    config.metrics, config.keep_checkpoints = (), 20
    return config


def leaves(workdir):
    config = configs.from_json((workdir / "config.json").read_text())
    found = Stages(config, configs.load_data(config)).template
    return jax.tree.leaves(Checkpoints(workdir, keep=None).restore(found)[0])


@pytest.mark.slow
@pytest.mark.usefixtures("compiled_once")
def test_interrupted_in_a_fade_and_at_a_border_it_ends_the_same(tmp_path, monkeypatch):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    train(small(), whole)
    assert {p.name for p in (whole / "samples").glob("step*")} == {
        f"step_{n:08d}.png" for n in range(0, 26, 5)
    }
    # At the border, in the fade, and at its end.
    wanted, steps = [5, 10, 15], loop.ahead.steps

    def killing(call, state, start, stop, per_call, **options):
        for step, *found in steps(call, state, start, stop, per_call, **options):
            if wanted and step == wanted[0]:
                wanted.pop(0)
                os.kill(os.getpid(), signal.SIGTERM)
            yield step, *found

    monkeypatch.setattr(loop.ahead, "steps", killing)
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        for _ in range(3):
            with pytest.raises(Interrupted):
                train(small(), cut)
    finally:
        signal.signal(signal.SIGTERM, before)
    train(small(), cut)
    for a, b in zip(leaves(whole), leaves(cut), strict=True):
        np.testing.assert_array_equal(a, b)
    # The negative control: five steps less are another state.
    run = configs.from_json((whole / "config.json").read_text())
    config, _, state = restore(run, whole, 20)
    assert any(
        not np.array_equal(a, b)
        for a, b in zip(leaves(whole), jax.tree.leaves(state), strict=True)
    )
    assert config.resolution == 8
    assert restore(run, whole, 5)[0].resolution == 4


def scores(monkeypatch, least):
    """Stages of which those of fewer pixels a side cannot be scored."""

    def make(gan, config, source, **options):
        if config.resolution < least:
            raise ValueError(f"{config.resolution} pixels are too few")

    monkeypatch.setattr(reports, "make_evaluate", make)
    config = small()
    config.metrics = ("kid",)
    source = configs.load_data(config)
    return Stages(configs.resolve(config, source), source)


def test_a_stage_of_too_few_pixels_is_not_scored_and_says_why(monkeypatch):
    evaluate = scores(monkeypatch, least=8).get(0).evaluate
    assert evaluate(None)["failed"] == {"kid": "4 pixels are too few"}


def test_metrics_that_no_stage_can_have_are_refused_at_the_start(monkeypatch):
    with pytest.raises(configs.ConfigError, match="8 pixels are too few"):
        scores(monkeypatch, least=16).get(0)
