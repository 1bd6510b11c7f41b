"""The compared loops train what they claim to: the same steps, different replicas."""

import jax
import numpy as np
import pytest

from experiments import config as configs
from experiments.benchmarks import seed_loops, workload
from gans.data import pipeline

N = 8


def tiny(steps=6, per_call=2):
    found = workload.load("configs/gan.py:ring8", batch_size=8)
    found.generator.widths = found.discriminator.widths = (8, 8)
    found.steps, found.steps_per_call = steps, per_call
    return found


@pytest.mark.parametrize(
    "seeds", [pytest.param([0], marks=pytest.mark.slow), [*range(N)]]
)
def test_a_run_trains_every_replica_by_the_same_number_of_steps(seeds, monkeypatch):
    made, loop = [], seed_loops.loop

    def spied(*args):
        train = loop(*args)
        made.append(train)
        return train

    monkeypatch.setattr(seed_loops, "loop", spied)
    runner = seed_loops.runner(configs.to_json(tiny()), seeds)
    assert runner.details["replicas"] == len(seeds) and runner.details["steps"] == 2
    (train,) = made
    assert train(0) == 2  # of `runner`'s own first run
    runner.cases["step"]()
    assert train(0) == 4
    assert train(6) == 10


def test_eight_vmapped_seeds_are_eight_different_replicas():
    """And alone there is one: what is trained is what is said to be compared."""
    own = tiny()
    batches = {
        seed: pipeline.batches(configs.load_data(own), 8, seed=seed)
        for seed in range(N)
    }
    state, call = seed_loops.vmapped(own, batches, 0)
    state, _ = call(state, 0)
    one, call = seed_loops.alone(own, {3: batches[3]}, 0)
    one, _ = call(one, 0)
    for many, single in zip(
        jax.tree.leaves(state.params), jax.tree.leaves(one.params), strict=True
    ):
        assert many.shape == (N, *single.shape)
    kernels = np.stack([np.ravel(x) for x in jax.tree.leaves(state.params)[1]])
    assert len(np.unique(kernels, axis=0)) == N
    assert int(state.step) == int(one.step) == 2
