"""A run whose model has a mapping network, for all that asks for one."""

import pytest


@pytest.fixture(scope="session")
def styled_run(untrained, tmp_path_factory):
    """The workdir of an untrained run of tests/systems/styled."""
    return untrained("styled", tmp_path_factory.mktemp("styled"))
