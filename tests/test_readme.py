"""What README and docs say is true: code runs, commands and paths exist."""

import functools
import importlib.util
import pathlib
import re
import shlex
import subprocess
import sys
import types

import jax
import numpy as np
import pytest

from experiments import config as configs
from experiments.rundir.checkpoint import Checkpoints
from gans import core, data

ROOT = pathlib.Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
WITH_CODE = [page for page in PAGES if "```py" in page.read_text()]
FOLDERS = ("gans", "experiments", "configs", "tests", "docs")
NAMES = [page.name if page.parent == ROOT else f"docs/{page.name}" for page in PAGES]
pages = pytest.mark.parametrize("page", PAGES, ids=NAMES)


def blocks(text, language="python"):
    """The code blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.M | re.S)


def commands(text):
    """The arguments of each `python -m experiments.X`, of which the module is one."""
    joined = re.sub(r"\\\n\s*", "", text)
    for line in re.findall(r"python -m (experiments\.[^\n`]*)", joined):
        if '"' not in line and "'" not in line:
            line = line.partition("))")[0].split(" (")[0].rstrip("),.;:")
        yield shlex.split(line, comments=True)


@functools.cache
def known_flags(module):
    """The names of all flags of a command, by its --helpfull."""
    command = [sys.executable, "-m", module, "--helpfull"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert "--" in done.stdout + done.stderr, done.stderr[-2000:]
    shown = re.findall(r"^\s+(?:-\w,)?--(\[no\])?([\w-]+)", done.stdout, re.M)
    return {name for _, name in shown}


def fault_of(command):
    """What is wrong with a command line; None if nothing is."""
    module, *arguments = command
    if importlib.util.find_spec(module) is None:
        return f"there is no {module}"
    config = None
    for argument in arguments:
        if not argument.startswith("--"):
            continue
        name, _, value = argument.partition("=")
        if name.startswith("--config."):
            try:
                configs.changed(config, [argument])
            except ValueError as error:
                return str(error)
        elif name[2:] not in {"help"} | known_flags(module):
            return f"{module} has no flag {name}"
        elif name == "--config" and not re.search("NAME|PATH|^mine/", value):
            try:
                path = value.partition(":")[0].endswith(".py")
                config, _ = configs.load_file(str(ROOT / value) if path else value)
            except ValueError as error:
                return str(error)
    return None


def paths(text):
    """Paths of this repository that a page names, wherever they are in it."""
    top = "|".join(FOLDERS)
    found = re.findall(rf"(?<![\w/.-])((?:{top})/[\w./-]*\w)", text)
    return [path for path in found if not re.search("[A-Z]{3,}", path)]


def links(text):
    """Targets of Markdown links that are files, and parts of this or other pages."""
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S)
    found = re.findall(r"\]\(([^)\s]+)\)", prose)
    return [link for link in found if not link.startswith(("http:", "https:"))]


def anchors(text):
    """The anchors of a page's headings."""
    heads = re.findall(r"^#+ (.*)$", text, re.M)
    return {re.sub(r"[^\w -]", "", h.lower()).replace(" ", "-") for h in heads}


@pytest.fixture
def workdir(tiny, tmp_path, monkeypatch):
    """A folder with what the examples need: a run at runs/cgan-digits32."""
    folder = tmp_path / "runs" / "cgan-digits32"
    folder.mkdir(parents=True)
    config = tiny("cgan", "digits32")
    (folder / "config.json").write_text(configs.to_json(config))
    state = jax.jit(functools.partial(core.init, configs.build(config)))
    checkpoints = Checkpoints(folder, keep=None)
    checkpoints.save(0, state(jax.random.key(0)), {})
    checkpoints.close()
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    # What docs/voxels.md prepares: 789 chairs, in 12 rotations, as packed bits.
    np.savez("chairs30.npz", voxels=np.zeros((789, 12, 3375), np.uint8))
    return tmp_path


def run(page, name):
    """Runs a page's blocks in order, as one notebook; returns its variables."""
    notebook = types.ModuleType("notebook")
    for code in blocks(page):
        exec(compile(code, name, "exec"), vars(notebook))
    return vars(notebook)


@pytest.mark.parametrize("page", WITH_CODE, ids=lambda page: page.name)
def test_the_code_runs(page, workdir):
    found = run(page.read_text(), page.name)
    if page.name == "README.md":
        assert found["points"].shape == (64, 2)
        assert found["images"].shape == (64, 32, 32, 1)


def test_code_that_is_wrong_is_found(workdir):
    text = (ROOT / "README.md").read_text()
    with pytest.raises(ValueError, match="no_such_set"):
        run(text.replace('data.load("ring8")', 'data.load("no_such_set")'), "README")


def own_files(text):
    """{path: code} of the blocks that begin with the name of a file of the reader's."""
    found = (re.match(r"# (mine/\w+\.py)\n", code) for code in blocks(text))
    return {match[1]: match.string for match in found if match}


def test_a_variant_and_data_outside_the_package(workdir):
    for page in PAGES:
        for path, code in own_files(page.read_text()).items():
            (workdir / path).parent.mkdir(exist_ok=True)
            (workdir / path).write_text(code)
    config, _ = configs.load_file(str(ROOT / "configs" / "gan.py") + ":ring8")
    config.variant = "mine.relativistic"
    gan = configs.build(configs.resolve(config, data.load("ring8")))
    assert [update.name for update in gan.updates] == ["d", "g"]
    squares = data.load("python:mine.shapes:squares", resolution=16)
    assert squares[3]["image"].shape == (16, 16, 1)


@pages
def test_quotes_are_what_the_files_hold(page):
    for quote in blocks(page.read_text(), "py"):
        first, lines = quote.split("\n", 1)
        source = (ROOT / first.removeprefix("# ")).read_text()
        assert flat(lines) in flat(source), first


def flat(code):
    return "\n".join(line.strip() for line in code.splitlines())


@pages
def test_commands_exist_with_their_flags(page):
    for command in commands(page.read_text()):
        assert fault_of(command) is None, command


@pytest.mark.parametrize(
    "line, fault",
    [
        ("experiments.runs --config=configs/gan.py", "there is no experiments.runs"),
        ("experiments.sample --work_dir=runs/a", "has no flag --work_dir"),
        ("experiments.run --config=configs/gam.py", "gam.py"),
        ("experiments.run --config=configs/gan.py:ring9", "ring9"),
        ("experiments.run --config=configs/gan.py --config.critic.lr=1", "critic"),
    ],
)
def test_commands_that_are_wrong_are_found(line, fault):
    (command,) = commands(f"run `python -m {line}`, then wait")
    assert fault in fault_of(command)


@pages
def test_paths_and_links_exist(page):
    text = page.read_text()
    for path in paths(text):
        assert (ROOT / path).exists(), path
    for link in links(text):
        target, _, part = link.partition("#")
        target = page.parent / target if target else page
        assert target.exists(), link
        assert not part or part in anchors(target.read_text()), link


def test_what_is_looked_for_is_found():
    text = "`gans/core.py`, [x](docs/a.md#b-c), configs/NAME.py, python:a:b"
    assert paths(text) == ["gans/core.py", "docs/a.md"]
    assert links(text) == ["docs/a.md#b-c"]
    assert anchors("## Ten lines, of `it`\n") == {"ten-lines-of-it"}
    for page in PAGES[:1]:
        assert len([*commands(page.read_text())]) > 4
        assert len(paths(page.read_text())) > 8


def test_readme_is_short():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 150


def test_every_page_is_in_the_index():
    index = links((ROOT / "docs" / "README.md").read_text())
    assert {page.name for page in PAGES[1:]} - {"README.md"} <= set(index)
