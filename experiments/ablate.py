"""Trains every arm of an ablation with several seeds, and reports the differences.

    python -m experiments.ablate --config=NAME[:PRESET]
        [--workdir=DIR] [--arms=NAME,...] [--dry-run] [--changed=rerun|keep]
        [--config.seeds=8] [--config.any.value=...]

The seeds of an arm, and arms that differ only in floats, are trained together in one
program: see experiments/ablations/arms.py. The workdir (by default
runs/ablation-NAME-PRESET) receives results.json, results.csv, report.html, report.md
and pictures. The same command again continues where the last one stopped, and ends with
the same tables. New arms and seeds are added; failed ones are tried again. --arms runs
some of the arms, always with the baseline. --dry-run prints the programs and how long
they will take, as estimated from two calls of each.

Results of your own code that has changed since are refused: --changed=rerun trains
these arms again, --changed=keep keeps their results. An arm whose code raises an error
is reported as failed, and the others are run.
"""

import sys
from pathlib import Path

from absl import flags

from experiments import cli
from experiments.ablations import config as ablations


def main(ablation):
    """Runs or plans it, with the imported `experiments.ablations.ablation`."""
    config, (name, preset) = flags.FLAGS.config, cli.chosen(sys.argv)
    workdir = flags.FLAGS.workdir or cli.default_workdir(name, preset, "ablation")
    workdir = Path(workdir)
    changed = flags.FLAGS.changed
    if flags.FLAGS["dry-run"].value:
        print(ablation.plan(config, workdir, changed))
        return 0
    results = ablation.run(
        config,
        workdir,
        name=name,
        preset=preset,
        command=cli.command(),
        changed=changed,
    )
    print(workdir / "report.html")
    failed = ablation.failures(results)
    return cli.failed(failed) if failed else 0


def parse(argv):
    """Parses the flags, as `cli.parse` does; --arms goes into config.order."""
    return cli.parse(argv, check=check, ablations=True)


def check(config):
    """Raises ValueError for a config or for --arms that cannot be run."""
    if flags.FLAGS.arms:
        ablations.choose(config, flags.FLAGS.arms)
    ablations.check(config)
    ablations.check_flags(config, sys.argv[1:])


if __name__ == "__main__":
    cli.config_flag()
    cli.path_flag("workdir", None, "By default runs/ablation-NAME-PRESET.")
    flags.DEFINE_list("arms", [], "Run these arms and the baseline; by default all.")
    flags.DEFINE_boolean("dry-run", False, "Print the programs and the time they take.")
    flags.DEFINE_enum(
        "changed",
        "refuse",
        ["refuse", "rerun", "keep"],
        "What becomes of results of code of your own that has changed since.",
    )
    cli.main(main, "experiments.ablations.ablation", parse=parse, cores_apart=True)
