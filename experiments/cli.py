"""What the commands share: settings of the process, flags, errors in one line.

A command is a thin file. What it runs lies in a module of another folder, which may
import whatever it needs at its top:

    from absl import flags

    from experiments import cli

    def main(loop):
        values = flags.FLAGS
        loop.train(values.config, values.workdir)

    if __name__ == "__main__":
        cli.path_flag("workdir", None, "Folder for the results.")
        cli.main(main, "experiments.training.loop", parse=cli.parse)

JAX takes its settings from the environment when it is imported, and the import takes
seconds. So `main` parses the flags first, then configures the process, and only then
imports that module. No other import has to be deferred because of the settings, and
`--help` and mistakes in the flags are answered immediately.
"""

from __future__ import annotations

import contextlib
import importlib
import itertools
import os
import re
import shlex
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from absl import app, flags, logging
from ml_collections import ConfigDict

from experiments import config as configs
from experiments import own_code, process, usage
from experiments.config import description
from experiments.files import expanded
from experiments.rundir.folder import read_json
from experiments.signals import Interrupted, ending_at_once

# Optional packages, and the extra of setup.py that installs each.
EXTRAS = {
    "optuna": "sweep",
    "ray": "ray",
    "torch": "reference",
    "granian": "serve",
    "c2pa": "c2pa",
    "jax2onnx": "onnx",
    "onnx": "onnx",
}

_NO_MEMORY = "RESOURCE_EXHAUSTED|Out of memory"  # in errors of JAX
_ADVICE = "Make config.batch_size or the networks smaller."

flags.DEFINE_boolean("traceback", False, "Show the whole traceback of an error.")
flags.disclaim_key_flags()  # `path_flag` defines those of the command that calls it

# Commands that keep nothing of interrupted work.
BEGIN_AGAIN = ("benchmark", "evaluate", "metrics", "report", "sample", "export")
BEGIN_AGAIN += ("probe", "augmentation", "human_study")

# Flags that name a user's own code, or a config that does.
_NAMING = ("config", "workdir", "metrics", "extractor", "distance")

Work = Callable[..., int | None]  # (imported module, *arguments) -> exit code


def main(
    work: Work,
    module: str,
    *,
    parse: Callable[[list[str]], list[str]] | None = None,
    jax: bool = True,
    cores_apart: bool = False,
) -> None:
    """Runs a command, and ends the process with its exit code.

    Args:
      work: gets the imported module, and the arguments that are not flags; returns the
        exit code, None for 0.
      module: the full name of what does the work. Its ERRORS, by default ValueError and
        OSError, are those that the user can correct. They are shown in one line. Its
        NO_MEMORY is the advice where memory is exhausted.
      parse: parses the command line; returns the command's name and the arguments that
        are not flags. None: `flags_only`.
      jax: whether the command itself uses JAX. If not, the process is left as it is.
      cores_apart: see `experiments.process.configure`.
    """
    process.lasting_streams()
    try:
        with ending_at_once(lambda number: _leave(stopped(number))):
            app.run(
                lambda argv: run(
                    work, module, *argv[1:], jax=jax, cores_apart=cores_apart
                ),
                flags_parser=parse or flags_only,
            )
    except KeyboardInterrupt as error:
        _leave(stopped(error))
    except SystemExit as error:
        if isinstance(error.code, int) and error.code:
            _leave(error.code)
        raise


def run(
    work: Work,
    module: str,
    *arguments: str,
    jax: bool = True,
    cores_apart: bool = False,
) -> int | None:
    """Does what `main` does once the flags are parsed; returns the exit code."""
    logging.set_verbosity(logging.WARNING)
    imported, errors = None, ()
    try:
        if jax:
            process.configure(cores_apart=cores_apart)
            process.compilation_cache()
        imported = importlib.import_module(module)
        errors = getattr(imported, "ERRORS", (ValueError, OSError))
        code = work(imported, *arguments)
        sys.stdout.flush()  # a full disk is an error of the command, not of its end
        return code
    except (KeyboardInterrupt, Interrupted) as error:
        return stopped(error)
    except Exception as error:
        whole = flags.FLAGS["traceback"].value
        if own := own_code.explain(error, _config()):
            own.__cause__ = own.__cause__ or error
            own_code.show(own, whole=whole)
            return failed(own)
        if whole:
            raise
        if getattr(error, "name", None) in EXTRAS and isinstance(error, ImportError):
            extra = EXTRAS[error.name]
            return failed(f"{error.name} is not installed: pip install -e '.[{extra}]'")
        if isinstance(error, errors):
            return failed(error)
        if isinstance(error, MemoryError) or re.search(_NO_MEMORY, str(error)):
            advice = getattr(imported, "NO_MEMORY", _ADVICE)
            return failed(f"{str(error).splitlines()[0]} {advice}")
        raise


def _config():
    """The config of this process: that of --config, or of the run in --workdir."""
    known = {x: flags.FLAGS[x].value for x in _NAMING if x in flags.FLAGS}
    config = known.pop("config", None)
    workdir = known.pop("workdir", None)
    if not isinstance(config, ConfigDict):
        first = workdir[0] if isinstance(workdir, list) else workdir
        config = read_json(Path(first) / "config.json") if workdir else {}
    return {**config, **{name: x for name, x in known.items() if x}}


def command() -> str:
    """Returns the command line of this process, as a user would type it."""
    spec = sys.modules["__main__"].__spec__
    name = spec.name if spec else f"experiments.{Path(sys.argv[0]).stem}"
    return shlex.join(["python", "-m", name, *sys.argv[1:]])


class _Path(flags.ArgumentParser):
    """The value of a flag that names a file or a folder."""

    def parse(self, argument: str) -> str:
        return expanded(argument)


def path_flag(
    name: str,
    default: str | None,
    help: str,
    several: bool = False,
    **options: bool,
) -> None:
    """Defines a flag for a path, of which `~` and $VAR are expanded.

    several: it may be given again and again; its value is a list.
    options: `required`, as absl has it.
    """
    if several:
        written = flags.ArgumentSerializer()
        flags.DEFINE_multi(
            _Path(), written, name, default, help, flags.FLAGS, **options
        )
    else:
        flags.DEFINE(_Path(), name, default, help, flags.FLAGS, **options)


def expand_config(argv: list[str]) -> list[str]:
    """Returns the arguments with the path of --config expanded, as `path_flag` does."""
    argv = list(argv)
    for i, flag in enumerate(argv):
        name, given, spec = flag.partition("=")
        if name in ("--config", "-config") and given:
            argv[i] = f"{name}={expanded(spec)}"
        elif name in ("--config", "-config") and i + 1 < len(argv):
            argv[i + 1] = expanded(argv[i + 1])
    return argv


def config_flag() -> None:
    """Defines --config, whose value is a ConfigDict once it is parsed, and --list."""
    flags.DEFINE_string(
        "config",
        None,
        "NAME[:PRESET] of a config that comes with the package, see --list, or "
        "PATH.py[:PRESET]; --config.KEY=VALUE changes a value.",
    )
    flags.DEFINE_boolean("list", False, "Show the configs and their presets, and end.")


def parse(
    argv: list[str],
    check: Callable[[ConfigDict], None] = configs.check,
    ablations: bool = False,
) -> list[str]:
    """Parses the flags of a command with --config; ends the process if one is wrong.

    check: raises ValueError for a config that cannot be run. ablations: whether the
    configs are those of ablations. Returns the command's name.
    """
    try:
        argv = expand_config(argv)
        if "--list" in argv:
            _say(description.listing(ablations))
        config, rest = config_of(argv)
        rest = _no_arguments(read(rest), argv)
        if config is None:
            raise ValueError("--config is missing: --config=NAME[:PRESET], see --list")
        flags.FLAGS["config"].value = config
        check(config)
    except (flags.Error, ValueError) as error:
        sys.exit(failed(error))
    return rest


def config_of(argv: list[str]) -> tuple[ConfigDict | None, list[str]]:
    """Returns the config of a command line, and the arguments without its values.

    Raises ValueError for a config, a key or a value that is not accepted.
    """
    spec = value_of("--config", argv)
    if usage.asked(argv):
        _say(usage.page(spec))
    if not spec:
        return None, argv
    config, _, module = configs.opened(spec)
    own = configs.own_keys(module)
    config, rest = configs.changed(config, argv, own)
    configs.check_own(config, own)
    return config, rest


def _say(text):
    """Prints what was asked for, and ends."""
    print(text, end="" if text.endswith("\n") else "\n", flush=True)
    sys.exit(0)


def with_arguments(argv: list[str]) -> list[str]:
    """Parses flags, returns the command's name and arguments that are paths, expanded.

    Ends the process if a flag is wrong, or without arguments.
    """
    try:
        name, *rest = read(argv)
        if not rest:
            raise ValueError("wanted one file or folder at least")
        return [name, *map(expanded, rest)]
    except (flags.Error, ValueError) as error:
        sys.exit(failed(error))


def flags_only(argv: list[str]) -> list[str]:
    """Parses flags, returns the command's name; ends the process if one is wrong."""
    try:
        return _no_arguments(read(argv), argv)
    except (flags.Error, ValueError) as error:
        sys.exit(failed(error))


def read(argv: list[str]) -> list[str]:
    """Parses the flags; returns the arguments that are none. Prints --help and ends.

    Raises ValueError, with the nearest name, for a flag that is not known, and for one
    that is missing.
    """
    if usage.asked(argv):
        _say(usage.page())
    try:
        return flags.FLAGS(argv)
    except flags.UnrecognizedFlagError as error:
        raise ValueError(usage.unknown(error.flagname)) from None
    except flags.IllegalFlagValueError as error:
        missing = re.match(r"flag --([\w-]+)=None: ", str(error))
        if not missing:
            raise
        said = " ".join(flags.FLAGS[missing[1]].help.split())
        raise ValueError(f"--{missing[1]} is missing: {said}") from None


def _no_arguments(rest, argv):
    """The command's name; raises ValueError if `argv` has more that is no flag."""
    if len(rest) > 1:
        name, _, value = rest[1].partition("=")
        hint, place = "; flags begin with --", argv.index(rest[1])
        text = list(itertools.takewhile(lambda x: x[:1] != "-", argv[place:]))
        *_, flag, start = "", *argv[:place]
        if start.startswith("--"):
            flag, _, start = start.partition("=")
        if name in usage.own():
            hint = f"; did you mean --{name}={value or 'VALUE'}?"
        elif flag.startswith("--") and start:
            whole = shlex.quote(" ".join([start, *text]))
            hint = f"; a value with spaces needs quotes: {flag}={whole}"
        raise ValueError(f"{rest[1]!r} is not a flag{hint}")
    return rest


def chosen(argv: list[str]) -> tuple[str, str]:
    """Returns (NAME, PRESET) of the command line's --config."""
    spec = value_of("--config", expand_config(argv))
    path, _ = configs.found(spec)
    return path.stem, configs.load_file(spec)[1]


def default_workdir(name: str, preset: str, kind: str = "") -> Path:
    """Returns runs/KIND-NAME-PRESET."""
    return Path("runs") / "-".join(x for x in (kind, name, preset) if x)


def value_of(name: str, argv: list[str]) -> str | None:
    """Returns the value that the command line gives a flag, if it does."""
    for flag, following in zip(argv, [*argv[1:], None], strict=True):
        given, is_given, value = flag.partition("=")
        if given in (name, name[1:]):
            return value if is_given else following
    return None


def failed(error: object) -> int:
    """Shows an error in a line; returns the exit code."""
    print(f"error: {error}", file=sys.stderr)
    return 1


def stopped(what: BaseException | int) -> int:
    """Says how to continue after a signal, or its number; returns the exit code."""
    number = what if isinstance(what, int) else getattr(what, "number", signal.SIGINT)
    if not isinstance(what, Interrupted):
        is_key = number == signal.SIGINT
        what = "interrupted" if is_key else signal.Signals(number).name
    said = command()
    again = said.split()[2].rpartition(".")[2] in BEGIN_AGAIN
    print(
        f"{what}. To {'begin again' if again else 'continue'}:\n{said}", file=sys.stderr
    )
    return 128 + number


def _leave(code):
    """Ends the process without waiting for threads, which may compile for minutes."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):
            stream.flush()
    os._exit(code)
