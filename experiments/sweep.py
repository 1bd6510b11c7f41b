"""Searches a space of config values by many runs; poor ones are ended early.

    python -m experiments.sweep --config=NAME[:PRESET] --space=SPACE
        [--workdir=DIR] [--trials=20] [--workers=1] [--sampler=tpe] [--seed=0]
        [--no-prune] [--changed=keep] [--engine=optuna] [--config.any.value=...]

SPACE is "n_critic=int(1, 5); generator.optimizer.learning_rate=log(1e-5, 1e-2)", or a
file of such lines: see experiments/sweeps/space.py. The objective is the final value of
the first of config.metrics. The workdir (by default runs/sweep-NAME-PRESET) receives
sweep.db, a study of Optuna; trials/NNNN, the workdirs of single runs; and report.html,
report.md, sweep.csv, sweep.json and sweep.png. The same command again continues where
the last one stopped, until --trials trials have finished or been pruned. --engine=ray
does the same on a cluster: see experiments/sweeps/ray.py.
"""

import sys
from pathlib import Path

from absl import flags

from experiments import cli
from experiments import config as configs
from experiments.sweeps import space as spaces


def main(sweep):
    """Runs the sweep, with the imported `experiments.sweeps.sweep`."""
    values = flags.FLAGS
    name, preset = cli.chosen(sys.argv)
    workdir = Path(values.workdir or cli.default_workdir(name, preset, "sweep"))
    overrides = [
        x for x in sys.argv[1:] if x.lstrip("-").startswith(("config.", "noconfig."))
    ]
    sweep.run(
        values.config,
        spaces.parse(values.space),
        workdir,
        n_trials=values.trials,
        n_workers=values.workers,
        sampler=values.sampler,
        seed=values.seed,
        prune=not values["no-prune"].value,
        engine=values.engine,
        name=name,
        preset=preset,
        command=cli.command(),
        keep_changed=values.changed == "keep",
        train=[f"--config={cli.value_of('--config', sys.argv)}", *overrides],
    )
    print(workdir / "report.html")


def check(config):
    """Raises ValueError for a config or for other flags that cannot be used."""
    configs.check(config)
    if not flags.FLAGS.space:
        raise ValueError("--space is missing: --space='KEY=log(low, high); ...'")
    for name in ("trials", "workers"):
        if flags.FLAGS[name].value < 1:
            raise ValueError(f"--{name}={flags.FLAGS[name].value} must be at least 1")
    space = spaces.parse(flags.FLAGS.space)
    for flag in sys.argv[1:]:
        name = flag.partition("=")[0]
        if name.removeprefix("--config.") in space:
            raise ValueError(f"{name} has no effect, as --space varies it")


if __name__ == "__main__":
    cli.config_flag()
    cli.path_flag("space", None, "What varies: KEY=log(low, high); ...; or a file.")
    cli.path_flag("workdir", None, "By default runs/sweep-NAME-PRESET.")
    flags.DEFINE_integer("trials", 20, "Trials in all, finished or pruned.")
    flags.DEFINE_integer("workers", 1, "Trials at a time.")
    flags.DEFINE_enum("sampler", "tpe", ["tpe", "random"], "How values are drawn.")
    flags.DEFINE_integer("seed", 0, "Seed of the sampler; runs have config.seed.")
    flags.DEFINE_boolean("no-prune", False, "Train every trial to its end.")
    flags.DEFINE_enum(
        "changed",
        "refuse",
        ["refuse", "keep"],
        "Whether to go on beside trials of code of your own that has changed since.",
    )
    flags.DEFINE_enum(
        "engine", "optuna", ["optuna", "ray"], "Processes here, or a Ray cluster."
    )
    cli.main(
        main,
        "experiments.sweeps.sweep",
        parse=lambda argv: cli.parse(argv, check=check),
        jax=False,  # trials have processes of their own
    )
