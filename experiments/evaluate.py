"""Evaluates a trained model.

    python -m experiments.evaluate --workdir=DIR [--checkpoint=last|best|STEP]
        [--n=10000] [--metrics=fid,kid,pr,classes] [--extractor=classifier]
    python -m experiments.evaluate --workdir=DIR [--baselines] [--beside=DIR2,DIR3]
        [--gallery] [--data=sr:TRAIN,TEST]

Samples of the averaged networks are compared with the training images and, to give the
scores a scale, so are the data's own test images, if any. As most scores depend on the
number of images, the larger set is also cut to the size of the smaller one and scored
again. The results, with everything that they depend on, are printed and added to
DIR/evaluations.jsonl; the bare values are added to metrics.jsonl. A score that fails is
printed with its reason, and the others go on; the exit code is 1 if all fail.

Outputs that are made of examples, such as those of a translation, are made of the test
rows, each once, and compared with the test side; the protocol says so. With --baselines
they stand in one table, in Markdown, beside what they have to beat: the nearest
training neighbour, the mean picture, and the input as it is; with --beside beside other
runs on the same data. It is kept as DIR/comparison.md. --gallery writes the page
DIR/gallery/index.html: each test row, what was made of it, and what it should be.
--data measures on another set, named as in a config; curves do not get these scores.

Metrics are the files of `experiments/evaluation/evaluators`: scores by an extractor's
features (fid, kid, is, pr, dc, nnfs, ...); of pairs (l1, psnr, ssim, lpips, perceptual,
palette) and of cycles (cycle); memorisation, with a picture of the samples closest to
training images; ppl_z, the length of paths between latents; modes; agreement. An output
is named as in "fid(output=a_to_b)".
"""

import sys

from absl import flags

from experiments import cli
from experiments.evaluation import score_flags


def main(runs):
    """Evaluates, with the imported `experiments.evaluation.runs`."""
    values = flags.FLAGS
    report = runs.evaluate_run(
        values.workdir,
        checkpoint=values.checkpoint,
        n=values.n,
        metrics=score_flags.metrics() or None,
        extractor=values.extractor,
        resize=values.preset,
        weights=score_flags.weights(),
        recalibrate=values.recalibrate,
        beside=[cli.expanded(folder) for folder in values.beside],
        baselines=values.baselines,
        gallery=values.gallery,
        data=values.data,
    )
    return runs.show(report, "samples", values.out)


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
    flags.DEFINE_boolean("baselines", False, "Measure what the model has to beat, too.")
    flags.DEFINE_boolean("gallery", False, "Show all that is made of the test rows.")
    flags.DEFINE_string("data", None, "Measure on these data, not the run's own.")
    flags.DEFINE_list("beside", [], "Folders of other runs to measure, too.")
    cli.main(main, "experiments.evaluation.runs", parse=parse)
