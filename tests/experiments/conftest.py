"""A run whose model has a mapping network, for all that asks for one; plain pages."""

import numpy as np
import pytest

from experiments.sampling import pictures


def plain_points(path, real, fake, modes=None):
    """In place of a scatter plot: a picture of the numbers themselves."""
    numbers = b"1" + np.asarray(fake, np.float32).tobytes()
    picture = np.resize(np.frombuffer(numbers, np.uint8), (64, 64, 3))
    pictures.save_png(path, picture)
    return picture


@pytest.fixture(scope="module", autouse=True)
def plain_pages(request):
    """Runs have no curves and no scatter plots, except where those are tested.

    Drawing them takes more than half of the time of a run of a few steps.
    """
    with pytest.MonkeyPatch.context() as patch:
        if request.path.parent.name != "pages":
            plain = "experiments.pages.curves.draw"
            patch.setattr(plain, lambda panel, shown: "<svg ></svg>")
        if request.path.parent.name != "sampling":
            patch.setattr("experiments.sampling.pictures.point.scatter", plain_points)
        yield


@pytest.fixture(scope="session")
def styled_run(untrained, tmp_path_factory):
    """The workdir of an untrained run of tests/systems/styled."""
    return untrained("styled", tmp_path_factory.mktemp("styled"))
