"""Writes the report of a run: one HTML page that needs nothing else.

    python -m experiments.report --workdir=DIR

`experiments.run` writes it, too. This command writes it again, at any time: the run may
still be training, or have been stopped.
"""

from absl import flags

from experiments import cli


def main(run):
    """Writes the page, with the imported `experiments.pages.run`."""
    print(run.write(flags.FLAGS.workdir))


if __name__ == "__main__":
    cli.path_flag("workdir", None, "Folder of the run.", required=True)
    cli.main(main, "experiments.pages.run", jax=False)
