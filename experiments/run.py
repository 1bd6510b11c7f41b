"""Trains a GAN, or continues a training.

    python -m experiments.run --config=NAME[:PRESET] [--workdir=DIR]
        [--config.KEY=VALUE ...] [--allow-config-change]
        [--init-from=WORKDIR[:last|best|STEP]]
    python -m experiments.run --list                      # configs and their presets
    python -m experiments.run --config=NAME --help        # every key, with its value

NAME is a config that comes with the package, such as wgan_gp; PATH.py is your own.
The workdir (by default runs/NAME-PRESET) receives checkpoints, metrics, samples and
report.html. The same command again continues from the newest checkpoint.
"""

import sys
import time

from absl import flags

from experiments import cli

STARTED = time.time()


def main(loop):
    """Trains, with the imported `experiments.training.loop`."""
    values = flags.FLAGS
    loop.train(
        values.config,
        values.workdir or cli.default_workdir(*cli.chosen(sys.argv)),
        command=cli.command(),
        started=STARTED,
        allow_config_change=values["allow-config-change"].value,
        init_from=values["init-from"].value,
    )


if __name__ == "__main__":
    cli.config_flag()
    cli.path_flag("workdir", None, "Where to; by default runs/NAME-PRESET.")
    cli.path_flag(
        "init-from",
        None,
        "WORKDIR[:CHECKPOINT] of another run, whose weights a new run starts from; "
        "CHECKPOINT is last, best or a step.",
    )
    flags.DEFINE_boolean(
        "allow-config-change", False, "Continue although the config has been changed."
    )
    cli.main(main, "experiments.training.loop", parse=cli.parse)
