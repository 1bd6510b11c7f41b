"""A run on the demo signal, and a signal of its own with its reconstruction."""

import numpy as np
import pytest

from gans.data.signals import Signal


@pytest.fixture(scope="session")
def series_run(untrained, tmp_path_factory):
    """The workdir of an untrained run of tests/systems/series on series:demo."""
    folder = tmp_path_factory.mktemp("series")
    return untrained("series", folder, on="series:demo:window=16")


@pytest.fixture
def spiked():
    """(signal of 600 hours with a spike at 300, windows [585, 16, 1], critic [585])."""
    t = np.arange(600)
    smooth = np.sin(t / 9)
    values = smooth.copy()
    values[300:306] += 3
    signal = Signal(1_600_000_000 + 3600 * t, values[:, None], "spiked", ("load",))
    low, high = values.min(), values.max()
    scaled = (smooth - (low + high) / 2) / ((high - low) / 2)
    rows = np.lib.stride_tricks.sliding_window_view(scaled, 16)[..., None]
    critic = np.random.default_rng(0).normal(size=len(rows))
    critic[286:306] += 9
    return signal, rows, critic
