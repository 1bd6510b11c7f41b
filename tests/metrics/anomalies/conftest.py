"""Values of the reference implementation, Orion 0.7.1."""

import json
import pathlib

import numpy as np
import pytest

FOLDER = pathlib.Path(__file__).parents[4] / "shared/reference/parity/tadgan"


def opened(name):
    path = FOLDER / name
    if not path.exists():
        pytest.skip(f"{name} is not in ../shared/reference/parity/tadgan")
    if path.suffix == ".json":
        return json.loads(path.read_text())
    with np.load(path) as file:
        return {key: file[key] for key in file if key != "meta"}


@pytest.fixture(scope="session")
def reference():
    """(name of a file) -> its content."""
    return opened


@pytest.fixture(scope="session")
def toy():
    """errors_and_scores.npz."""
    return opened("errors_and_scores.npz")
