"""Parts of configs: what the data decide of a network."""

import importlib

import pytest

from gans import build
from gans.data.spec import Field


@pytest.mark.parametrize(
    "kind, shape, dtype, bounded",
    [
        ("image", (8, 8, 1), "uint8", True),
        ("video", (2, 8, 8, 1), "uint8", True),
        ("voxels", (4, 4, 4, 1), "uint8", True),
        ("point", (2,), "float32", False),
        ("series", (6, 2), "float32", False),
    ],
)
def test_the_kind_of_the_data_bounds_a_generator(kind, shape, dtype, bounded):
    config = importlib.import_module("configs.gan").get_config("ring8").to_dict()
    game = build.game(config, {"x": Field(kind, shape, dtype)})
    assert game.generator.bounded is bounded and game.generator.shape == shape
    # Networks of images alone are always bounded, and have no such field.
    part = {"network": "dcgan", "widths": (8,)}
    build.network("generator", part, 4, shape=(8, 8, 1), bounded=True)
