"""Models of many signals, trained in one compiled program."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from ml_collections import ConfigDict

from experiments import config as configs
from experiments.training import vmapped
from gans import core
from gans.data import pipeline
from gans.data.sets.series import Windows

Progress = Callable[[int, int], None]  # (steps done, of all)


def windows_of(values: np.ndarray, size: int) -> Windows:
    """Returns all windows of `size` steps of a scaled signal [N, C], as a source.

    Raises ValueError for a signal that is shorter.
    """
    n = len(values) - size + 1
    if n < 1:
        raise ValueError(
            f"the signal has {len(values)} steps, fewer than window={size}"
        )
    return Windows("signal", (), values.astype(np.float32), np.arange(n), size)


def steps_of(epochs: float, lengths: Sequence[int], config: ConfigDict) -> int:
    """Returns the steps in which the longest of some signals is seen `epochs` times.

    lengths: their numbers of windows. Steps are whole calls, at least one.
    """
    calls = epochs * max(lengths) / config.batch_size / config.steps_per_call
    return max(math.ceil(calls), 1) * config.steps_per_call


def train_many(
    signals: Sequence[np.ndarray],
    config: ConfigDict,
    seeds: Sequence[int],
    progress: Progress = lambda done, steps: None,
) -> tuple[core.GAN, list[core.State]]:
    """Trains a model of each signal; returns the GAN, and the states.

    All of them make as many steps, `config.steps`, of batches of their own; a shorter
    signal is seen more often. See `experiments.training.vmapped`.

    Args:
      signals: scaled, [N_i, C].
      config: resolved; its `spec` has the windows.
      seeds: a seed for each, all of them different.

    Raises ValueError for seeds that are not, and for a signal shorter than a window.
    """
    if len({*seeds}) != len(seeds) or len(seeds) != len(signals):
        raise ValueError(f"seeds {[*seeds]}: wanted {len(signals)}, all different")
    (field,) = (x for x in config.spec.to_dict().values() if x["kind"] == "series")
    batches = {
        seed: pipeline.batches(
            windows_of(x, field["shape"][0]), config.batch_size, seed=seed
        )
        for seed, x in zip(seeds, signals, strict=True)
    }
    runs = vmapped.VmappedRuns(
        lambda values: configs.build(config),
        values={},
        seeds=seeds,
        batches=batches,
        per_call=config.steps_per_call,
    )
    state = runs.init()
    for start in range(0, config.steps, config.steps_per_call):
        state, *_ = runs.call(state, start)
        progress(start + config.steps_per_call, config.steps)
    states = [vmapped.replica(state, i) for i in range(len(seeds))]
    return configs.build(config), states
