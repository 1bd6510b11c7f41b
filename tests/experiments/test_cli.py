"""What the commands share, with commands made here."""

import os
import re
import resource
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from absl import flags, logging

from experiments import cli, files
from experiments.signals import Interrupted

ROOT = Path(__file__).parents[2]


def test_the_workdir_has_a_default():
    for spec, wanted in (
        ("gan.py", "gan-circle"),
        ("wgan_gp.py:mnist", "wgan_gp-mnist"),
    ):
        named = cli.chosen([f"--config=configs/{spec}"])
        assert cli.default_workdir(*named) == Path("runs") / wanted
        assert cli.default_workdir(*named, "sweep") == Path("runs") / f"sweep-{wanted}"


@pytest.mark.parametrize(
    "argv, value",
    [
        (["--a=1"], "1"),
        (["--a", "2", "--b"], "2"),
        (["--b=3", "--a=4=5"], "4=5"),
        (["--aa=1", "a=2"], None),
        (["--a"], None),
    ],
)
def test_the_value_of_a_flag(argv, value):
    assert cli.value_of("--a", argv) == value


@pytest.fixture
def quiet(monkeypatch):
    """Leaves this process's settings as they are."""
    monkeypatch.setattr(cli.process, "configure", lambda **_: None)
    monkeypatch.setattr(cli.process, "compilation_cache", lambda: None)
    before = logging.get_verbosity()
    yield
    logging.set_verbosity(before)


class Mine(Exception):
    """An error of a module that has ERRORS."""


@pytest.mark.parametrize(
    "module, error, code, said",
    [
        ("json", None, None, ""),
        ("json", ValueError("wrong"), 1, "error: wrong\n"),
        ("json", OSError("no disk"), 1, "error: no disk\n"),
        ("json", KeyboardInterrupt(), 130, "interrupted. To continue:\npython -m"),
        ("json", Interrupted(15, 7), 143, "SIGTERM after step 7. To continue:\n"),
        ("with_errors", Mine("mine"), 1, "error: mine\n"),
        (
            "json",
            RuntimeError("X: Out of memory.\n2"),
            1,
            "error: X: Out of memory. Ma",
        ),
        ("json", MemoryError("no room."), 1, "error: no room. Make config.batch_size"),
    ],
)
def test_errors_become_a_line_and_an_exit_code(
    quiet, monkeypatch, capsys, module, error, code, said
):
    monkeypatch.setitem(sys.modules, "with_errors", type(sys)("with_errors"))
    sys.modules["with_errors"].ERRORS = (Mine,)
    seen = []

    def work(imported):
        seen.append(imported.__name__)
        if error is not None:
            raise error

    assert cli.run(work, module) == code
    assert seen == [module]
    shown = capsys.readouterr().err
    assert shown.startswith(said) and (error is not None or not shown)


def test_errors_of_ours_keep_their_traceback(quiet, monkeypatch):
    def work(imported):
        raise TypeError("a mistake in the code")

    with pytest.raises(TypeError):
        cli.run(work, "json")
    monkeypatch.setitem(sys.modules, "with_errors", type(sys)("with_errors"))
    sys.modules["with_errors"].ERRORS = (Mine,)
    with pytest.raises(ValueError):  # which is not among the ERRORS of that module
        cli.run(lambda _: int("x"), "with_errors")


OWN = """
def loss():
    raise KeyError("in mine")
"""


@pytest.mark.parametrize("whole", [False, True])
def test_an_error_in_own_code_is_its_lines_and_a_line(
    quiet, monkeypatch, capsys, tmp_path, whole
):
    """It is that of a run's config, too; --traceback shows all of it."""
    (tmp_path / "own_of_cli.py").write_text(OWN)
    (tmp_path / "config.json").write_text('{"loss": "own_of_cli.loss"}')
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "own_of_cli", raising=False)
    monkeypatch.setattr(cli.flags, "FLAGS", flags.FlagValues())
    flags.DEFINE_string("workdir", str(tmp_path), "", cli.flags.FLAGS)
    flags.DEFINE_boolean("traceback", whole, "", cli.flags.FLAGS)

    def work(imported):
        import own_of_cli

        own_of_cli.loss()

    assert cli.run(work, "json") == 1
    *before, last = capsys.readouterr().err.splitlines()
    said = "config.loss='own_of_cli.loss': KeyError: 'in mine' (own_of_cli.py, line 3)"
    assert last == f"error: {said}"
    if whole:
        assert before[0] == "Traceback (most recent call last):"
    else:
        wanted = ["  own_of_cli.py, line 3, in loss", '    raise KeyError("in mine")']
        assert before == wanted


def test_all_commands_have_the_flag():
    assert flags.FLAGS["traceback"].value is False


COMMAND = """
    import os, sys
    from absl import flags
    from experiments import cli, files

    def main(module):
        print(module.__name__, "jax" in sys.modules)
        print("configured", "XLA_FLAGS" in os.environ, module.AT_IMPORT)
        print(cli.command())
        return 3

    if __name__ == "__main__":
        flags.DEFINE_string("name", None, "A name.")
        assert "jax" not in sys.modules
        cli.main(main, "room", cores_apart=True)
"""


def test_the_process_is_configured_before_the_room_is_imported(tmp_path):
    (tmp_path / "thin.py").write_text(textwrap.dedent(COMMAND))
    room = "import os\nAT_IMPORT = os.environ.get('XLA_FLAGS', '')\nimport jax\n"
    (tmp_path / "room.py").write_text(room)
    paths = f"{ROOT}:{tmp_path}"
    environ = {k: v for k, v in os.environ.items() if k != "XLA_FLAGS"}
    command = [sys.executable, "-m", "thin", "--name=a b"]
    done = subprocess.run(
        command,
        env=environ | {"PYTHONPATH": paths},
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    lines = done.stdout.splitlines()
    assert done.returncode == 3, done.stderr
    assert lines[0] == "room True" and lines[1].startswith("configured True")
    assert "xla_force_host_platform_device_count" in lines[1]
    assert lines[2] == "python -m thin '--name=a b'"
    shown = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "thin", "--help"],
        env=environ | {"PYTHONPATH": paths},
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert "--name" in shown.stdout and "| jax\n" not in shown.stderr
    assert "room" not in shown.stdout


def test_a_missing_package_is_named_with_its_extra(quiet, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "optuna", None)
    assert cli.run(lambda _: None, "optuna") == 1
    shown = capsys.readouterr().err
    assert shown == "error: optuna is not installed: pip install -e '.[sweep]'\n"
    monkeypatch.setitem(sys.modules, "not_optional", None)
    with pytest.raises(ModuleNotFoundError):
        cli.run(lambda _: None, "not_optional")


# --- of all commands ------------------------------------------------------------------

HEAVY = {"jax", "flax", "optax", "orbax", "grain", "matplotlib", "sklearn", "scipy"}
HEAVY |= {"tensorboardX", "torch", "tensorflow", "optuna", "ray"}
COMMANDS = {
    path.stem: path.read_text()
    for path in (ROOT / "experiments").glob("*.py")
    if "\nif __name__" in path.read_text()
}


def python(*arguments):
    """Returns (seconds of CPU time, stdout, packages that were imported)."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    imported = set(re.findall(r"\| +([\w.]+)$", done.stderr, re.M))
    return seconds, done.stdout, imported


def test_there_are_no_other_commands():
    names = "run sample evaluate metrics report benchmark ablate sweep collapse check "
    names += "translate upscale latents import_weights export detect"
    names += " generate provenance serve probe augmentation human_study"
    assert set(COMMANDS) == set(names.split())


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_help_is_light(name):
    """CPU time does not grow with other load on the machine, or only a little."""
    seconds, shown, imported = python("-m", f"experiments.{name}", "--help")
    for flag in re.findall(r'(?:DEFINE_\w+|path_flag)\(\s*"([\w-]+)"', COMMANDS[name]):
        assert re.search(rf"--(\[no\])?{flag}\b", shown), flag
    assert "experiments" in imported and not HEAVY & imported
    assert seconds < 2


def test_what_is_heavy_is_found():
    imported = python("-c", "import experiments.sampling.draw")[-1]
    assert {"jax", "flax", "orbax"} <= HEAVY & imported


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_a_wrong_flag_is_one_line(name):
    done = subprocess.run(
        [sys.executable, "-m", f"experiments.{name}", "--workdri=x", "--outt=x"],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1
    assert "workdri" in done.stderr or "outt" in done.stderr


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_commands_are_thin(name):
    assert COMMANDS[name].count("\n") <= 110


PATHS = {"workdir", "out", "save-stats", "space", "init-from", "{name}-weights"}
PATHS |= {"input", "mask", "file", "blend_with", "labels", "train"}
PATHS |= {"real", "fake", "answers"}
PATHS |= {"api_key_file", "refuse", "canary", "certificate", "key"}


def test_every_flag_for_a_path_expands_it():
    """All are made by `cli.path_flag`, and none by absl's functions."""
    texts = [*COMMANDS.values()]
    texts.append((ROOT / "experiments/evaluation/score_flags.py").read_text())
    for text in texts:
        assert not PATHS & {*re.findall(r'DEFINE_\w+\(\s*f?"([^"]+)"', text)}
    found = re.findall(r'path_flag\(\s*f?"([^"]+)"', "".join(texts))
    assert PATHS == {*found}


@pytest.mark.parametrize(
    "given, wanted",
    [
        ("~", "HOME"),
        ("~/a b", "HOME/a b"),
        ("$PLACE/x", "/place/x"),
        ("${PLACE}x", "/placex"),
        ("./~", "./~"),
        ("a~/$", "a~/$"),
        ("a?b%20:c#d", "a?b%20:c#d"),
    ],
)
def test_a_path_is_read_as_a_shell_reads_it(monkeypatch, given, wanted):
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setenv("PLACE", "/place")
    wanted = wanted.replace("HOME", "/home/me")
    assert files.expanded(given) == wanted
    values = flags.FlagValues()
    monkeypatch.setattr(flags, "FLAGS", values)
    cli.path_flag("out", None, "Where to.")
    values(["command", f"--out={given}"])
    assert values.out == wanted
    for argv in (["x", f"--config={given}"], ["x", "--config", given]):
        assert cli.value_of("--config", cli.expand_config(argv)) == wanted


@pytest.mark.parametrize(
    "given, error",
    [
        ("", "wanted a path"),
        ("$NO_SUCH/x", r"the variable \$NO_SUCH is not set"),
        ("${NO_SUCH}", r"the variable \$NO_SUCH is not set"),
        ("~no_such_user/x", "there is no user 'no_such_user'"),
    ],
)
def test_a_path_that_cannot_be_read_is_refused(given, error):
    with pytest.raises(ValueError, match=error):
        files.expanded(given)


@pytest.mark.parametrize(
    "name, arguments, said",
    [
        ("report", ["--workdir=~/no"], "{home}/no"),
        ("run", ["--config=~/no.py"], "{home}/no.py"),
        ("run", ["--config=configs/gan.py", "--workdir=$NO_SUCH/x"], "$NO_SUCH is not"),
        ("sweep", ["--config=configs/gan.py", "--space=~/no"], "'{home}/no'"),
    ],
)
def test_home_in_the_flags_of_commands(tmp_path, name, arguments, said):
    done = subprocess.run(
        [sys.executable, "-m", f"experiments.{name}", *arguments],
        env=os.environ | {"HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert done.returncode == 1 and said.format(home=tmp_path) in done.stderr
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1
    assert not (ROOT / "~").exists()


def test_a_command_that_keeps_nothing_is_begun_again(monkeypatch, capsys):
    said = "python -m experiments.metrics a b"
    monkeypatch.setattr(cli, "command", lambda: said)
    assert cli.stopped(KeyboardInterrupt()) == 130
    assert capsys.readouterr().err == f"interrupted. To begin again:\n{said}\n"
