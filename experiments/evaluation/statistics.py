"""Mean and covariance of features in a file, as pytorch-fid keeps them, and of what."""

from __future__ import annotations

import dataclasses
import json
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from experiments.evaluation.features import Features
from experiments.files import replacing
from gans.metrics.features.extractor import Extractor
from gans.metrics.scores.moments import Moments

# What must be equal for two sets of features to be comparable.
COMPARED = ("extractor", "weights", "resize", "scale", "features", "function")


@dataclasses.dataclass(frozen=True, eq=False)
class Statistics:
    """Of N features: `mean` [D], `cov` [D, D] (ddof 1); `protocol` if the file has it.

    `n`, and the `image_size` (height, width), are None if they are unknown.
    """

    mean: np.ndarray
    cov: np.ndarray
    n: int | None
    protocol: dict[str, Any] | None
    image_size: tuple[int, int] | None = None


def protocol(extractor: Extractor) -> dict[str, Any]:
    """Returns all that features depend on beside the images."""
    return {"extractor": extractor.name, **extractor.protocol}


def write(path: str | os.PathLike, features: Features, extractor: Extractor) -> None:
    """Writes an .npz: mu, sigma (float64), n, image_size, and protocol, as JSON."""
    moments = Moments.of(features.features)
    described = json.dumps(protocol(extractor))
    with replacing(path) as temporary, open(temporary, "wb") as file:
        np.savez(
            file,
            mu=moments.mean,
            sigma=moments.cov(),
            n=moments.n,
            image_size=np.array(features.shape[:2]),
            protocol=described,
        )


def holds(path: str | os.PathLike) -> bool:
    """Says whether the file is an .npz with `mu` and `sigma`."""
    if Path(path).suffix != ".npz" or not Path(path).is_file():
        return False
    if not zipfile.is_zipfile(path):  # damaged, or an .npy by another name
        return False
    with zipfile.ZipFile(path) as archive:
        return {"mu.npy", "sigma.npy"} <= set(archive.namelist())


def read(path: str | os.PathLike) -> Statistics:
    """Returns what `write` or pytorch-fid wrote.

    Raises ValueError, with the file's name, if it is damaged or of other shapes.
    """
    try:
        with np.load(path) as content:
            found = Statistics(
                content["mu"],
                content["sigma"],
                int(content["n"]) if "n" in content else None,
                json.loads(str(content["protocol"])) if "protocol" in content else None,
                tuple(content["image_size"].tolist())
                if "image_size" in content
                else None,
            )
    except Exception as error:  # NumPy raises half a dozen kinds for a damaged file
        raise ValueError(
            f"{path} is not a readable file of statistics: {error}"
        ) from None
    d = found.mean.shape
    if len(d) != 1 or found.cov.shape != d * 2:
        raise ValueError(
            f"{path}: mu and sigma are {list(d)} and {list(found.cov.shape)}; wanted "
            "[D] and [D, D]"
        )
    return found


def compare(name: str, found: dict[str, Any] | None, wanted: dict[str, Any]) -> None:
    """Raises ValueError if features of two protocols cannot be compared.

    `found` None is a file that does not say: nothing can be checked.
    """
    if found is None:
        return
    wrong = [
        f"{key}: {found.get(key)} there, {wanted.get(key)} here"
        for key in COMPARED
        if found.get(key) != wanted.get(key)
    ]
    if wrong:
        raise ValueError(f"{name} is of another protocol: {'; '.join(wrong)}")
