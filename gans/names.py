"""Things chosen by name: ours by a plain one, a user's by a path of Python's.

A name with a dot or a colon is a path, "my_package.my_module.name" or with a colon
before the last part. Where ours are files, such as networks, a user's may be a file in
the current folder, "my_net". See docs/extending.md.
"""

import difflib
import importlib
import inspect
import math
import numbers
import pkgutil
import re
import sys
import typing
from collections.abc import Callable, Iterable, Mapping
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType, NoneType, UnionType
from typing import Any

_REST = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def check(name: str, accepted: Iterable[str], place: str, *, own: bool = False) -> str:
    """Returns `name`; raises ValueError with the nearest one if it is not accepted.

    own: a path is accepted, too (see `imported`).
    """
    accepted = sorted(accepted)
    if name not in accepted and not (own and is_path(name)):
        if len(accepted) == 1 and not own:
            raise ValueError(f"{place}: must be {accepted[0]!r}, got {name!r}")
        known = f" {', '.join(accepted)}" if accepted else ": none"
        known += ", or MODULE.NAME of your own" if own else ""
        raise ValueError(
            f"{place}: {name!r} is not one of{known}{nearest(name, accepted)}"
        )
    return name


def nearest(name: str, accepted: Iterable[str]) -> str:
    """Returns "; did you mean 'NAME'?" with the nearest of `accepted`, or "".

    Numbers have none: 2 is not nearly 12.
    """
    if str(name).lstrip("-").isdecimal():
        return ""
    near = difflib.get_close_matches(str(name), list(accepted), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def is_path(name: Any) -> bool:
    """Whether a name is a path of a user's own, see `imported`."""
    return isinstance(name, str) and ("." in name or ":" in name)


def check_path(path: str, place: str) -> None:
    """Raises ValueError unless a path begins with a module; nothing is imported."""
    parts = path.replace(":", ".", 1).split(".")
    if not all(part.isidentifier() for part in parts):
        raise ValueError(
            f"{place}: {path!r} is not of the form MODULE.NAME or MODULE:NAME"
        )
    if not _is_module(parts[0]):
        raise ValueError(f"{place}: {path!r}: {_no_module(parts[0])}")


def _is_module(name):
    return name in sys.modules or find_spec(name) is not None


def _no_module(name):
    return (
        f"there is no module {name!r}; it is looked for in the current folder, in "
        "PYTHONPATH and among the installed packages"
    )


def imported(path: str, place: str) -> Any:
    """Returns what a path names: MODULE.NAME, MODULE:NAME, or a module.

    Modules are looked for in the current folder, in PYTHONPATH and among the installed
    packages. Raises ValueError, naming `place`, if there is no such module or name.
    Errors inside the module are passed on.
    """
    check_path(path, place)
    module, colon, rest = path.partition(":")
    parts = [*module.split("."), *(rest.split(".") if colon else ())]
    most = module.count(".") + 1  # parts that can be modules
    least = most if colon else 1  # and those that must be
    found, n = None, 0
    while n < most:
        name = ".".join(parts[: n + 1])
        try:
            found = importlib.import_module(name)
        except ModuleNotFoundError as error:
            # That a module imports something missing is the module's own error.
            if error.name != name:
                raise
            if n < least:
                raise ValueError(f"{place}: {path!r}: {_no_module(name)}") from None
            break
        n += 1
    for i, part in enumerate(parts[n:], n):
        if not hasattr(found, part):
            public = [x for x in dir(found) if x[0] != "_"]
            inner = pkgutil.iter_modules(getattr(found, "__path__", []))
            public += [module.name for module in inner]
            inside = ".".join(parts[:i])
            raise ValueError(
                f"{place}: {path!r}: {inside} has no {part!r}{nearest(part, public)}"
            )
        found = getattr(found, part)
    return found


def last(path: str) -> str:
    """Returns the last part of a path: "softplus" of "my_losses.softplus"."""
    return path.replace(":", ".").rpartition(".")[2]


def pick(name: str, known: Mapping[str, Any], place: str) -> Any:
    """Returns known[name], or what a path names; raises ValueError as they do."""
    if is_path(name):
        return imported(name, place)
    return known[check(name, known, place, own=True)]


def check_file(name: str, files: Iterable[str], place: str) -> str:
    """Returns a name of files, a path, or the name of a module of the user's.

    Raises ValueError for another. Nothing is imported.
    """
    files = list(files)
    if name not in files and is_path(name):
        check_path(name, place)
    elif name not in files and not (name.isidentifier() and _is_module(name)):
        check(name, files, place, own=True)
    return name


def module(name: str, package: str, place: str) -> ModuleType:
    """Returns the file `name` of a package, or the module at a path.

    Raises ValueError if there is none.
    """
    return wanted(found(name, package, place), ModuleType, place, name, "a module")


def found(name: str, package: str, place: str) -> Any:
    """Returns the file `name` of a package, or what a path names.

    Raises ValueError as `check_file` and `imported` do.
    """
    if name in files(package):
        return importlib.import_module(f"{package}.{name}")
    return imported(check_file(name, files(package), place), place)


def part(name: str, package: str, attribute: str, place: str) -> Any:
    """Returns the `attribute` of a file of a package; at a path also the thing itself.

    Raises ValueError if there is none.
    """
    made = found(name, package, place)
    if not isinstance(made, ModuleType):
        return made
    if not hasattr(made, attribute):
        raise ValueError(f"{place}: {name!r}: the module has no {attribute}")
    return getattr(made, attribute)


def call(function: Any, given: dict[str, Any], place: str, name: str) -> Any:
    """Returns function(**given), of a name with options in a config.

    Raises ValueError, naming them, for an option that it does not accept, and for one
    that is missing.
    """
    wanted(function, Callable, place, name, "a function")
    parameters = inspect.signature(function).parameters.values()
    if all(p.kind is not p.VAR_KEYWORD for p in parameters):
        typed(options_of(function), given, f"{place} {name}")
    needed = [
        p.name for p in parameters if p.default is p.empty and p.kind not in _REST
    ]
    missing = [x for x in needed if x not in given]
    if missing:
        raise ValueError(f"{place} {name} needs a value of {', '.join(missing)}")
    return function(**given)


def wanted(found: Any, kind: Any, place: str, name: str, what: str) -> Any:
    """Returns `found`; raises ValueError unless it is an instance of `kind`.

    For a user's own thing: place and name are those of the config, `what` says what is
    wanted.
    """
    if isinstance(found, kind):
        return found
    got = "a class" if isinstance(found, type) else f"of type {type(found).__name__}"
    raise ValueError(f"{place}: {name!r} is {got}; wanted is {what}")


def where(function: Any) -> str:
    """Returns " (FILE, line N)" of where a function is defined; "" if that is unknown.

    It ends an error about what the function has returned.
    """
    code = getattr(inspect.unwrap(function), "__code__", None)
    if code is None:
        return ""
    file, here = Path(code.co_filename), Path.cwd()
    file = file.relative_to(here) if file.is_relative_to(here) else file
    return f" ({file}, line {code.co_firstlineno})"


def files(package: str) -> list[str]:
    """Returns the names of all files of a package."""
    path = importlib.import_module(package).__path__
    return [module.name for module in pkgutil.iter_modules(path)]


def modules(package: str) -> list[ModuleType]:
    """Returns all files of a package, imported."""
    return [importlib.import_module(f"{package}.{name}") for name in files(package)]


def named(value: Any, place: str) -> tuple[str, dict[str, Any]]:
    """Returns (name, options) of "NAME" or of {"name": NAME, option: value, ...}.

    Raises ValueError, naming `place`, for anything else.
    """
    if isinstance(value, str):
        return value, {}
    options = dict(value.items()) if hasattr(value, "items") else {}
    name = options.pop("name", None)
    if not isinstance(name, str):
        raise ValueError(
            f"{place}: {value!r} is neither a name nor a dict of a name and options"
        )
    return name, options


def holds(condition: Any) -> bool:
    """Whether a condition on numbers is true, or not to be known: one is traced.

    Many values of a number may be trained in one program, each of them checked before.
    """
    import jax  # takes a second, and names are checked before that

    return isinstance(condition, jax.core.Tracer) or bool(condition)


def number(value: Any, inside: Callable[[Any], Any], place: str, accepted: str) -> None:
    """Raises ValueError unless `value` is a number, or a traced one, that is `inside`.

    `accepted` says which are: "in [0, 1]".
    """
    if not fits(value, float) or not holds(inside(value)):
        raise ValueError(f"{place}={value!r} must be a number {accepted}")


def options(accepted: Iterable[str], given: Iterable[str], place: str) -> None:
    """Raises ValueError, with the nearest one, for an option that is not accepted."""
    accepted = sorted(accepted)
    for name in given:
        if name not in accepted:
            verb = "is" if len(accepted) == 1 else "are"
            known = f"accepted {verb} {', '.join(accepted) or 'none'}"
            raise ValueError(
                f"{place} has no option {name!r}; {known}{nearest(name, accepted)}"
            )


def natural(name: str) -> tuple[list[str | int], str]:
    """Returns the key that sorts names as people do: "class2" before "class10"."""
    parts = re.split(r"(\d+)", name)  # text and digits in turn
    return [int(x) if i % 2 else x for i, x in enumerate(parts)], name


def typed(annotations: Mapping[str, Any], given: Mapping[str, Any], place: str) -> None:
    """Raises ValueError for an option that is not known, or not of its type.

    annotations: {name: type}, see `options_of`.
    """
    options(annotations, given, place)
    for name, value in given.items():
        if not fits(value, annotations[name]):
            wanted = described(annotations[name])
            raise ValueError(f"{place}: {name}={value!r} must be {wanted}")


def options_of(made_by: Callable[..., Any]) -> dict[str, Any]:
    """Returns {name: annotation} of what a function takes, or a dataclass."""
    hints = typing.get_type_hints(made_by)
    return {x: hints.get(x, Any) for x in inspect.signature(made_by).parameters}


def fits(value: Any, annotation: Any) -> bool:
    """Whether a value is of the type that an annotation names.

    Numbers are finite, or traced; True is no number; a list may stand for a tuple.
    """
    if annotation in (Any, inspect.Parameter.empty):
        return True
    if annotation in (None, NoneType):
        return value is None
    if annotation in (int, float):
        return _is_number(value, whole=annotation is int)
    kind = typing.get_origin(annotation) or annotation
    inner = typing.get_args(annotation)
    if kind in (typing.Union, UnionType):
        return any(fits(value, one) for one in inner)
    if kind is tuple and inner:
        if not isinstance(value, tuple | list):
            return False
        if inner[-1] is Ellipsis:
            return all(fits(x, inner[0]) for x in value)
        return len(value) == len(inner) and all(map(fits, value, inner))
    return isinstance(value, kind)


def _is_number(value, whole):
    jax = sys.modules.get("jax")
    if jax is not None and isinstance(value, jax.Array):
        return True
    if isinstance(value, bool):
        return False
    if isinstance(value, numbers.Integral):
        return -(2**63) <= value < 2**63
    return (
        not whole and isinstance(value, numbers.Real) and -math.inf < value < math.inf
    )


_SINGULAR = {int: "a whole number", float: "a number", bool: "True or False"}
_SINGULAR |= {str: "text", None: "None", NoneType: "None"}


def described(annotation: Any) -> str:
    """Returns what an annotation accepts, in words: "a whole number or None"."""
    if annotation in _SINGULAR:
        return _SINGULAR[annotation]
    kind = typing.get_origin(annotation) or annotation
    inner = typing.get_args(annotation)
    if kind in (typing.Union, UnionType):
        if {str, Mapping} <= {typing.get_origin(x) or x for x in inner}:
            inner = ("NAME or NAME(option=value, ...)", *inner[2:])
        return " or ".join(x if isinstance(x, str) else described(x) for x in inner)
    if kind is tuple and inner:
        if inner[-1] is Ellipsis:
            return f"a tuple, each element {described(inner[0])}"
        return f"({', '.join(described(x) for x in inner)})"
    return getattr(kind, "__name__", str(kind))
