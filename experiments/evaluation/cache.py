"""The cache folder: what can be computed again, and need not be."""

from __future__ import annotations

import functools
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from experiments.files import replacing


def read(path: Path) -> dict[str, np.ndarray] | None:
    """Returns the arrays of an .npz; None where there is none that can be read."""
    try:
        with open(path, "rb") as file, np.load(file) as kept:
            return dict(kept)
    except Exception:  # NumPy raises half a dozen kinds for a damaged file
        return None


def keep(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Writes an .npz, if that is possible; else says once that nothing is kept."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary, open(temporary, "wb") as file:
            np.savez(file, **arrays)
    except OSError as error:
        cannot_write(path.parent.parent, error.strerror or str(error))


@functools.cache
def cannot_write(folder: Path, why: str) -> None:
    """Says, once, that the cache folder cannot be written."""
    print(
        f"warning: the cache folder {folder} cannot be written ({why}): features and "
        "classifiers are computed, but not kept; $XDG_CACHE_HOME names another place",
        file=sys.stderr,
    )
