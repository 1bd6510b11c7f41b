"""Mode collapse: the ablation configs/ablations/mode_collapse.py, under a short name.

    python -m experiments.collapse [--data=ring8|grid25|stacked:digits|
        stacked:tfds:mnist] [--arms=all|NAME,...] [--seeds=5] [--steps=N]
        [--workdir=DIR]

prints the command of `experiments.ablate` that does the same, and runs it.
"""

from __future__ import annotations

import os
import shlex
import sys

from absl import app, flags

from experiments import cli

PRESETS = {
    "ring8": "ring8",
    "grid25": "grid25",
    "stacked:digits": "stacked_digits",
    "stacked:tfds:mnist": "stacked_mnist",
}
CONFIG = "mode_collapse"


def command(
    data: str,
    *,
    arms: list[str],
    seeds: int | None = None,
    steps: int | None = None,
    workdir: str | None = None,
) -> list[str]:
    """Returns the arguments of `python` that run the ablation."""
    given = {
        "config": f"{CONFIG}:{PRESETS[data]}",
        "arms": ",".join(arms) if arms != ["all"] else None,
        "config.seeds": seeds,
        "config.steps": steps,
        "workdir": workdir,
    }
    options = [f"--{key}={x}" for key, x in given.items() if x is not None]
    return ["-m", "experiments.ablate", *options]


def main(_):
    """Runs the ablation; returns the exit code of a mistake."""
    given = flags.FLAGS
    if given.out is not None:
        return cli.failed(
            "--out is now --workdir: a folder for results.json and the report"
        )
    line = command(
        given.data,
        arms=given.arms,
        seeds=given.seeds,
        steps=given.steps,
        workdir=given.workdir,
    )
    print(shlex.join(["python", *line]), file=sys.stderr, flush=True)
    # In this process's place, so that signals reach the ablation.
    os.execv(sys.executable, [sys.executable, *line])


if __name__ == "__main__":
    flags.DEFINE_enum("data", "ring8", [*PRESETS], "What to learn.")
    flags.DEFINE_list("arms", "all", f"Names of arms in {CONFIG}, or all.")
    flags.DEFINE_integer("seeds", None, "Runs of each arm; by default the config's.")
    flags.DEFINE_integer("steps", None, "Batches of real data in each run.")
    cli.path_flag("workdir", None, "Folder for the results.")
    cli.path_flag("out", None, "The former name of --workdir.")
    app.run(main, flags_parser=cli.flags_only)
