"""A user's own code, which a config names by paths such as mine.losses.margin.

Which files are behind a config, what they hold, and where in them an error was raised.
Nothing is imported: files are found as Python would find them, and read.
"""

from __future__ import annotations

import ast
import contextlib
import dataclasses
import functools
import hashlib
import importlib.util
import inspect
import itertools
import linecache
import os
import re
import sys
import sysconfig
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import CodeType
from typing import Any

from experiments.expressions import expand
from gans import names

ROOT = Path(__file__).parents[1]
# Keys whose values name no code, except for data=python:MODULE:FUNCTION.
_TEXT = {"data_dir"}
_PATH = re.compile(r"[A-Za-z_]\w*(?:[.:][A-Za-z_]\w*)*")
_LONGEST = 300  # characters of an error's text
_MOST = 8  # lines of a user's code that are shown
# What JAX adds to its errors, beside the error itself.
_ADDED = {"SimplifiedTraceback", "UnfilteredStackTrace"}
_ADDED |= {"JaxStackTraceBeforeTransformation"}
_WITH_DOCSTRING = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)

Module = tuple[str, Path]  # its full name, and its file


@dataclasses.dataclass(frozen=True)
class Named:
    """A name of a user's own code in a config.

    Attributes:
      place: "loss", "discriminator.penalties[0]".
      path: "mine.losses.margin".
      modules: the files of the package and of the module, those that are the user's.
    """

    place: str
    path: str
    modules: tuple[Module, ...]


class CodeError(Exception):
    """A user's own code has raised an error. The message is one line.

    Attributes:
      lines: those of the user's code that led to it, as a traceback shows them.
    """

    def __init__(self, message: str, lines: str = ""):
        super().__init__(message)
        self.lines = lines


# --- which code -----------------------------------------------------------------------


def named(config: Mapping[str, Any]) -> list[Named]:
    """Returns the names of a user's own code in a config, or a part of one."""
    parts = []
    for place, path in _strings(config, ""):
        if _PATH.fullmatch(path) and path not in _our_names():
            modules = _own(path)
            parts += [Named(place, path, modules)] if modules else []
    return parts


def _own(path):
    """The user's modules that a path leads through."""
    return tuple(x for x in found(path)[0] if is_own(x[1]))


def _strings(value, place):
    """Every (place, path) that may be code; "python:mine.shapes:squares" is one."""
    value = value.to_dict() if hasattr(value, "to_dict") else value
    if isinstance(value, Mapping):
        for key, x in value.items():
            inner = f"{place}.{key}" if place else key
            if key in _TEXT:
                continue
            if key == "spec" and isinstance(x, Mapping):  # classes have names, too
                yield from ((f"{inner}.{n}", f.get("kind", "")) for n, f in x.items())
            elif key == "data" and isinstance(x, str):
                path = x.partition("python:")[2]
                yield from [(inner, path)] if path else []
            else:
                yield from _strings(x, inner.removesuffix(".name"))
    elif isinstance(value, tuple | list):
        for i, x in enumerate(value):
            yield from _strings(x, f"{place}[{i}]")
    elif isinstance(value, str):
        try:
            value = expand(value, place)
        except ValueError:  # not a name
            return
        if isinstance(value, Mapping):
            yield from _strings(value, place)
        else:
            yield place, value


@functools.cache
def _our_names() -> frozenset[str]:
    """The plain names that are files of ours: "mlp", "unet", "fid"."""
    folders = (ROOT / "gans", ROOT / "experiments" / "evaluation")
    return frozenset(p.stem for folder in folders for p in folder.rglob("*.py"))


def found(path: str, folder: Path | None = None) -> tuple[list[Module], list[str]]:
    """Returns the modules that a path leads through, and the rest of its parts.

    Nothing is imported. folder: where the first part lies; None: as Python looks.
    """
    parts = path.replace(":", ".").split(".")
    modules, name = [], ""
    folders = None if folder is None else [folder]
    for i, part in enumerate(parts):
        name = f"{name}.{part}" if name else part
        file, folders = _top(part) if folders is None else _inner(part, folders)
        if file is None and not folders:
            return modules, parts[i:]
        if file is not None:
            modules.append((name, file))
    return modules, []


def _top(name):
    """(file or None, folders) of a module as Python looks for it."""
    try:
        spec = importlib.util.find_spec(name) if name else None
    except (ValueError, ImportError):  # __main__, and what has no spec
        spec = None
    if spec is None:
        return None, []
    file = Path(spec.origin) if str(spec.origin).endswith(".py") else None
    return file, [Path(x) for x in spec.submodule_search_locations or ()]


def _inner(name, folders):
    """(file or None, folders) of a module of a package."""
    inside = [x / name for x in folders if (x / name).is_dir()]
    files = [f / x for f in folders for x in (f"{name}/__init__.py", f"{name}.py")]
    return next((x for x in files if x.is_file()), None), inside


def is_own(file: str | os.PathLike) -> bool:
    """Whether a file is the user's: not ours, installed, or Python's own."""
    path = Path(os.path.abspath(file))
    if {"site-packages", "dist-packages"} & {*path.parts} or path.suffix != ".py":
        return False
    ours = [ROOT / name for name in ("gans", "experiments", "configs")]
    library = [Path(sysconfig.get_path(x)) for x in ("stdlib", "platstdlib")]
    return not {*ours, *library} & {*path.parents}


def code(config: Mapping[str, Any]) -> dict[str, str]:
    """Returns {module: digest} of the user's modules behind a config.

    With them come the user's modules that they import. A digest is of the statements:
    comments, docstrings and the layout may change.
    """
    behind = _behind(named(config))
    return {name: _digest(text) for name, (_, text) in sorted(behind.items())}


def _behind(parts: list[Named]) -> dict[str, tuple[Path, str]]:
    """{module: (file, source)} of names, and of what they import that is the user's."""
    waiting, behind = [x for part in parts for x in part.modules], {}
    while waiting:
        name, file = waiting.pop()
        if name in behind:
            continue
        with contextlib.suppress(OSError):
            behind[name] = file, file.read_text("utf-8", "replace")
            package = name if file.name == "__init__.py" else name.rpartition(".")[0]
            for path in _imports(_parsed(behind[name][1]), package):
                waiting += _own(path)
    return behind


def _parsed(text):
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError):  # which is said when it is imported
        return ast.Module([], [])


def _digest(text):
    tree = _parsed(text)
    for node in ast.walk(tree):  # without docstrings
        if isinstance(node, _WITH_DOCSTRING) and ast.get_docstring(node) is not None:
            node.body[0] = ast.Pass()
    bare = ast.unparse(tree) if tree.body else text
    return hashlib.sha256(bare.encode("utf-8", "replace")).hexdigest()[:16]


def changed(old: Mapping[str, str] | None, new: Mapping[str, str]) -> list[str]:
    """Returns the modules that differ; none if the old ones are not known."""
    if old is None:
        return []
    return sorted(x for x in {*old, *new} if old.get(x) != new.get(x))


def listed(modules: list[str]) -> str:
    """Returns "mine.losses has", "mine.losses and mine.terms have"."""
    return f"{' and '.join(modules)} {'has' if len(modules) == 1 else 'have'}"


def _imports(tree, package):
    """The paths that a module imports, wherever in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: 1 - node.level or None] if node.level else []
            start = ".".join([*above, *filter(None, [node.module])])
            yield from (f"{start}.{alias.name}" for alias in node.names)


def where(function: Any) -> str:
    """Returns " (FILE, line N)" of a function of the user's; "" of any other."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    return names.where(function) if code and is_own(code.co_filename) else ""


# --- where an error was raised --------------------------------------------------------


@contextlib.contextmanager
def explained(config: Mapping[str, Any]) -> Iterator[None]:
    """Turns an error in the user's code that a config names into a CodeError."""
    try:
        yield
    except Exception as error:
        found = explain(error, config)
        if found is None:
            raise
        raise found from error


def explain(error: BaseException, config: Mapping[str, Any]) -> CodeError | None:
    """Returns an error of the user's own code as a CodeError; None for any other.

    It says which key names the code, what was raised, and the line of the user's that
    led to it.
    """
    if isinstance(error, CodeError):
        return error
    parts = named(config)
    files = {file for file, _ in _behind(parts).values()}
    root, frames = _root(error, files)
    if not frames:
        return None
    file, line, *_ = frames[-1]
    by = _named_by(parts, frames)
    by = f"config.{by.place}={by.path!r}: " if by else ""
    return CodeError(
        f"{by}{text(root)} ({shown(file)}, line {line})",
        "".join(_line(*frame) for frame in frames[-_MOST:]),
    )


def text(error: BaseException) -> str:
    """Returns type and text of an error in one line; of a ValueError the text alone."""
    said = error.msg if isinstance(error, SyntaxError) else str(error)
    said = " ".join(str(said).partition("\n\n")[0].split())
    if type(error) is not ValueError or not said:
        said = f"{type(error).__name__}: {said}" if said else type(error).__name__
    said = said.removesuffix(".")
    return said if len(said) <= _LONGEST else f"{said[: _LONGEST - 4]} ..."


def shown(file: str | os.PathLike) -> str:
    """Returns the path of a file as it is seen from the current folder."""
    path, here = Path(file), Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def _root(error, files):
    """(the error of a chain that the user's code led to, the frames of that code)."""
    found, seen = (error, []), set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        frames = [] if type(error).__name__ in _ADDED else [*_frames(error)]
        # Those before are of a script or a notebook that calls us.
        frames = [*itertools.dropwhile(lambda x: Path(x[0]) not in files, frames)]
        if frames:
            found = error, frames
            if frames[-1][-1]:  # it was raised there, perhaps from another one
                break
        error = error.__cause__ or error.__context__
    return found


def _frames(error):
    """Yields (file, line, code's name, whether it is the innermost) of the user's."""
    at = error.__traceback__
    while at is not None:
        frame: CodeType = at.tb_frame.f_code
        if is_own(frame.co_filename):
            name = frame.co_qualname
            yield frame.co_filename, at.tb_lineno, name, at.tb_next is None
        at = at.tb_next
    if isinstance(error, SyntaxError) and error.filename and is_own(error.filename):
        yield error.filename, error.lineno or 1, "<module>", True


def _named_by(parts, frames):
    """The name whose code is the first that the frames are in."""
    for file, _, name, _ in frames:
        those = [x for x in parts if Path(file) == x.modules[-1][1]]
        for part in those:
            if name.partition(".")[0] == part.path.replace(":", ".").split(".")[-1]:
                return part
        if those:
            return those[0]
    return None


def _line(file, line, name, _innermost):
    source = linecache.getline(str(file), line).strip()
    where = "" if name == "<module>" else f", in {name}"
    return f"  {shown(file)}, line {line}{where}\n" + f"    {source}\n" * bool(source)


def show(error: CodeError, *, whole: bool = False) -> None:
    """Prints the lines that led to an error, or the whole traceback, to stderr."""
    if whole and error.__cause__ is not None:
        traceback.print_exception(error.__cause__)
    elif error.lines:
        print(error.lines, end="", file=sys.stderr)
