"""A run goes on with more steps, or fewer, as if it had always been meant to."""

import functools

import jax
import numpy as np
import pytest

from experiments import config as configs
from experiments.rundir.checkpoint import Checkpoints
from experiments.training import longer
from experiments.training.loop import train
from gans import core

pytestmark = pytest.mark.usefixtures("compiled_once")


def points(tiny, **changes):
    options = {
        "batch_size": 8,
        "steps": 20,
        "steps_per_call": 5,
        "log_every": 10,
        "sample_every": 20,
        "checkpoint_every": 10,
        "diagnose_every": 0,
        "metrics": (),
    }
    return tiny("gan", "circle", **options | changes)


def last(workdir):
    return Checkpoints(workdir, keep=None).latest()


def state(workdir):
    config = configs.from_json((workdir / "config.json").read_text())
    init = functools.partial(core.init, configs.build(config))
    template = jax.eval_shape(init, jax.random.key(0))
    return jax.tree.leaves(Checkpoints(workdir, keep=None).restore(template)[0])


def test_twenty_steps_and_twenty_more_are_forty(tmp_path, tiny, capsys):
    whole, longer_run = tmp_path / "whole", tmp_path / "longer"
    train(points(tiny, steps=40), whole)
    train(points(tiny), longer_run)
    assert last(longer_run) == 20
    train(points(tiny, steps=40), longer_run)
    assert (
        last(longer_run) == 40 and "continuing after step 20" in capsys.readouterr()[1]
    )
    one, other = state(whole), state(longer_run)
    for x, y in zip(one, other, strict=True):
        assert np.asarray(x).tobytes() == np.asarray(y).tobytes()
    kept = configs.from_json((longer_run / "config.json").read_text())
    assert kept.steps == 40


def test_steps_may_be_lowered_to_the_checkpoint_and_no_further(tmp_path, tiny):
    train(points(tiny), tmp_path)
    old = configs.from_json((tmp_path / "config.json").read_text())
    longer.check(old, points(tiny, steps=20), 20)
    longer.check(points(tiny, steps=40), old, 20)
    with pytest.raises(configs.ConfigError, match="the checkpoint is after step 20"):
        train(points(tiny, steps=10), tmp_path)


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
def test_what_ends_at_the_last_step_is_named(tiny, schedule):
    old, new = points(tiny), points(tiny, steps=40)
    for config in (old, new):
        config.generator.optimizer.schedule = schedule
    said = rf"config.steps: 20 -> 40 .*config.generator.optimizer.schedule={schedule}"
    with pytest.raises(ValueError, match=rf"{said} ends .*--allow-config-change"):
        longer.check(old, new, 10)
    for config in (old, new):
        config.discriminator.optimizer.schedule = schedule
    with pytest.raises(ValueError, match=f"schedule={schedule} end at"):
        longer.check(old, new, 10)


@pytest.mark.parametrize(
    "changes",
    [
        {"augment": ("instance_noise(stop=30)",)},
        {"ema_half_life": 10.0},
        {"n_critic_changes": ((15, 2),)},
        {"top_k": "top_k(interval=10)"},
    ],
)
def test_what_counts_from_the_first_step_is_free(tiny, changes):
    longer.check(points(tiny, **changes), points(tiny, steps=40, **changes), 10)


def test_warmup_of_the_learning_rate_is_free(tiny):
    old, new = points(tiny), points(tiny, steps=40)
    for config in (old, new):
        config.generator.optimizer.warmup = 10
    longer.check(old, new, 10)
