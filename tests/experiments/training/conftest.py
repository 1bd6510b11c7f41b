"""Runs of one config that trace and compile it once between them."""

import functools
import json

import pytest

from experiments import config as configs
from experiments.training import longer
from experiments.training.stage import Stages


@pytest.fixture(scope="module")
def ready_stages():
    """{what the steps of a stage depend on: the stage} of the tests of a module."""
    return {}


@pytest.fixture
def compiled_once(ready_stages):
    """Runs that take the same steps share their programs with others of this module.

    That is, runs of configs that differ in nothing but keys that no step depends on,
    such as those that are stopped and go on. Without this each compiles its own.
    """
    make = Stages._make

    def once(stages, index):
        ready = make(stages, index)
        config = ready.config.to_dict()
        if not longer._depending(ready.config):
            del config["steps"]
        config = {k: v for k, v in config.items() if k not in configs.FREE}
        said = json.dumps([config, index, stages._inputs], sort_keys=True, default=str)
        # Tests may replace what builds the model.
        first = ready_stages.setdefault((said, configs.build), ready)
        if first is ready:
            ready.programs.compile = functools.cache(ready.programs.compile)
        ready.programs, ready.samplers._made = first.programs, first.samplers._made
        return ready

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Stages, "_make", once)
        yield
