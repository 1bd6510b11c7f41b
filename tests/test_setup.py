"""The wheel holds every module, and every file that the modules read."""

import pathlib
import re
import runpy

import setuptools

from experiments import config as configs

ROOT = pathlib.Path(__file__).parents[1]
PACKAGES = ("gans", "experiments", "configs")


def in_wheel(monkeypatch):
    """The files of a wheel, by the arguments that setup.py passes to setuptools."""
    given = {}
    monkeypatch.setattr(
        setuptools, "setup", lambda **arguments: given.update(arguments)
    )
    monkeypatch.chdir(ROOT)
    runpy.run_path(str(ROOT / "setup.py"))
    found = set()
    for package in given["packages"]:
        folder = pathlib.Path(*package.split("."))
        patterns = ["*.py", *given["package_data"].get(package, [])]
        found |= {path for pattern in patterns for path in folder.glob(pattern)}
    return found


def test_the_wheel_is_complete(monkeypatch):
    found = in_wheel(monkeypatch)
    wanted = {
        path
        for package in map(pathlib.Path, PACKAGES)
        for path in package.rglob("*")
        if path.is_file()
        and "__pycache__" not in path.parts
        and not path.name.startswith(".")
    }
    assert found == wanted
    for path in (
        "configs/ablations/n_critic.py",
        "experiments/pages/run.html",
        "experiments/pages/page.css",
    ):
        assert pathlib.Path(path) in found


def test_a_folder_without_init_would_be_missed(tmp_path, monkeypatch):
    """The negative control: `find_packages` skips it silently."""
    for folder in ("gans", "gans/inner"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "module.py").touch()
    (tmp_path / "gans/__init__.py").touch()
    assert setuptools.find_packages(str(tmp_path)) == ["gans"]


def test_make_train_is_scored_along_the_way():
    named = re.search(r"^CONFIG \?= (\S+)$", (ROOT / "Makefile").read_text(), re.M)
    config, _ = configs.load_file(str(ROOT / named[1]))
    configs.check(config)
    assert config.data == "digits" and "classes" in config.metrics
    assert 4 <= config.steps // config.evaluate_every <= 10
    assert config.steps % config.evaluate_every == 0, "the last one is at the end"
