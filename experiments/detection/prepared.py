"""The signals that a run is asked about, prepared as those it was trained on."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from experiments import config as configs
from experiments.rundir import restore
from gans import data
from gans.data.sets import options
from gans.data.sets import series as sets
from gans.data.signals import Signal, scale


class Prepared(NamedTuple):
    """A signal [N, C] in its units, and what is -1 and 1 for the model, [C]."""

    signal: Signal
    low: np.ndarray
    high: np.ndarray

    @property
    def scaled(self) -> np.ndarray:
        """[N, C]."""
        return scale(self.signal.values, self.low, self.high)[0]


def of_run(config: Any, path: str | None = None) -> list[Prepared]:
    """Returns the signals of a path, or those of a run's data: the test set's, if any.

    A signal has the scale of the one of its name that the run was trained on, or of the
    only one; else its own.

    Args:
      config: of the run.
      path: a file or a folder, read with the options of the run's data.

    Raises ValueError for data that are no signals, and for another number of channels.
    """
    prefix, _, argument = config.data.partition(":")
    if f"{prefix}:PATH" not in sets.NAMES:
        raise ValueError(
            f"the run was trained on {config.data}, which are no signals; wanted a run "
            f"on {sets.NAMES[0]}"
        )
    trained = configs.load_data(config)
    size, channels = trained.size, trained.values.shape[1]
    known = {x.name: x for x in trained.signals}
    if path is None:
        asked = restore.load_test(config, trained.spec) or trained
    else:
        _, given = options(config.data, argument, sets.OPTIONS)
        given.pop("signals", None)
        given["window"] = str(size)
        text = "".join(f":{name}={value}" for name, value in given.items())
        asked = data.load(f"series:{path}{text}")
    found = []
    for signal in asked.signals:
        if signal.values.shape[1] != channels:
            raise ValueError(
                f"{path}: {signal.name} has {signal.values.shape[1]} channels, but the "
                f"run was trained on {channels}"
            )
        like = known.get(signal.name, signal)
        if len(known) == 1:
            (like,) = known.values()
        found.append(Prepared(signal, *scale(like.values)[1:]))
    return found
