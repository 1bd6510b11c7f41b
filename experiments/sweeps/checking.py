"""Whether a sweep can be run, and what it optimises: learnt in a process of its own."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from ml_collections import ConfigDict

from experiments import config as configs
from experiments.sweeps.space import Range, changes, corners
from experiments.sweeps.trial import COMMAND, Trial


def check(
    config: ConfigDict, space: dict[str, Range], process: Sequence[str] = COMMAND
) -> dict[str, Any]:
    """Returns {"objective": its name, "better": which direction}.

    A separate process builds the corners of the space and evaluates an untrained
    generator, to learn them.

    Raises ValueError for a config that cannot be built or evaluated.
    """

    def made(values):
        return configs.to_json(configs.override(config, changes(config, values)))

    points = corners(space)
    request = {"kind": "check", "configs": [made(x) for x in points]}
    # Pairs that differ in one key alone.
    request["pairs"] = {
        key: [
            [made(x | {key: one}), made(x | {key: other})]
            for x in points
            for one, other in itertools.pairwise(found.values)
        ]
        for key, found in space.items()
    }
    checking = Trial(request, process)
    try:
        known = checking.receive()
    finally:
        checking.close()
    if known["kind"] != "checked":
        raise ValueError(known["error"])
    if known["better"] is None:
        raise ValueError(
            f"config.metrics: {known['objective']} has no better direction and cannot "
            "be the objective; put another metric first"
        )
    return {key: known[key] for key in ("objective", "better")}
