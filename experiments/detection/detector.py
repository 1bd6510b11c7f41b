"""Detection in three lines: `Detector(...).fit(series).detect(series)`."""

from __future__ import annotations

from typing import Any

import numpy as np
from ml_collections import ConfigDict

from configs import presets
from experiments import config as configs
from experiments.detection import networks, training
from experiments.detection.detection import Detection, Rules, detect
from gans.data.signals import Signal, filled, read, scale
from gans.metrics.anomalies.intervals import Found

Series = np.ndarray | Signal | str


class Detector:
    """Learns what a time series is usually like, and finds where it is not.

        detector = Detector(window=100, epochs=35, seed=0)
        detector.fit(series)  # an array [N] or [N, C], a Signal, or a path
        for start, end, score in detector.detect(series):
            print(start, end, score)

    Both ends are included: steps of an array, seconds of a signal with times. NaN in a
    series are interpolated. A series that was not fitted is scaled as the one that was.

    Args:
      window: steps that the model sees at once.
      epochs: how often each window is seen.
      seed: of the first weights, the batches and the latents.
      rules: how anomalies are found; see `Rules`.
      config: NAME[:PRESET] of a config of series, or a ConfigDict.
      changes: of it: {"batch_size": 32, "generator.width": 16}.

    Attributes, after `fit`:
      config: as it was trained.
      gan, state: the trained model.
      low, high: [C], what is -1 and 1 for it.

    Raises ValueError for a config or changes that are not accepted.
    """

    def __init__(
        self,
        *,
        window: int = 100,
        epochs: float = 35,
        seed: int = 0,
        rules: Rules | None = None,
        config: str | ConfigDict = presets.DETECTOR,
        changes: dict[str, Any] | None = None,
    ):
        if window < 2 or epochs <= 0:
            raise ValueError(
                f"window={window}, epochs={epochs}: wanted at least 2, and above 0"
            )
        given = configs.load_file(config)[0] if isinstance(config, str) else config
        self.window, self.epochs, self.seed = window, epochs, seed
        self.rules = rules or Rules()
        self._given = configs.override(given, changes or {}, "changes")

    def fit(self, series: Series) -> Detector:
        """Trains a model of the series; returns the detector itself.

        Raises ValueError for a series shorter than a window, or of one value alone.
        """
        scaled, self.low, self.high = scale(_signal(series).values)
        source = training.windows_of(scaled, self.window)
        config = configs.resolve(self._given, source)
        config.steps = training.steps_of(self.epochs, [len(source)], config)
        self.config = config
        self.gan, (self.state,) = training.train_many([scaled], config, [self.seed])
        networks.check(self.gan, config.variant)
        self._apply = networks.applier(self.gan, self.window)
        return self

    def detect(self, series: Series) -> list[Found]:
        """Returns (start, end, score) of each anomaly, in order."""
        return self.detection(series).intervals

    def detection(self, series: Series) -> Detection:
        """Returns all that there is to know: the reconstruction, errors, and scores.

        Raises ValueError before `fit`, and for a series of other channels.
        """
        if not hasattr(self, "state"):
            raise ValueError("detect: call fit(series) first")
        signal = _signal(series)
        channels = signal.values.shape[1]
        if channels != len(self.low):
            raise ValueError(
                f"the series has {channels} channels, the fitted one {len(self.low)}"
            )
        scaled, *_ = scale(signal.values, self.low, self.high)
        merged = self._apply(self.state, scaled)
        return detect(signal, merged, self.rules, self.low, self.high)


def _signal(series):
    """A series as a signal without NaN."""
    if isinstance(series, str):
        series = read(series)
    if not isinstance(series, Signal):
        values = np.asarray(series, np.float64)
        if values.ndim not in (1, 2) or not len(values):
            raise ValueError(f"a series of shape {values.shape}; wanted [N] or [N, C]")
        values = values.reshape(len(values), -1)
        series = Signal(np.arange(len(values)), values, "series")
    return filled(series)
