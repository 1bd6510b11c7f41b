"""Things chosen by name, and the error for a name that is not known."""

import difflib
import importlib
import pkgutil
from collections.abc import Iterable
from types import ModuleType


def check(name: str, accepted: Iterable[str], place: str) -> str:
    """Returns `name`; raises ValueError with the nearest one if it is not accepted."""
    accepted = sorted(accepted)
    if name not in accepted:
        near = difflib.get_close_matches(str(name), accepted, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"{place}: {name!r} is not one of {', '.join(accepted)}{hint}")
    return name


def module(name: str, package: str, place: str) -> ModuleType:
    """Returns the file `name` of a package; raises ValueError if there is none."""
    path = importlib.import_module(package).__path__
    check(name, [m.name for m in pkgutil.iter_modules(path)], place)
    return importlib.import_module(f"{package}.{name}")
