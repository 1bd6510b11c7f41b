"""Configs as JSON: config.json of a run, and what may differ when it is continued."""

from __future__ import annotations

import json
from pathlib import Path

from ml_collections import ConfigDict

from experiments.config import checks
from experiments.config.changes import differences
from experiments.config.conversion import convert
from gans.data import spec as specs


def to_json(config: ConfigDict) -> str:
    return json.dumps(config.to_dict(), indent=2, sort_keys=True) + "\n"


def from_json(text: str) -> ConfigDict:
    """Returns the config of `to_json`, expanded; lists come back as tuples.

    A resolved config of an older version is converted: its keys to their new names, and
    its shape to a spec.
    """

    def tuples(value):
        if isinstance(value, dict):
            return {key: tuples(x) for key, x in value.items()}
        return tuple(map(tuples, value)) if isinstance(value, list) else value

    return ConfigDict(tuples(convert(tuples(json.loads(text)))))


def compare(path: Path, config: ConfigDict) -> None:
    """Raises ValueError if the config kept in the file `path` would train otherwise."""
    advice = (
        "--allow-config-change continues anyway; another --workdir starts a new run"
    )
    if not path.exists():
        raise ValueError(f"{path} is missing, but there are checkpoints; {advice}")
    old, new = from_json(path.read_text()).to_dict(), config.to_dict()
    as_text = "folder:" in new["data"]
    try:
        old["spec"] = specs.with_names(old.get("spec", {}), new["spec"], as_text)
    except ValueError as error:
        raise ValueError(f"{path}: {error}; another --workdir starts anew") from None
    changed = differences(old, new, checks.FREE)
    if changed:
        lines = "\n  ".join(changed)
        raise ValueError(f"{path} is another config:\n  {lines}\n{advice}")
