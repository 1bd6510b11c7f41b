"""Measures speed: training steps of configs, or their convolutions; ours and PyTorch's.

    python -m experiments.benchmark [--config=NAME[:PRESET] ...]
        [--against=torch] [--layers | --stabilisers | --seeds=8 [--steps=N]]
        [--batch_size=N] [--only=NAME ...] [--rounds=9] [--out=FILE]
    python -m experiments.benchmark --inference [--config=...] [--against=torch]
    python -m experiments.benchmark --compilation [--config=...] [--batch_size=N]
    python -m experiments.benchmark --metrics [--n=10000] [--batch_size=16]
        [--features=inception|classifier ...] [--only=NAME ...] [--rounds=5]

Times the compiled step of each config (by default those of the table in the
documentation) on data in memory. Each candidate runs in its own process and has a row:
compile seconds, ms per step (median and quartiles), images/s, peak memory.
`--against=torch` (extra `reference`) adds the same GAN in PyTorch. `--compilation` says
how long the step takes to compile, at first and from the cache. `--inference` times
whole pictures through a model that makes pictures of pictures. `--layers` times each
convolution of the step on its own, `--stabilisers` the step with each stabiliser,
`--seeds=8` eight vmapped runs in one program against eight runs one by one, and
`--metrics` extractors and scores against their reference implementations.

`--config.KEY=VALUE` changes a value of each config: --config.augment='()'. A run is as
many steps as it takes for lazy terms to be done equally often in each.
"""

from __future__ import annotations

import os
import sys

from absl import flags

from experiments import cli
from experiments.benchmarks import kinds


def main(report) -> None:
    """Runs one, with the imported `experiments.benchmarks.report`."""
    # Several processes share a GPU; none may reserve its memory.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    changes = tuple(x for x in sys.argv if kinds.CHANGE.match(x))
    kind, options = kinds.chosen(flags.FLAGS, changes)
    report.run(kind, out=flags.FLAGS.out, **options)


if __name__ == "__main__":
    flags.DEFINE_multi_string("config", [], "PATH.py[:PRESET]; may be repeated.")
    flags.DEFINE_enum("against", None, ["torch"], "What to compare with.")
    flags.DEFINE_boolean("compilation", False, "Time to compile the step.")
    flags.DEFINE_boolean("inference", False, "Whole pictures.")
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
    cli.main(main, "experiments.benchmarks.report", parse=kinds.parse, jax=False)
