"""results.json, read back; older forms are converted.

Older results have the keys of older configs. They may have taken hours and must stay
readable, so they are converted when they are read. They cannot be continued: the
digests of their arms are of those keys.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from experiments import config as configs


def read(path: Path) -> dict[str, Any]:
    """Returns the results in a file, in today's form.

    Raises FileNotFoundError if there is no such file.
    """
    results = json.loads(Path(path).read_text())
    base = results.get("protocol", {}).get("base")
    if base:
        results["protocol"]["base"] = configs.convert(base)
    for arm in results["arms"].values():
        overrides = arm["overrides"].items()
        arm["overrides"] = {configs.renamed(key): value for key, value in overrides}
    return results


def is_former(part: dict[str, Any]) -> bool:
    """Whether an older version wrote what a program has left."""
    return "replicas" not in part
