"""Workdirs of untrained models that translate, and folders of pictures."""

import numpy as np
import pytest
from PIL import Image


@pytest.fixture(scope="session")
def unpaired(untrained, tmp_path_factory):
    """Workdir of tests/systems/cycle: outputs a_to_b and b_to_a, of three channels."""
    return untrained("cycle", tmp_path_factory.mktemp("cycle"))


@pytest.fixture(scope="session")
def noisy(untrained, tmp_path_factory):
    """Workdir of tests/systems/paired: one channel, and dropout in its samples."""
    return untrained("paired", tmp_path_factory.mktemp("paired"))


@pytest.fixture
def photos(tmp_path):
    """photos(name=(mode, width, height), ...) -> a folder of pictures."""

    def make(**named):
        for i, (name, (mode, *size)) in enumerate(named.items()):
            path = tmp_path / "in" / name.replace("__", "/").replace("_", ".")
            path.parent.mkdir(parents=True, exist_ok=True)
            noise = np.random.default_rng(i).integers(0, 256, (*size[::-1], 4))
            image = Image.fromarray(noise.astype(np.uint8))
            if mode == "I;16":
                image = Image.fromarray(noise[..., 0].astype(np.uint16) * 257)
            elif mode != "RGBA":
                image = image.convert("RGB").convert(mode)
            image.save(path)
        return tmp_path / "in"

    return make
