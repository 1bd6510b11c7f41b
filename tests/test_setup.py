"""The wheel holds every module, and every file that the modules read."""

import os
import pathlib
import re
import runpy
import subprocess

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


def test_setting_up_says_what_it_does(tmp_path):
    command = ["make", "-n", "setup", f"VENV={tmp_path / 'venv'}", "EXTRAS=test"]
    own = {name: x for name, x in os.environ.items() if not name.startswith("MAKE")}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=own)
    assert done.returncode == 0, done.stderr
    lines = [line.strip() for line in done.stdout.splitlines() if line.strip()]
    said = [i for i, line in enumerate(lines) if line.startswith("echo ")]
    slow = [i for i, line in enumerate(lines) if re.search("venv$|-m (pip|comp)", line)]
    assert said[0] == 0 and len(said) == 3
    assert all(i - 1 in said for i in slow) and len(slow) == 3
    assert "pip install -q --no-compile" in lines[slow[1]]
