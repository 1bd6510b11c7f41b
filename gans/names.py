"""Things chosen by name, and the error for a name that is not known."""

import difflib
import importlib
import numbers
import pkgutil
from collections.abc import Callable, Iterable
from types import ModuleType
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
    import jax

    if not isinstance(value, numbers.Real | jax.Array) or not holds(inside(value)):
        raise ValueError(f"{place}={value!r} must be a number {accepted}")


def options(accepted: Iterable[str], given: dict[str, Any], place: str) -> None:
    """Raises ValueError, with the nearest one, for an option that is not accepted."""
    accepted = sorted(accepted)
    for name in given:
        if name not in accepted:
            verb = "is" if len(accepted) == 1 else "are"
            known = f"accepted {verb} {', '.join(accepted) or 'none'}"
            raise ValueError(
                f"{place} has no option {name!r}; {known}{nearest(name, accepted)}"
            )
