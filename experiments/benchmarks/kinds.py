"""Which benchmark the flags of `experiments.benchmark` ask for."""

from __future__ import annotations

import re
from importlib import util
from typing import Any

from absl import flags

from experiments import cli

# Flags that each benchmark takes, beside --out.
STEPS = "steps"
TAKES = {
    STEPS: {"config", "batch_size", "against", "only", "rounds"},
    "compilation": {"config", "batch_size"},
    "inference": {"config", "against", "rounds"},
    "layers": {"config", "batch_size", "against", "rounds"},
    "stabilisers": {"config", "batch_size", "rounds"},
    "seeds": {"config", "batch_size", "steps", "rounds"},
    "metrics": {"batch_size", "n", "features", "only", "rounds"},
}
CHANGE = re.compile(r"--?(no)?config\.")
NAMES = {"config": "specs", "seeds": "n_seeds"}  # of arguments, where they differ


def chosen(
    values: flags.FlagValues, changes: tuple[str, ...] = ()
) -> tuple[str, dict[str, Any]]:
    """Returns which benchmark the flags ask for, and its options.

    changes: the flags that change values of configs.

    Raises ValueError for flags that exclude each other.
    """
    kinds = [name for name in TAKES if name != STEPS and values[name].value]
    if len(kinds) > 1:
        raise ValueError(f"choose one of {', '.join('--' + name for name in kinds)}")
    kind = kinds[0] if kinds else STEPS
    for name in sorted(set().union(*TAKES.values()) - TAKES[kind]):
        if values[name].present:
            if kinds:
                raise ValueError(f"--{name} cannot be combined with --{kind}")
            owner = next(other for other in TAKES if name in TAKES[other])
            raise ValueError(f"--{name} needs --{owner}")
    if values.against == "torch" and util.find_spec("torch") is None:
        raise ValueError('--against=torch needs pip install ".[reference]"')
    wanted = TAKES[kind] | ({kind} & {"seeds"})
    options = {
        NAMES.get(name, name): values[name].value
        for name in sorted(wanted)
        if values[name].value is not None
    }
    if changes and "config" not in TAKES[kind]:
        raise ValueError(f"{changes[0]} cannot be combined with --{kind}")
    return kind, options | ({"changes": changes} if changes else {})


def parse(argv: list[str]) -> list[str]:
    """Parses the flags but those that change values of configs."""
    return cli.flags_only([x for x in argv if not CHANGE.match(x)])
