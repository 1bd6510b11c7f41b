"""A user's own code: which files are behind a config, and where an error is raised."""

import sys

import pytest

from experiments import own_code

FILES = {
    "mine/__init__.py": "",
    "mine/losses.py": '''
"""Losses."""
from mine.parts import halved
from . import more


def margin(by=1.0):
    """A margin."""
    return halved(by)


def other():
    return more.x
''',
    "mine/parts.py": "import json\n\n\ndef halved(x):\n    return x / 2 + json.x\n",
    "mine/more.py": "def x():\n    raise KeyError('inner')\n",
    "mine/apart.py": "X = 1\n",
    "alone.py": "class Generator:\n    pass\n",
    "wrong.py": "def f(:\n",
}


@pytest.fixture
def mine(tmp_path, monkeypatch):
    for path, code in FILES.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(code)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    forget()
    yield tmp_path
    forget()


def forget():
    for name in [x for x in sys.modules if x.partition(".")[0] in ("mine", "alone")]:
        del sys.modules[name]


CONFIG = {
    "variant": "gan",
    "data": "python:mine.apart:squares",
    "data_dir": "mine.losses",
    "loss": "mine.losses.margin(by=2.0)",
    "generator": {
        "network": "alone",
        "norm": None,
        "optimizer": {"name": "optax.adam"},
    },
    "discriminator": {
        "network": "mlp",
        "penalties": ("r1", {"name": "mine.parts:halved", "weight": 1.0}),
    },
    "metrics": ("fid", "gone.metrics.ink"),
    "spec": {
        "image": {"kind": "image", "dtype": "uint8"},
        "sound": {"kind": "mine.more", "names": ["alone", "mine.apart"]},
    },
}


def test_names_of_own_code_are_found_wherever_they_are(mine):
    found = {part.place: part.path for part in own_code.named(CONFIG)}
    assert found == {
        "data": "mine.apart:squares",
        "loss": "mine.losses.margin",
        "generator.network": "alone",
        "discriminator.penalties[1]": "mine.parts:halved",
        "spec.sound": "mine.more",
    }
    ours = {"variant": "gan", "loss": "gans.losses.adversarial.hinge", "x": ("jax.nn",)}
    assert own_code.named(ours) == [], "neither ours nor what is installed"
    assert "mine.losses" not in sys.modules, "nothing is imported"


def test_code_is_of_a_module_and_of_what_it_imports(mine):
    code = own_code.code({"loss": "mine.losses.margin"})
    assert list(code) == ["mine", "mine.losses", "mine.more", "mine.parts"]

    def changes(path, text):
        (mine / path).write_text(text)
        return own_code.changed(code, own_code.code({"loss": "mine.losses.margin"}))

    assert changes("mine/apart.py", "X = 2\n") == []
    said = FILES["mine/losses.py"].replace("A margin", "The margin") + "# a comment\n"
    assert changes("mine/losses.py", said) == [], "comments and docstrings may change"
    assert changes("mine/more.py", "def x():\n    return 2\n") == ["mine.more"]
    both = changes("mine/parts.py", "def halved(x):\n    return x / 3\n")
    assert both == ["mine.more", "mine.parts"]
    assert own_code.listed(both) == "mine.more and mine.parts have"
    assert own_code.changed(None, code) == [], "what was not noted is not known"


def raised(function, config=CONFIG):
    with pytest.raises(own_code.CodeError) as error, own_code.explained(config):
        function()
    return error.value


def test_an_error_says_which_key_which_line_and_what(mine):
    def build():
        import mine.losses

        try:
            mine.losses.margin("x")
        except TypeError as error:
            raise RuntimeError("wrapped by us") from error

    error = raised(build)
    assert str(error) == (
        "config.loss='mine.losses.margin': TypeError: unsupported operand type(s) for "
        "/: 'str' and 'int' (mine/parts.py, line 5)"
    )
    assert error.lines.splitlines() == [
        "  mine/losses.py, line 9, in margin",
        "    return halved(by)",
        "  mine/parts.py, line 5, in halved",
        "    return x / 2 + json.x",
    ]


def test_the_part_is_named_by_the_function(mine):
    def call():
        import mine.parts

        mine.parts.halved(None)

    assert str(raised(call)).startswith(
        "config.discriminator.penalties[1]='mine.parts:halved': TypeError"
    )


def test_a_file_that_cannot_be_imported(mine):
    def load():
        import wrong  # noqa: F401

    said = str(raised(load, {"loss": "wrong.f"}))
    assert said.startswith("config.loss='wrong.f': SyntaxError: invalid syntax")
    assert said.endswith("(wrong.py, line 1)")


def test_other_errors_are_passed_on(mine):
    def call():
        raise ValueError("of ours")

    with pytest.raises(ValueError, match="of ours"), own_code.explained(CONFIG):
        call()
    # The code that calls, such as a notebook or a test, is not what a config names.
    assert own_code.explain(ValueError("x"), CONFIG) is None
    with pytest.raises(KeyError), own_code.explained({"loss": "mine.apart.x"}):
        import mine.more

        mine.more.x()
