"""Outputs of examples beside the real images of the same rows."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import numpy as np
from jax import Array
from tqdm import tqdm

from experiments.evaluation import distances, statistics
from experiments.evaluation.failures import attempt
from experiments.evaluation.result import Result
from gans import core
from gans.metrics.features.extractor import Extractor
from gans.metrics.scores import fidelity

Measure = Callable[[np.ndarray, np.ndarray], Array]


class Pairs:
    """An output and, row by row, what it should be.

    All metrics of a state are computed in one pass, on what would be saved: images are
    rounded to levels.

    Args:
      setting: the `experiments.evaluation.setting.Setting` that these belong to.
      output: of the model.
      field: of the data and of the output.
    """

    def __init__(self, setting: Any, output: str, field: str):
        self.setting, self.output, self.field = setting, output, field
        self._measures: dict[str, Measure] = {}
        self._state, self._found = None, {}

    @property
    def shape(self) -> tuple[int, ...]:
        """That of the images [H, W, C]."""
        return self.setting.spec[self.field].shape

    @functools.cached_property
    def protocol(self) -> dict[str, Any]:
        """What the numbers depend on: how many pairs, and of which size."""
        size = "whole pictures" if self.whole else list(self.shape)
        return {"n": self.setting.plan(self.output).n, "shape": size}

    @functools.cached_property
    def whole(self) -> bool:
        """Whether each pair is as large as it is, and not cut to a common size."""
        return hasattr(self.setting.samplers.conditions, "whole")

    def check(self, metric: str) -> None:
        """Raises ValueError, naming the metric, if outputs have no real counterpart."""
        source, place = self.setting.samplers.conditions, self.setting.place
        made_of = self.setting.sampler(self.output).depends_on
        if not made_of:
            raise ValueError(
                f"{place}: {metric} compares an output with the real image of the same "
                f"row; output {self.output!r} is not made of examples"
            )
        group = next(x for x in source.groups if self.field in x)
        others = [name for name in made_of if name not in group]
        if others:
            raise ValueError(
                f"{place}: {metric} needs pairs: output {self.output!r} makes "
                f"{self.field} of {', '.join(others)}, and in {source.name} these do "
                "not correspond. Scores of sets, such as fid and kid, need no pairs"
            )

    def want(self, name: str, measure: Measure) -> None:
        """Has a metric computed with all others.

        measure: (x, y) -> [B, ...] of outputs x and real images y, as they are stored
          [B, H, W, C].

        Raises ValueError if there is one of that name already.
        """
        if name in self._measures:
            place = self.setting.place
            raise ValueError(f"{place}: {name} of {self.output!r} is there twice")
        self._measures[name] = measure

    def values(self, state: core.State, name: str) -> np.ndarray:
        """Returns what the metric gives of all pairs: [n, ...]."""
        if state is not self._state:
            self._state, self._found = state, attempt(lambda: self._measured(state))
        if isinstance(self._found, Exception):
            raise self._found
        return self._found[name]

    @property
    def each(self) -> dict[str, dict[str, float]]:
        """{picture: {metric: value}} of the last state, where pictures are whole."""
        found = self._found if isinstance(self._found, dict) else {}
        found = {x: y.tolist() for x, y in found.items() if self.whole and y.ndim == 1}
        if not found:
            return {}
        names = self.setting.samplers.conditions.names
        rows = enumerate(self.setting.plan(self.output).rows)
        return {names[i]: {x: y[k] for x, y in found.items()} for k, i in rows}

    def result(
        self, state: core.State, name: str, better: str, **protocol: Any
    ) -> Result:
        """Returns the mean of a metric over the pairs, and its standard error."""
        return mean(self.values(state, name), better, {**self.protocol, **protocol})

    def _measured(self, state):
        found = {name: [] for name in self._measures}
        plan = self.setting.plan(self.output)
        bar = tqdm(
            desc=f"{', '.join(found)} of {self.output}",
            total=plan.n,
            unit=" images",
            disable=None,
            leave=False,
        )
        with bar:
            for made, real in self.batches(state):
                n = len(made)
                size = n if self.whole else plan.size
                fill = ((0, size - n), *[(0, 0)] * (made.ndim - 1))
                both = [np.pad(x, fill) for x in (made, real)]
                for name, measure in self._measures.items():
                    found[name].append(np.asarray(measure(*both))[:n])
                bar.update(n)
        return {name: np.concatenate(parts) for name, parts in found.items()}

    def batches(self, state: core.State) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yields outputs and real images of the same rows, as the data store them."""
        source, start = self.setting.samplers.conditions, 0
        options = {"size": 1, "whole": True} if self.whole else {}
        take = source.whole if self.whole else source.take
        for made in self.setting.encoded(state, self.output, self.field, **options):
            rows = self.setting.plan(self.output).rows[start : start + len(made)]
            start += len(made)
            yield made, take(*(rows % n for n in source.lengths))[self.field]


def mean(
    values: np.ndarray, better: str, protocol: Mapping[str, Any] | None = None
) -> Result:
    """Returns the mean of values [n], with its standard error if they have one."""
    error = None
    if len(values) > 1 and np.isfinite(values).all():
        error = float(values.std(ddof=1) / np.sqrt(len(values)))
    return Result(float(values.mean()), better, error, protocol or {})


def in_float64(measure: Measure) -> Measure:
    """Returns a pure function of images, compiled, with float64 if it asks for it."""
    compiled = jax.jit(measure)

    def wide(x, y):
        with jax.enable_x64(True):  # what draws the samples must not see it
            return compiled(x, y)

    return wide


def of_part(
    pairs: Pairs, metric: str, measure: Measure, *, least: int, crop: int, luma: bool
) -> Measure:
    """Returns a measure of levels [B, H, W, C], of a part of what there is.

    Args:
      pairs: which it is for.
      metric: its name, for errors.
      least: pixels of a side that it needs.
      crop: so many pixels of each side are left out.
      luma: of Y alone (BT.601, 16 to 235), as super-resolution has it.

    Raises ValueError for what leaves less than `least`.
    """
    height, width, _ = pairs.shape
    if crop < 0 or min(height, width) - 2 * crop < least:
        raise ValueError(
            f"{pairs.setting.place}: {metric}: crop={crop} of images of {width}x"
            f"{height}; at least {least}x{least} must be left"
        )

    def part(x):
        x = fidelity.cropped(x, crop)
        return fidelity.luma(x) if luma else x

    return in_float64(lambda x, y: measure(part(x), part(y)))


def by_features(
    pairs: Pairs, metric: str, load: Callable[[], Extractor], prefix: str = ""
) -> Callable[[core.State], dict[str, Result]]:
    """Returns the evaluator of the distance in an extractor's features.

    The result is called by the extractor, after the prefix. load: () -> the extractor,
    called when it is needed.
    """

    @functools.cache
    def extractor():
        return load()

    @functools.cache
    def distance():
        return distances.distance(extractor())

    pairs.want(metric, lambda x, y: distance()[0](x, y))

    def evaluate(state):
        known = {**statistics.protocol(extractor()), "distance": distance()[1]}
        result = pairs.result(state, metric, "lower", **known)
        return {f"{prefix}{extractor().name}": result}

    return evaluate
