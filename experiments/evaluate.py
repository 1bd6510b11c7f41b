"""How good a trained model is.

    python -m experiments.evaluate --workdir=DIR [--checkpoint=last|best|STEP]
        [--n=10000] [--metrics=fid,kid,pr,classes] [--extractor=classifier]

Samples of the averaged networks are compared with the training images and, to give the
scores a scale, so are the data's own test images, if any. As most scores depend on the
number of images, the larger of both sets is cut to the size of the other, and compared
too. The results, with everything that they depend on, are printed and added to
DIR/evaluations.jsonl; the bare values are added to metrics.jsonl.

Metrics are the files of `experiments/evaluation/evaluators`: scores by an extractor's
features (fid, kid, is, pr, dc, nnfs, ...); memorisation, with a picture of the samples
closest to training images; ppl_z, the length of paths between latents; modes;
agreement.
"""

from __future__ import annotations

import sys

from absl import app, flags, logging

from experiments import metrics


def main(_):
    from experiments import process

    logging.set_verbosity(logging.WARNING)
    process.configure()
    process.compilation_cache()
    from experiments.evaluation import reports

    given = flags.FLAGS
    try:
        if given.out:
            metrics.check_file("--out", given.out)
        report = reports.evaluate_run(
            given.workdir,
            checkpoint=given.checkpoint,
            n=given.n,
            metrics=metrics.named_metrics() or None,
            extractor=given.extractor,
            resize=given.preset,
            weights=metrics.named_weights(),
            recalibrate=given.recalibrate,
        )
        if given.out:
            metrics.write(given.out, report)
    except (ValueError, OSError, RuntimeError) as error:
        sys.exit(f"error: {error}")
    columns = {"samples": report["results"]}
    if "equal_n" in report:
        columns[report["equal_n"]["column"]] = report["equal_n"]["results"]
    if "baseline" in report:
        columns["real test images"] = report["baseline"]
    metrics.show(columns, report["warnings"])


if __name__ == "__main__":
    metrics.define_flags()
    flags.DEFINE_string("workdir", None, "Folder of the run.", required=True)
    flags.DEFINE_string("checkpoint", "last", "last, best, or a step.")
    flags.DEFINE_boolean("recalibrate", False, "See experiments.sample.")
    app.run(main)
