"""Whether the results in an ablation's folder are those of what is asked for now."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from experiments import config as configs
from experiments import own_code
from experiments.ablations.arms import Arm
from experiments.training import effects

CHANGED = ("refuse", "rerun", "keep")  # what becomes of results of former code
# Keys whose code has a part in the results, and is not traced with the training.
_NOT_TRACED = ("data", "metrics", "extractor")


def compare(workdir: Path, kept: dict[str, Any], base: dict, arms: list[Arm], n: int):
    """Raises ValueError if results.json is of another base or another budget.

    kept: what it holds, {} if there is none. base: that of now, as JSON. n: how many
    evaluations.
    """
    former = kept.get("protocol", {}).get("base")
    if not former:
        return
    changed = configs.differences(former, configs.convert(base), {"data_dir"})
    if changed:
        lines = "\n  ".join(changed)
        raise ValueError(
            f"{workdir} holds an ablation of another base:\n  {lines}\n"
            "choose another --workdir"
        )
    changed = []
    if n != kept.get("evaluations", n):
        changed.append(f"evaluations: {kept['evaluations']} -> {n}")
    for arm in arms:
        old = kept["arms"].get(arm.name)
        own = json.loads(json.dumps(arm.overrides))
        if old and old["overrides"] == own and old["steps"] != arm.config.steps:
            changed.append(f"steps of {arm.name}: {old['steps']} -> {arm.config.steps}")
    if changed:
        raise ValueError(
            f"{workdir} holds an ablation of another budget ({'; '.join(changed)}); "
            "choose another --workdir"
        )


def former(arm: Arm, record: dict[str, Any]) -> list[str]:
    """Returns the user's modules that have changed since the results of an arm.

    There are none if they are of an older version, which did not note them, and if the
    training is the same, operation for operation.
    """
    changed = own_code.changed(record.get("code"), arm.code)
    if not changed or arm.broken or "computes" not in record:
        return changed
    parts = {key: arm.config.get(key) for key in _NOT_TRACED}
    if {*changed} & {*own_code.code(parts)}:
        return changed
    try:
        with own_code.explained(arm.config):
            same = effects.digest(arm.config) == record["computes"]
    except own_code.CodeError:
        same = False
    return [] if same else changed


def refused(workdir: Path, changed: dict[str, list[str]]) -> str:
    """Returns the error for arms {name: its modules that have changed}."""
    which = "; ".join(
        f"arm {name}: {own_code.listed(modules)} changed"
        for name, modules in changed.items()
    )
    return (
        f"{workdir} holds results of other code ({which}): --changed=rerun trains "
        "these arms again, --changed=keep keeps their results; another --workdir "
        "starts anew"
    )
