"""Measures speed: training steps of configs, or their convolutions; ours and PyTorch's.

    python -m experiments.benchmark [--config=NAME[:PRESET] ...]
        [--against=torch] [--layers | --stabilisers | --seeds=8 [--steps=N]]
        [--batch_size=N] [--only=NAME ...] [--rounds=9] [--out=FILE]
    python -m experiments.benchmark --compilation [--config=...] [--batch_size=N]
    python -m experiments.benchmark --metrics [--n=10000] [--batch_size=16]
        [--features=inception|classifier ...] [--only=NAME ...] [--rounds=5]

Times the compiled step of each config (by default those of the table in the
documentation) on data in memory. Each candidate runs in its own process and has a row:
compile seconds, ms per step (median and quartiles), images/s, peak memory.
`--against=torch` (extra `reference`) adds the same GAN in PyTorch. `--compilation` says
how long the step takes to compile, at first and from the cache. `--layers` times each
convolution of the step on its own, `--stabilisers` the step with each stabiliser,
`--seeds=8` eight vmapped runs in one program against eight runs one by one, and
`--metrics` extractors and scores against their reference implementations.

`--config.KEY=VALUE` changes a value of each config: --config.augment='()'. A run is as
many steps as it takes for lazy terms to be done equally often in each.
"""

from __future__ import annotations

import os
import re
import sys
from importlib import util
from typing import Any

from absl import flags

from experiments import cli

# Flags that each benchmark takes, beside --out.
STEPS = "steps"
TAKES = {
    STEPS: {"config", "batch_size", "against", "only", "rounds"},
    "compilation": {"config", "batch_size"},
    "layers": {"config", "batch_size", "against", "rounds"},
    "stabilisers": {"config", "batch_size", "rounds"},
    "seeds": {"config", "batch_size", "steps", "rounds"},
    "metrics": {"batch_size", "n", "features", "only", "rounds"},
}
CHANGE = re.compile(r"--?(no)?config\.")
NAMES = {"config": "specs", "seeds": "n_seeds"}  # of arguments, where they differ


def main(report) -> None:
    """Runs one, with the imported `experiments.benchmarks.report`."""
    # Several processes share a GPU; none may reserve its memory.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    changes = tuple(x for x in sys.argv if CHANGE.match(x))
    kind, options = chosen(flags.FLAGS, changes)
    report.run(kind, out=flags.FLAGS.out, **options)


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


if __name__ == "__main__":
    flags.DEFINE_multi_string("config", [], "PATH.py[:PRESET]; may be repeated.")
    flags.DEFINE_enum("against", None, ["torch"], "What to compare with.")
    flags.DEFINE_boolean("compilation", False, "Time to compile the step.")
    flags.DEFINE_boolean("layers", False, "Each convolution of the step on its own.")
    flags.DEFINE_boolean("stabilisers", False, "The step with each stabiliser.")
    flags.DEFINE_integer(
        "seeds", None, "This many runs, vmapped and one by one.", lower_bound=2
    )
    flags.DEFINE_integer(
        "steps", None, "With --seeds: steps of each complete run.", lower_bound=1
    )
    flags.DEFINE_boolean("metrics", False, "Extractors and scores.")
    flags.DEFINE_integer(
        "n", None, "With --metrics: features per side.", lower_bound=20
    )
    flags.DEFINE_multi_string(
        "features", None, "With --metrics: extractor whose feature width is used."
    )
    flags.DEFINE_multi_string(
        "only", None, "Of metrics, or of what a step is timed against: only these."
    )
    flags.DEFINE_integer(
        "batch_size", None, "Batch size, instead of the config's.", lower_bound=1
    )
    flags.DEFINE_integer(
        "rounds", None, "Rounds; each times every candidate once.", lower_bound=1
    )
    cli.path_flag("out", None, "A JSON file with every sample.")
    # Each candidate configures its own process.
    cli.main(main, "experiments.benchmarks.report", parse=parse, jax=False)
