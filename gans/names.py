"""Things chosen by name, and the error for a name that is not known."""

import ast
import difflib
import importlib
import numbers
import pkgutil
from collections.abc import Callable, Iterable, Mapping
from types import ModuleType
from typing import Any


def check(name: str, accepted: Iterable[str], place: str) -> str:
    """Returns `name`; raises ValueError with the nearest one if it is not accepted."""
    accepted = sorted(accepted)
    if name not in accepted:
        near = difflib.get_close_matches(str(name), accepted, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        known = f" {', '.join(accepted)}" if accepted else ": none"
        raise ValueError(f"{place}: {name!r} is not one of{known}{hint}")
    return name


def module(name: str, package: str, place: str) -> ModuleType:
    """Returns the file `name` of a package; raises ValueError if there is none."""
    path = importlib.import_module(package).__path__
    check(name, [m.name for m in pkgutil.iter_modules(path)], place)
    return importlib.import_module(f"{package}.{name}")


def named(value: str | Mapping[str, Any], place: str) -> tuple[str, dict[str, Any]]:
    """Returns the name and the options of "NAME" or {"name": NAME, **options}.

    Raises ValueError, naming `place`, for anything else.
    """
    options = {"name": value} if isinstance(value, str) else value
    if not isinstance(options, Mapping) or not isinstance(options.get("name"), str):
        raise ValueError(
            f'{place}: {value!r} is neither a name nor {{"name": NAME, **options}}'
        )
    options = dict(options)
    return options.pop("name"), options


def parse(
    spec: str | tuple[str, dict[str, Any]], place: str
) -> tuple[str, dict[str, Any]]:
    """Returns the name and the options of "NAME" or "NAME(option=value, ...)".

    Values are Python literals. A pair (name, options) is what was parsed before, with
    values that may be traced. Raises ValueError, naming `place`, for anything else.
    """
    if isinstance(spec, tuple) and len(spec) == 2 and isinstance(spec[1], dict):
        return spec[0], dict(spec[1])
    try:
        node = ast.parse(spec.strip(), mode="eval").body
        call = node if isinstance(node, ast.Call) else ast.Call(node, [], [])
        if not isinstance(call.func, ast.Name) or call.args:
            raise ValueError
        options = {k.arg: ast.literal_eval(k.value) for k in call.keywords}
        if None in options:
            raise ValueError
    except (ValueError, SyntaxError, AttributeError):
        raise ValueError(
            f"{place}: {spec!r} is neither NAME nor NAME(option=value, ...)"
        ) from None
    return call.func.id, options


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
    import jax

    if not isinstance(value, numbers.Real | jax.Array) or not holds(inside(value)):
        raise ValueError(f"{place}={value!r} must be a number {accepted}")


def options(accepted: Iterable[str], given: dict[str, Any], place: str) -> None:
    """Raises ValueError, with the nearest one, for an option that is not accepted."""
    for name in given:
        check(name, accepted, f"option of {place}")
