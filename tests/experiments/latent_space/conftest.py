"""A generator with a mapping network, of no training: that of tests/systems/styled."""

import pathlib

import numpy as np
import pytest

from experiments.latent_space.generator import Styled

FIXTURES = pathlib.Path(__file__).parents[4] / "shared/reference/parity/style"


@pytest.fixture(scope="session")
def parity():
    """parity("latent_sefa") -> {name: array}; skips where it is missing."""

    def load(name):
        path = FIXTURES / f"{name}.npz"
        if not path.exists():
            pytest.skip("no parity fixtures here")
        with np.load(path) as arrays:
            return {name: arrays[name] for name in arrays.files if name != "hyper"}

    return load


@pytest.fixture(scope="session")
def workdir(styled_run):
    return str(styled_run)


@pytest.fixture(scope="session")
def styled(workdir):
    return Styled.load(workdir)
