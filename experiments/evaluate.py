"""Evaluates a trained model.

    python -m experiments.evaluate --workdir=DIR [--checkpoint=last|best|STEP]
        [--n=10000] [--metrics=fid,kid,pr,classes] [--extractor=classifier]

Samples of the averaged networks are compared with the training images and, to give the
scores a scale, so are the data's own test images, if any. As most scores depend on the
number of images, the larger set is also cut to the size of the smaller one and scored
again. The results, with everything that they depend on, are printed and added to
DIR/evaluations.jsonl; the bare values are added to metrics.jsonl. A score that fails is
printed with its reason, and the others go on; the exit code is 1 if all fail.

Metrics are the files of `experiments/evaluation/evaluators`: scores by an extractor's
features (fid, kid, is, pr, dc, nnfs, ...); memorisation, with a picture of the samples
closest to training images; ppl_z, the length of paths between latents; modes;
agreement.
"""

import sys

from absl import flags

from experiments import cli
from experiments.evaluation import score_flags


def main(reports):
    """Evaluates, with the imported `experiments.evaluation.reports`."""
    values = flags.FLAGS
    report = reports.evaluate_run(
        values.workdir,
        checkpoint=values.checkpoint,
        n=values.n,
        metrics=score_flags.metrics() or None,
        extractor=values.extractor,
        resize=values.preset,
        weights=score_flags.weights(),
        recalibrate=values.recalibrate,
    )
    return reports.show(report, "samples", values.out)


def parse(argv):
    """Parses the flags; returns the command's name."""
    rest = cli.flags_only(argv)
    try:
        if flags.FLAGS.out:
            score_flags.check_file("--out", flags.FLAGS.out)
    except (ValueError, OSError) as error:
        sys.exit(cli.failed(error))
    return rest


if __name__ == "__main__":
    score_flags.define()
    cli.path_flag("workdir", None, "Folder of the run.", required=True)
    flags.DEFINE_string("checkpoint", "last", "last, best, or a step.")
    flags.DEFINE_boolean("recalibrate", False, "Recompute the EMA's batch statistics.")
    cli.main(main, "experiments.evaluation.reports", parse=parse)
