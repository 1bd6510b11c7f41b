"""Data sets are found by name."""

import importlib
import pkgutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

import gans.data
from gans.data import sets


def test_every_kind_by_name(tmp_path):
    Image.new("L", (4, 4)).save(tmp_path / "a.png")
    np.save(tmp_path / "a.npy", np.zeros((3, 4, 4), np.uint8))
    shapes = {
        "digits": (32, 32, 1),
        "circle": (2,),
        "ring8": (2,),
        "grid25": (2,),
        f"folder:{tmp_path}": (4, 4, 3),
        f"array:{tmp_path / 'a.npy'}": (4, 4, 1),
    }
    for name, shape in shapes.items():
        source = gans.data.load(name)
        assert source.name == name and source.shape == shape
        assert next(iter(source[0].values())).shape == shape


def test_options_arrive():
    source = gans.data.load("digits", resolution=16, channels=3, split="test")
    assert len(source) == 360 and source.shape == (16, 16, 3)
    one, two = (gans.data.load("circle", seed=s).arrays["point"] for s in (1, 2))
    assert (one != two).any()


@pytest.mark.parametrize(
    "name, near",
    [
        ("digit", "did you mean digits?"),
        ("ring", "did you mean ring8"),
        ("tfd:mnist", "did you mean tfds:NAME?"),
        ("tfds", "did you mean tfds:NAME?"),  # a colon is wanted
        ("folder:", "did you mean folder:PATH?"),
        ("digits:3", "did you mean digits?"),  # none is
        ("circle:", "did you mean circle?"),
        (
            "something else",
            "Known: array:PATH, captions:PATH, circle, colourise:PATH, digits, ",
        ),
        ("mnist", "did you mean tfds:mnist?"),
        ("../no_photos", "'../no_photos', and there is no such folder or file."),
        ("python:", "did you mean python:MODULE:FUNCTION?"),
    ],
)
def test_unknown_names(name, near):
    with pytest.raises(ValueError) as error:
        gans.data.load(name)
    assert repr(name) in str(error.value) and near in str(error.value)


def test_a_path_alone_suggests_its_name(tmp_path, monkeypatch):
    (tmp_path / "pets").mkdir()
    Image.new("L", (4, 4)).save(tmp_path / "pets" / "a.png")
    np.save(tmp_path / "a.npy", np.zeros((3, 4, 4), np.uint8))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for path, name in (
        ("pets", "folder:pets"),
        ("./pets/", "folder:./pets/"),
        ("~/pets", "folder:~/pets"),
        (str(tmp_path / "pets"), f"folder:{tmp_path}/pets"),
        ("pets/a.png", "folder:pets"),
        ("a.npy", "array:a.npy"),
        ("a.npy:range=0..1", "array:a.npy:range=0..1"),
        ("pets, ./pets", "unpaired:pets, ./pets or pairs:pets, ./pets"),
    ):
        with pytest.raises(ValueError) as error:
            gans.data.load(path)
        assert f"unknown data set {path!r}; did you mean {name}?" in str(error.value)


@pytest.mark.parametrize("option", [{"channels": 2}, {"resolution": 0}])
def test_impossible_sizes(option):
    (key,) = option
    with pytest.raises(ValueError, match=f"{key} must be .*{option[key]}"):
        gans.data.load("digits", **option)


def test_importing_it_imports_nothing_slow():
    code = (
        "import sys, gans.data, gans.data.pipeline\ngans.data.seeded('digits')\n"
        "slow = {'sklearn', 'tensorflow_datasets', 'tensorflow', 'grain', 'jax'}\n"
        "print(sorted(slow & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": ":".join(p or "." for p in sys.path)},
    )
    assert done.stdout.strip() == "[]"


def test_a_folder_that_is_called_like_a_set_is_said(tmp_path, monkeypatch, capsys):
    (tmp_path / "digits").mkdir()
    monkeypatch.chdir(tmp_path)
    assert len(gans.data.load("digits")) == 1437
    said = "digits is the set of this name; the folder would be folder:digits\n"
    assert capsys.readouterr().err == said


def test_which_sets_the_seed_draws():
    first, second = (gans.data.load("ring8", seed=seed)[0]["point"] for seed in (0, 1))
    assert (first != second).any() and gans.data.seeded("ring8")
    first, second = (gans.data.load("digits", seed=seed)[0]["image"] for seed in (0, 1))
    assert (first == second).all() and not gans.data.seeded("digits")
    assert gans.data.seeded("stacked:digits") and not gans.data.seeded("tfds:mnist")
    assert gans.data.seeded("edges:python:mine:squares")
    assert not gans.data.seeded("edges:photos") and not gans.data.seeded("pairs:photos")


def test_each_file_of_sets_serves_its_own_names():
    modules = [
        importlib.import_module(f"{sets.__name__}.{module.name}")
        for module in pkgutil.iter_modules(sets.__path__)
    ]
    names = [name for module in modules for name in module.NAMES]
    assert len(names) == len(set(names))
    prefixes = [name.partition(":")[0] for name in names]
    assert len(prefixes) == len(set(prefixes))
    assert all(isinstance(module.SEEDED, bool) for module in modules)


def test_a_new_set_is_one_file(tmp_path, monkeypatch):
    (tmp_path / "stripes.py").write_text(
        "from gans.data.source import InMemory\n"
        "import numpy as np\n"
        "NAMES, SEEDED = ('stripes',), True\n"
        "def load(name, *, resolution, **_unused):\n"
        "    image = np.zeros((9, resolution, resolution, 1), np.uint8)\n"
        "    return InMemory(name, {'image': image})\n"
    )
    monkeypatch.setattr(sets, "__path__", [*sets.__path__, str(tmp_path)])
    gans.data._served.cache_clear()
    try:
        assert gans.data.load("stripes", resolution=4).shape == (4, 4, 1)
        assert gans.data.seeded("stripes")
        with pytest.raises(ValueError, match="did you mean stripes"):
            gans.data.load("stripe")
    finally:
        gans.data._served.cache_clear()
        sys.modules.pop("gans.data.sets.stripes")


@pytest.mark.parametrize("name", ["digits", "ring8", "stacked:digits"])
def test_an_unknown_split(name):
    with pytest.raises(sets.NoSplit, match="no split 'tset'"):
        gans.data.load(name, split="tset")
    with pytest.raises(ValueError) as caught:
        gans.data.load("digist")
    assert not isinstance(caught.value, sets.NoSplit)
