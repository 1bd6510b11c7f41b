"""Whether conditional samples show the class that was asked for."""

from __future__ import annotations

import numpy as np

from experiments.evaluation.result import Result
from gans.data import kinds
from gans.metrics.scores import agreement

LEAST = 10  # real images, of which a fifth is held out
N_REAL = 10_000  # of the real images; a support vector machine needs no more

MEANING = {
    "agreement/agreement": (
        "The share of samples that show the class that was asked for."
    ),
    "agreement/accuracy": (
        "How often that classifier is right on real images: what samples can reach."
    ),
}


def make(gan, spec, source, *, setting, output: str = "sample"):
    """Returns the evaluator; ValueError for samples or data without labels."""
    field = setting.field("agreement", output, "image")
    label = source.label_of(field)
    if label is None or label not in setting.sampler(output).fields:
        raise ValueError(
            f"{setting.place}: agreement needs a conditional GAN and labelled data"
        )

    n, n_classes = source.length_of(field), np.count_nonzero(setting.counts(label))
    if n < LEAST or n_classes < 2:
        raise ValueError(
            f"{setting.place}: agreement of {n} images of {n_classes} classes; at "
            f"least {LEAST} of two are needed"
        )

    def evaluate(state):
        samples = setting.collect(state, output)
        rows = np.random.default_rng(0).permutation(len(source))[:N_REAL]
        real = source.take(rows)
        found = agreement.measure(
            samples[field],
            samples[label],
            np.asarray(kinds.of(spec[field]).decode(real[field])),
            real[label],
        )
        return {
            f"agreement/{name}": Result(value, "higher")
            for name, value in found.items()
        }

    return evaluate
