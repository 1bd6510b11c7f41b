"""Finds anomalies of time series by a model that reconstructs them.

    python -m experiments.run --config=tadgan --config.data=series:x.csv --workdir=DIR
    python -m experiments.detect --workdir=DIR --out=anomalies.html

The signals are those of the run, or with `--input` others, read with the same options:
a CSV with a column of times, or a folder of such files. `--out` ends in .csv, .json or
.html; the page shows each signal with its reconstruction, the scores, and what was
found. Labels, NAB's combined_windows.json or a CSV with columns start,end, give F1,
precision and recall by overlap.

A folder of signals in one command, a model of each:

    python -m experiments.detect --train=FOLDER --workdir=DIR --seeds=5 --labels=x.json

`--train` takes the options of series:PATH, as FOLDER:interval=600; `--config` and
`--config.KEY` are those of the models, by default tadgan's. Stopped at any moment, the
same command goes on; other rules, --error and --combine, need no new training. If the
folder has sub-folders train and test, models of the one detect the other. DIR/table.csv
has the counts of every signal and seed.
"""

import os
import sys

from absl import flags

from configs import presets
from experiments import cli
from experiments.files import expanded

OF_RUN, OF_FOLDER = ("input", "checkpoint"), ("seeds", "epochs", "at_once")


def main(detection):
    """Detects, with the imported `experiments.detection`."""
    values = flags.FLAGS
    rules = detection.Rules(error=values.error, combine=values.combine)
    same = {"out": values.out, "true": values.labels, "rules": rules}
    if values.train is None:
        given = {"path": values.input, "checkpoint": values.checkpoint}
        lines = detection.detect_run(values.workdir, **given, **same)
    else:
        given = {name: flags.FLAGS[name].value for name in OF_FOLDER}
        config, workdir = values.config, values.workdir
        lines = detection.train_folder(config, workdir, **given, **same)
    print("\n".join([*lines, *([values.out] if values.out else [])]))


def parse(argv):
    """Parses the flags; with --train, those of --config too."""
    folder = cli.value_of("--train", argv)
    if folder is None:
        rest, others = cli.flags_only(argv), ("config", *OF_FOLDER)
    else:
        if cli.value_of("--config", argv) is None:
            argv = [*argv, f"--config={presets.DETECTOR}"]
        try:
            path = os.path.abspath(expanded(folder))
        except ValueError as error:
            sys.exit(cli.failed(f"--train: {error}"))
        rest = cli.parse([*argv, f"--config.data=series:{path}"])
        others = OF_RUN
    for name in others:
        if flags.FLAGS[name].present:
            where = "goes with --train" if folder is None else "is not for --train"
            sys.exit(cli.failed(f"--{name} {where}"))
    return rest


if __name__ == "__main__":
    cli.path_flag("workdir", None, "Folder of the run, or of results.", required=True)
    cli.path_flag("input", None, "Signals: a file, or a folder; as the run's data.")
    cli.path_flag("out", None, "File of the results: .csv, .json or .html.")
    cli.path_flag("labels", None, "True anomalies: a .json as NAB's, or a .csv.")
    flags.DEFINE_string("checkpoint", None, "last, best, or a step; by default last.")
    flags.DEFINE_string("error", "dtw", "Of the reconstruction: point, area or dtw.")
    flags.DEFINE_string("combine", "mult", "With the critic: mult, sum, rec or critic.")
    cli.path_flag("train", None, "Folder of signals; a model of each is trained.")
    flags.DEFINE_integer("seeds", 1, "Models of each signal.")
    flags.DEFINE_float(
        "epochs", None, "How often each window is seen; or config.steps."
    )
    flags.DEFINE_integer("at_once", 8, "Models that are trained in one program.")
    cli.config_flag()
    apart = cli.value_of("--train", sys.argv) is not None  # a model on each core
    cli.main(main, "experiments.detection", parse=parse, cores_apart=apart)
