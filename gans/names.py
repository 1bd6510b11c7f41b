"""Things chosen by name, and the error for a name that is not known."""

import difflib
import importlib
import inspect
import math
import numbers
import pkgutil
import sys
import typing
from collections.abc import Callable, Iterable, Mapping
from types import ModuleType, NoneType, UnionType
from typing import Any


def check(name: str, accepted: Iterable[str], place: str) -> str:
    """Returns `name`; raises ValueError with the nearest one if it is not accepted."""
    accepted = sorted(accepted)
    if name not in accepted:
        if len(accepted) == 1:
            raise ValueError(f"{place}: must be {accepted[0]!r}, got {name!r}")
        known = f" {', '.join(accepted)}" if accepted else ": none"
        raise ValueError(
            f"{place}: {name!r} is not one of{known}{nearest(name, accepted)}"
        )
    return name


def nearest(name: str, accepted: Iterable[str]) -> str:
    """Returns "; did you mean 'NAME'?" with the nearest of `accepted`, or ""."""
    near = difflib.get_close_matches(str(name), list(accepted), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def module(name: str, package: str, place: str) -> ModuleType:
    """Returns the file `name` of a package; raises ValueError if there is none."""
    path = importlib.import_module(package).__path__
    check(name, [m.name for m in pkgutil.iter_modules(path)], place)
    return importlib.import_module(f"{package}.{name}")


def modules(package: str) -> list[ModuleType]:
    """Returns all files of a package, imported."""
    path = importlib.import_module(package).__path__
    return [
        importlib.import_module(f"{package}.{m.name}")
        for m in pkgutil.iter_modules(path)
    ]


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
