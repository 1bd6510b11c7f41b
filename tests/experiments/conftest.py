"""A run whose model has a mapping network, for all that asks for one; plain pages."""

import pytest


@pytest.fixture(scope="module", autouse=True)
def plain_pages(request):
    """Pages of runs have no curves, except where those are tested.

    Drawing them takes more than half of the time of a run of a few steps.
    """
    with pytest.MonkeyPatch.context() as patch:
        if request.path.parent.name != "pages":
            plain = "experiments.pages.curves.draw"
            patch.setattr(plain, lambda panel, shown: "<svg ></svg>")
        yield


@pytest.fixture(scope="session")
def styled_run(untrained, tmp_path_factory):
    """The workdir of an untrained run of tests/systems/styled."""
    return untrained("styled", tmp_path_factory.mktemp("styled"))
