"""Whether a model still makes what it made: fixed samples, and scores of recent ones.

A generator that is not trained further changes by other weights, versions or hardware
only. Samples of a fixed seed show that at once and for little.
"""

from __future__ import annotations

import os
import tempfile
from collections import deque
from pathlib import Path
from typing import Any

import numpy as np

from experiments.evaluation import comparison
from experiments.files import replacing
from experiments.sampling.sampler import Arrays
from gans.data import kinds
from gans.data.spec import Spec

STATISTICS = "statistics.npz"  # of real images, in the folder of a run
RECENT, LEAST = 1024, 64  # images of an output that are kept, and that are scored
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

    def levels(self, name: str, step: int, output: str, made: Arrays) -> float:
        """Returns the largest difference from the first samples, in levels of grey.

        Each checkpoint has first samples of its own. It is infinite if the shapes
        differ, or if samples are not finite.

        Args:
          name, step: of the model and its checkpoint.
          output: its name.
          made: the fixed samples, {field: [n, ...]}.

        Raises OSError if the folder cannot be written to or read.
        """
        place = name, output, step
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


class Recent:
    """The last images that a service has made of an output, uint8."""

    def __init__(self):
        self._images: deque[np.ndarray] = deque(maxlen=RECENT)

    def put(self, spec: Spec, fields: Arrays) -> None:
        """Keeps the images of samples, {field: [n, ...]}, if they have some."""
        for name, x in fields.items():
            if name in spec and spec[name].kind == "image":
                self._images.extend(kinds.of(spec[name]).encode(x))
                return

    def images(self) -> np.ndarray | None:
        """Returns them, uint8 [n, H, W, C]; None for few, or of several sizes."""
        found = [*self._images]
        if len(found) < LEAST or len({x.shape for x in found}) > 1:
            return None
        return np.stack(found)


def scored(workdir: str | os.PathLike) -> bool:
    """Whether a run has statistics of real images, by which samples can be scored."""
    return (Path(workdir) / STATISTICS).exists()


def scores(workdir: str | os.PathLike, images: np.ndarray) -> dict[str, float]:
    """Returns scores of images by the statistics that the folder of a run holds.

    images: uint8 [n, H, W, C].

    Raises ValueError if the statistics are damaged, or of other images.
    """
    with tempfile.TemporaryDirectory() as folder:
        samples = Path(folder) / "recent.npy"
        np.save(samples, images)
        real = str(Path(workdir) / STATISTICS)
        report: dict[str, Any] = comparison.measure(real, str(samples), ("fid",))
    return {name: x["value"] for name, x in report["results"].items()}
