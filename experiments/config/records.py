"""Configs as JSON: config.json of a run, and what may differ when it is continued."""

from __future__ import annotations

import json
from pathlib import Path

from ml_collections import ConfigDict

from experiments.config import checks
from experiments.config.changes import differences
from experiments.config.conversion import convert, marked
from gans.data import spec as specs


def to_json(config: ConfigDict) -> str:
    """Returns the text of a config, from which `from_json` makes it again."""
    return json.dumps(marked(config.to_dict()), indent=2, sort_keys=True) + "\n"


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


def compare(path: Path, config: ConfigDict) -> ConfigDict:
    """Returns the config kept in the file `path`.

    Raises ValueError if it has other values than `config` of keys that change the
    training. Whether `steps`, and keys that are the variant's own, do so is for
    `experiments.training.longer` to say.
    """
    advice = (
        "--allow-config-change continues anyway; another --workdir starts a new run"
    )
    if not path.exists():
        raise ValueError(f"{path} is missing, but there are checkpoints; {advice}")
    kept = from_json(path.read_text())
    old, new = kept.to_dict(), config.to_dict()
    as_text = "folder:" in new["data"]
    try:
        old["spec"] = specs.with_names(old.get("spec", {}), new["spec"], as_text)
    except ValueError as error:
        raise ValueError(f"{path}: {error}; another --workdir starts anew") from None
    declared = {*checks.table(new), *checks.PLAYERS, "spec", "shape"}
    own = {*old, *new} - declared
    changed = differences(old, new, {*checks.FREE, *own, "steps"})
    if changed:
        lines = "\n  ".join(changed)
        raise ValueError(f"{path} is another config:\n  {lines}\n{advice}")
    return kept
