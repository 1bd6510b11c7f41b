"""Trains a GAN, or goes on with one.

    python -m experiments.run --config=configs/NAME.py[:PRESET] [--workdir=DIR]
        [--config.any.value=...] [--allow-config-change]

The workdir (by default runs/NAME-PRESET) receives checkpoints, metrics, samples and
report.html. The same command again continues from the newest checkpoint.
"""

import shlex
import signal
import sys
import time
from pathlib import Path

from absl import app, flags, logging
from ml_collections import config_flags

from experiments import config as configs

STARTED = time.time()


def main(argv):
    """Returns the exit code."""
    command = shlex.join(["python", "-m", "experiments.run", *sys.argv[1:]])
    try:
        return _train(command)
    except KeyboardInterrupt:
        return stopped("interrupted", command, signal.SIGINT)


def _train(command):
    logging.set_verbosity(logging.WARNING)
    from experiments import process

    process.configure()
    process.compilation_cache()
    from experiments.signals import Interrupted
    from experiments.training import loop

    values = flags.FLAGS
    try:
        loop.train(
            values.config,
            values.workdir or default_workdir(*chosen(sys.argv)),
            command=command,
            started=STARTED,
            allow_config_change=values["allow-config-change"].value,
        )
    except Interrupted as error:
        return stopped(error, command, error.number)
    except loop.ERRORS as error:
        return failed(error)


def parse(argv, check=configs.check):
    """Returns the arguments that are no flags; ends the process if one is wrong.

    Names are checked before the flags are parsed: ml_collections answers an unknown one
    with a traceback.
    """
    try:
        spec = value_of("--config", argv)
        if spec:
            config, _ = configs.load_file(spec)
            for flag in argv:
                if flag.startswith("--config."):
                    configs.check_flag(config, flag)
        rest = flags.FLAGS(argv)
        if len(rest) > 1:
            raise ValueError(f"{rest[1]!r} is not a flag")
        if not spec:
            raise ValueError("which? --config=configs/NAME.py[:PRESET]")
        check(flags.FLAGS.config)
    except (flags.Error, ValueError, IndexError) as error:
        sys.exit(failed(error))
    return rest


def chosen(argv):
    """Returns (NAME, PRESET) of the command line's --config."""
    spec = value_of("--config", argv)
    return Path(spec.partition(":")[0]).stem, configs.load_file(spec)[1]


def default_workdir(name, preset, kind=""):
    """Returns runs/KIND-NAME-PRESET."""
    return Path("runs") / "-".join(x for x in (kind, name, preset) if x)


def value_of(name, argv):
    """Returns what the command line says of a flag, if it does."""
    for flag, following in zip(argv, [*argv[1:], None], strict=True):
        if flag.partition("=")[0] == name:
            return flag.partition("=")[2] or following


def failed(error):
    """Says an error in a line; returns the exit code."""
    print(f"error: {error}", file=sys.stderr)
    return 1


def stopped(what, command, number):
    """Says how to go on after a signal; returns the exit code."""
    print(f"{what}. To continue:\n{command}", file=sys.stderr)
    return 128 + number


if __name__ == "__main__":
    config_flags.DEFINE_config_file("config", help_string="Config file, and preset.")
    flags.DEFINE_string("workdir", None, "Where to; by default runs/NAME-PRESET.")
    flags.DEFINE_boolean(
        "allow-config-change", False, "Go on although the config has been changed."
    )
    app.run(main, flags_parser=parse)
