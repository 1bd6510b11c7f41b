"""Writes the report of a run, an ablation or a sweep again: one HTML page.

    python -m experiments.report --workdir=DIR

`experiments.run`, `ablate` and `sweep` write it, too. This command can be used at any
time: the work may still be under way, or have been stopped.
"""

import importlib

from absl import flags

from experiments import cli

PAGES = {
    "run": "experiments.pages.run",
    "ablation": "experiments.ablations.report",
    "sweep": "experiments.sweeps.report",
}


def main(folder):
    """Writes the page, with the imported `experiments.rundir.folder`."""
    workdir = flags.FLAGS.workdir
    page = importlib.import_module(PAGES[folder.expect(workdir, *PAGES)])
    print(page.write(workdir))


if __name__ == "__main__":
    cli.path_flag("workdir", None, "Folder of the work.", required=True)
    cli.main(main, "experiments.rundir.folder", jax=False)
