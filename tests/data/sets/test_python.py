"""The user's own source, by the name of a function."""

import sys

import pytest

from gans import data

SOURCE = """
import numpy as np
from gans.data.source import InMemory, Streamed
from gans.data.spec import Field

LIST = [1]

def squares(*, resolution, channels, split, seed):
    image = np.full((9, resolution or 8, resolution or 8, channels or 1), seed)
    return InMemory(f"squares of {split}", {"image": image.astype(np.uint8)})

def arrays(**_):
    return np.zeros(3)

def floats(**_):
    image = np.random.default_rng(0).random((9, 4, 4, 1)).astype(np.float32)
    spec = {"image": Field("image", (4, 4, 1), "float32")}
    return Streamed("floats", lambda i: {"image": image[i]}, 9, spec)

def narrow(*, resolution):
    pass

def two(*, seed, **_):
    x = np.zeros((3, 2), np.float32)
    return InMemory("two", {"a": x, "b": x}, {"a": "point", "b": "point"})
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Modules `own.shapes` and `own.broken` that can be imported."""
    package = tmp_path / "own"
    package.mkdir()
    (package / "shapes.py").write_text(SOURCE)
    (package / "broken.py").write_text("import missing_library")
    monkeypatch.syspath_prepend(tmp_path)
    yield
    for name in [n for n in sys.modules if n.partition(".")[0] == "own"]:
        del sys.modules[name]


def test_the_function_makes_the_source(here):
    source = data.load("python:own.shapes:squares", resolution=4, channels=3, seed=7)
    assert source.name == "squares of train" and source.shape == (4, 4, 3)
    assert (source[0]["image"] == 7).all()
    test = data.load("python:own.shapes:squares", split="test")
    assert test.name == "squares of test" and test.shape == (8, 8, 1)
    dotted = data.load("python:own.shapes.squares", resolution=4, seed=7)
    assert (dotted[0]["image"] == 7).all()
    assert list(data.load("python:own.shapes:two").spec) == ["a", "b"]
    assert data.seeded("python:own.shapes:squares")


@pytest.mark.parametrize(
    "name, message",
    [
        ("own.shapes:square", "'square' is not one of .*did you mean 'squares'"),
        ("own.shapes:LIST", "'LIST' is not one of"),
        ("own.shape:squares", "no module 'own.shape'; it is looked for in"),
        ("owned.shapes:squares", "no module 'owned'"),
        ("squares", "not of the form python:package.module:function"),
        ("own.shapes.square", "'square' is not one of .*did you mean 'squares'"),
        ("own/shapes.py:squares", "not of the form"),
        ("own.shapes:floats", r"'image': .* in \[-1, 1\], these are in \[0, 1\]"),
        ("own.shapes:arrays", "returned ndarray; wanted a source"),
    ],
)
def test_what_is_no_source(here, name, message):
    with pytest.raises(ValueError, match=message) as error:
        data.load(f"python:{name}")
    assert f"python:{name}" in str(error.value)


def test_errors_of_the_module_are_its_own(here):
    with pytest.raises(ModuleNotFoundError, match="missing_library"):
        data.load("python:own.broken:squares")
    with pytest.raises(TypeError, match="narrow.*unexpected keyword"):
        data.load("python:own.shapes:narrow")
