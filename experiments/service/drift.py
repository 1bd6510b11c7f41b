"""Whether a model still makes what it made: fixed samples, and scores of recent ones.

A generator that is not trained further changes by other weights, versions or hardware
only. Samples of a fixed seed show that at once and for little.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from experiments.evaluation import comparison
from experiments.files import replacing
from experiments.sampling.sampler import Arrays
from experiments.service.models import Served
from gans.data import kinds
from gans.data.spec import Spec

STATISTICS = "statistics.npz"  # of real images, in the folder of a run
LEAST = 64  # recent samples, to be scored
_LEVELS = 127.5  # of grey, in a range from 0 to 1


class Canary:
    """Fixed samples of every output, compared with those of the first time.

    Args:
      folder: where the first samples are kept, for later processes and other machines;
        None: in memory.
    """

    def __init__(self, folder: str | os.PathLike | None = None):
        self._folder = None if folder is None else Path(folder)
        self._first: dict[tuple[str, str, int], Arrays] = {}
        if self._folder is not None:
            self._folder.mkdir(parents=True, exist_ok=True)

    def levels(self, served: Served, output: str) -> float:
        """Returns the largest difference from the first samples, in levels of grey.

        Each checkpoint has first samples of its own. It is infinite if the shapes
        differ, or if samples are not finite. To be called in the device's thread.

        Raises OSError if the folder cannot be written to or read.
        """
        place = served.name, output, served.step
        made = served.outputs[output].canary()
        first = self._first.get(place)
        if first is None:
            first = self._first[place] = self._kept(place, made)
        return difference(first, made)

    def _kept(self, place, made):
        if self._folder is None:
            return made
        path = self._folder / "{}_{}_{}.npz".format(*place)
        if not path.exists():
            with replacing(path) as temporary, open(temporary, "wb") as file:
                np.savez(file, **made)
        with np.load(path) as kept:
            return dict(kept)


def difference(first: Arrays, made: Arrays) -> float:
    """Returns the largest difference of samples in [-1, 1], in levels of grey."""
    found = [0.0]
    for name, x in made.items():
        y = first.get(name)
        if y is None or y.shape != x.shape or not np.isfinite(x).all():
            return float("inf")
        found.append(float(np.abs(x.astype(np.float64) - y).max()) * _LEVELS)
    return max(found)


def scores(
    served: Served, recent: Iterable[Mapping[str, np.ndarray]]
) -> dict[str, float]:
    """Returns scores of recent samples by the statistics that the run's folder holds.

    {} without `statistics.npz` there, without images, and for fewer than 64 samples.

    recent: {field: array}, each a sample.

    Raises ValueError if the statistics are damaged, or of other images.
    """
    path, recent = served.workdir / STATISTICS, list(recent)
    images = _images(served.model.spec, recent)
    if images is None or not path.exists():
        return {}
    with tempfile.TemporaryDirectory() as folder:
        samples = Path(folder) / "recent.npy"
        np.save(samples, images)
        report: dict[str, Any] = comparison.measure(str(path), str(samples), ("fid",))
    return {name: x["value"] for name, x in report["results"].items()}


def _images(spec: Spec, recent):
    """The samples as uint8 [n, H, W, C]; None without enough images of one size."""
    if len(recent) < LEAST:
        return None
    name = next((x for x in recent[0] if x in spec and spec[x].kind == "image"), None)
    if name is None or len({x[name].shape for x in recent}) > 1:
        return None
    return kinds.of(spec[name]).encode(np.stack([x[name] for x in recent]))
