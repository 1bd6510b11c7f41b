"""A run whose model has a mapping network, for all that asks for one; plain pages."""

import functools
import importlib

import jax
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


@pytest.fixture(scope="session")
def digits_run(tmp_path_factory):
    """digits_run("cgan") -> the workdir of an untrained, tiny run on 16x16 digits."""

    @functools.cache
    def make(variant):
        from experiments import config as configs
        from experiments.rundir.checkpoint import Checkpoints
        from gans import core

        folder = tmp_path_factory.mktemp(variant)
        config = importlib.import_module(f"configs.{variant}").get_config("digits")
        config.generator.widths, config.latent = (8, 8, 8), 5
        config.discriminator.convolutions = ((8, 3, 2), (8, 3, 2))
        config = configs.resolve(config, configs.load_data(config))
        (folder / "config.json").write_text(configs.to_json(config))
        checkpoints = Checkpoints(folder, keep=None)
        init = jax.jit(functools.partial(core.init, configs.build(config)))
        checkpoints.save(7, init(jax.random.key(7)).replace(step=np.int32(7)), {})
        checkpoints.close()
        return folder

    return make
