"""docs/extending.md: its files are a user's, its check prints what it says."""

import pathlib
import re
import sys

import pytest

from experiments import config as configs
from experiments import own_code
from experiments.contracts import promises, report
from experiments.training import effects
from gans import names

PAGE = pathlib.Path(__file__).parents[1] / "docs" / "extending.md"
TEXT = PAGE.read_text()
FILES = re.findall(r"^```python\n(# (mine/\w+\.py)\n.*?)^```$", TEXT, re.M | re.S)
FILES = {path: code for code, path in FILES}


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """The page's files in a folder of their own, from which they are imported."""
    for path, code in FILES.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(code)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    forget()
    yield tmp_path
    forget()


def forget():
    for name in [n for n in sys.modules if n.partition(".")[0] == "mine"]:
        del sys.modules[name]


def small(config):
    return configs.override(config, {"batch_size": 8, "n_evaluate": 20, "steps": 4})


def printed():
    """The blocks of what the check prints."""
    return re.findall(r"^```text\n(.*?)^```$", TEXT, re.M | re.S)


def test_the_check_prints_what_the_page_says(mine, capsys):
    config, _ = configs.load_file("mine/config.py")
    configs.check(config)
    assert report.write(small(config)) == 0
    found = capsys.readouterr().out.splitlines()
    said = printed()[0].splitlines()
    skipped = "skipped Two devices give the state that one gives, but for rounding"
    assert len(found) == len(said) == len(promises.PROMISES) + 1
    for line, wanted in zip(found, said, strict=True):
        assert line == wanted or line.startswith(skipped), line


def test_the_fault_is_found_that_the_page_shows(mine, capsys):
    path = mine / "mine" / "networks.py"
    code = path.read_text()
    assert code.count("nn.Dense(1)(h)[:, 0]") == 1
    path.write_text(code.replace("nn.Dense(1)(h)[:, 0]", "nn.Dense(1)(h)"))
    config, _ = configs.load_file("mine/config.py")
    assert report.write(small(config)) == 1
    found = capsys.readouterr().out.replace("[8", "[64")
    assert printed()[1] in found and found.endswith("2 broken\n"), "best, too"


def test_an_error_is_shown_as_the_page_shows_it(mine):
    path, (where, line, error) = mine / "mine/losses.py", printed()[2].splitlines()
    code = path.read_text()
    assert code.count("relu(by + fake_logits)") == 1
    path.write_text(code.replace("relu(by + fake_logits)", line.partition(", ")[2]))
    config, _ = configs.load_file("mine/config.py")
    config = small(config)
    config = configs.resolve(config, configs.load_data(config))
    with pytest.raises(own_code.CodeError) as raised, own_code.explained(config):
        effects.digest(config)
    said = str(raised.value).replace("(8,)", "(64,)")
    assert f"error: {said}" == error
    assert raised.value.lines.splitlines() == [where, line]


def test_every_kind_of_part_of_the_page_is_found_by_a_path(mine):
    for path in FILES:
        assert names.imported(path.removesuffix(".py").replace("/", "."), "page")
    with pytest.raises(ValueError, match="by='x' must be a number"):
        config, _ = configs.load_file("mine/config.py")
        config.loss = "mine.losses.margin(by='x')"
        source = configs.load_data(config)
        configs.build(configs.resolve(config, source))
