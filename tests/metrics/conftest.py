"""The published implementations that our metrics are compared with (extra `peers`)."""

import importlib
import importlib.util
import sys
from unittest import mock

import pytest

TORCHVISION = (
    "torchvision",
    "torchvision.transforms",
    "torchvision.transforms.functional",
    "torchvision.datasets",
    "torchvision.models",
    "torchvision.models.inception",
    "torchvision.utils",
)


@pytest.fixture(scope="session")
def peer():
    """peer("torch_fidelity.metric_fid") -> that module; skips where it is missing.

    Several import torchvision for what is of no use here, and it has no build for CPUs
    everywhere: empty modules stand in for it.
    """
    missing = importlib.util.find_spec("torchvision") is None
    stubs = {name: mock.MagicMock() for name in TORCHVISION if missing}

    def load(name):
        sys.modules.update(stubs)
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as error:
            pytest.skip(f"{error.name} is not installed (extra peers)")
        finally:
            for stub in stubs:
                del sys.modules[stub]

    return load
