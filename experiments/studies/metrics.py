"""How the scores respond to real images that are degraded more and more.

    python -m experiments.studies.metrics [--data=tfds:cifar10] [--extractor=squeezenet]
        [--n=10000] [--out=docs/metrics]

The reference is n training images. Compared with it are the test images, other training
images, and those other images blurred, with noise, and without some of the classes. The
scores are printed, written to OUT.json, and drawn in OUT.png.
"""

import sys
from pathlib import Path

from absl import flags

from experiments import cli
from experiments.evaluation import score_flags


def main(degradations):
    """Does the study, with the imported `experiments.studies.degradations`."""
    values = flags.FLAGS
    report = degradations.study(
        values.data,
        values.extractor,
        n=values.n,
        weights=score_flags.weights(),
        progress=lambda line: print(line, file=sys.stderr),
    )
    degradations.write(Path(values.out), report)
    print(degradations.table(report))


if __name__ == "__main__":
    score_flags.define()
    flags.DEFINE_string("data", "tfds:cifar10", "A labelled set with a test split.")
    flags.FLAGS.set_default("extractor", "squeezenet")
    flags.FLAGS.set_default("n", 10_000)
    flags.FLAGS.set_default("out", "docs/metrics")
    cli.main(main, "experiments.studies.degradations")
