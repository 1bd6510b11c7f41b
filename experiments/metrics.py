"""Measures the scores of one set of images against another.

    python -m experiments.metrics REAL FAKE --metrics=fid,kid,pr [--extractor=NAME]
        [--preset=tf|pytorch|clean] [--n=N] [--resize=PIXELS] [--out=FILE]
    python -m experiments.metrics REAL --save-stats=FILE

Each side is a folder of images, an .npy or .npz file, a data set such as digits@test or
tfds:cifar10@train, or an .npz of statistics (`mu` and `sigma`, as pytorch-fid writes).
Without --extractor it is inception if its weights are at hand, else random, which needs
nothing. The scores, with everything that they depend on, are printed, and written to
FILE as JSON. A score that fails is printed with its reason, and the others go on; the
exit code is 1 if all fail.
"""

import sys

from absl import flags

from experiments import cli
from experiments.evaluation import score_flags


def main(comparison, real, fake=None):
    """Measures, with the imported `experiments.evaluation.comparison`."""
    values = flags.FLAGS
    report = comparison.measure(
        real,
        fake,
        score_flags.metrics() or ("fid",),
        extractor=values.extractor or "auto",
        resize=values.preset,
        weights=score_flags.weights(),
        classifier_data=values["classifier-data"].value,
        n=values.n,
        resolution=values.resize,
        skip_corrupt=values.skip_corrupt,
        seed=values.seed,
        save_stats=values["save-stats"].value,
    )
    return comparison.show(report, "value", values.out)


def parse(argv):
    """Parses the flags; returns the command's name and the two sides, or one."""
    try:
        rest = cli.read(argv)
        sides, values = len(rest) - 1, flags.FLAGS
        if sides != 2 and not (sides == 1 and values["save-stats"].value):
            raise ValueError("wanted: REAL FAKE, or REAL --save-stats=FILE")
        if values.out:
            score_flags.check_file("--out", values.out)
    except (flags.Error, ValueError, OSError) as error:
        sys.exit(cli.failed(error))
    return rest


if __name__ == "__main__":
    score_flags.define()
    flags.DEFINE_string(
        "classifier-data",
        None,
        "Labelled data set that the extractor `classifier` is trained on, such as "
        "digits.",
    )
    flags.DEFINE_integer("resize", None, "Crops and resizes all images to this side.")
    flags.DEFINE_boolean(
        "skip_corrupt", False, "Leave out files that cannot be read, and say so."
    )
    cli.path_flag("save-stats", None, "Writes REAL's statistics to this .npz.")
    cli.main(main, "experiments.evaluation.comparison", parse=parse)
