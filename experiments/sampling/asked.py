"""Seeds and classes as a command line asks for them."""

from __future__ import annotations

import re
from typing import Any

from gans.data.spec import Spec


def seeds(text: str | int | None, flag: str = "--seed") -> list[int]:
    """Returns the seeds of 3, "3", "0,1,2" or "0-15"; of None 0.

    Raises ValueError, naming the flag, for anything else.
    """
    found = []
    for part in str(0 if text is None else text).split(","):
        ends = re.fullmatch(r"\s*(-?\d+)\s*(?:-\s*(\d+)\s*)?", part)
        if not ends or (ends[2] and int(ends[2]) < int(ends[1])):
            raise ValueError(f"{flag}={text}: wanted a number, 0,1,2 or 0-15")
        found += range(int(ends[1]), int(ends[2] or ends[1]) + 1)
    if len(set(found)) < len(found):
        raise ValueError(f"{flag}={text} names a seed twice")
    if not all(-(2**31) <= one < 2**32 for one in found):
        raise ValueError(
            f"{flag}={text}: wanted numbers from {-(2**31)} to {2**32 - 1}"
        )
    return found


def classes(spec: Spec, given: str | int | None) -> Any:
    """Returns what `Model.inputs` takes of "cat,dog": names with commas stay whole."""
    names = {name for field in spec.values() for name in field.names or ()}
    if not isinstance(given, str) or given in names:
        return given
    found = [part.strip() for part in given.split(",")]
    return [int(x) if re.fullmatch(r"-\d+", x) else x for x in found]


def texts(given: str | None) -> list[str] | None:
    """Returns the texts of "a cat; a dog", or None; ValueError for an empty one."""
    if given is None:
        return None
    found = [part.strip() for part in given.split(";")]
    if not all(found):
        raise ValueError(
            f"--text={given!r}: wanted a sentence, or several: a cat; a dog"
        )
    return found
