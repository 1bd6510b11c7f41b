"""Finds anomalies of time series by a trained model that reconstructs them.

    python -m experiments.run --config=tadgan --config.data=series:x.csv --workdir=DIR
    python -m experiments.detect --workdir=DIR --out=anomalies.html

The signals are those of the run, or with `--input` others, read with the same options:
a CSV with a column of times, or a folder of such files. `--out` ends in .csv, .json or
.html; the page shows each signal with its reconstruction, the scores, and what was
found. Labels, NAB's combined_windows.json or a CSV with columns start,end, give F1,
precision and recall by overlap.
"""

from absl import flags

from experiments import cli


def main(run):
    """Detects, with the imported `experiments.detection.run`."""
    values = flags.FLAGS
    rules = run.Rules(error=values.error, combine=values.combine)
    lines = run.detect_run(
        values.workdir,
        values.out,
        path=values.input,
        true=values.labels,
        checkpoint=values.checkpoint,
        rules=rules,
    )
    print("\n".join(lines))
    if values.out:
        print(values.out)


if __name__ == "__main__":
    cli.path_flag("workdir", None, "Folder of the run.", required=True)
    cli.path_flag("input", None, "Signals: a file, or a folder; as the run's data.")
    cli.path_flag("out", None, "File of the results: .csv, .json or .html.")
    cli.path_flag("labels", None, "True anomalies: a .json as NAB's, or a .csv.")
    flags.DEFINE_string("checkpoint", None, "last, best, or a step; by default last.")
    flags.DEFINE_string("error", "dtw", "Of the reconstruction: point, area or dtw.")
    flags.DEFINE_string("combine", "mult", "With the critic: mult, sum, rec or critic.")
    cli.main(main, "experiments.detection.run")
