"""results.json and what programs leave, read back; older forms are converted.

Older results have "critic" instead of "discriminator" in their keys and names, and
"lanes" instead of "replicas" in their programs. Such results may have taken hours and
must stay readable, so they are converted when they are read.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

_FORMER = {"critic": "discriminator"}


def read(path: Path) -> dict[str, Any]:
    """Returns the results in a file, in today's form.

    Raises FileNotFoundError if there is no such file.
    """
    results = json.loads(Path(path).read_text())
    base = results.get("protocol", {}).get("base")
    if base:
        results["protocol"]["base"] = _renamed(base)
    for arm in results["arms"].values():
        arm["overrides"] = _renamed(arm["overrides"])
    return results


def program(part: dict[str, Any]) -> dict[str, Any]:
    """Returns what a program has left, in today's form."""
    if "lanes" not in part:
        return part
    others = {key: value for key, value in part.items() if key != "lanes"}
    return {"replicas": part["lanes"], **others}


def _renamed(values):
    """{"critic.norm": ...} as {"discriminator.norm": ...}; the order stays."""
    found = {}
    for key, value in values.items():
        first, dot, rest = key.partition(".")
        found[f"{_FORMER.get(first, first)}{dot}{rest}"] = value
    return found
