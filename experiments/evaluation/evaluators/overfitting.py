"""Whether the discriminator has learnt the training images by heart."""

from __future__ import annotations

import jax
import numpy as np

from experiments.evaluation.result import Result
from gans import core
from gans.data import kinds

MEANING = {
    "overfitting": (
        "Where the discriminator puts held-out images between training images, 0, and "
        "samples, 1: about 0 unless it knows the training images by heart."
    ),
    "overfitting/train": "The discriminator's mean logit of training images.",
    "overfitting/test": "The discriminator's mean logit of held-out images.",
    "overfitting/fake": "The discriminator's mean logit of samples.",
}


def make(gan, spec, source, *, setting, output: str = "sample"):
    """Returns the evaluator: r_v of equation 1 of arXiv 2006.06676, and its parts.

    Images are not augmented, samples are those of the EMA, and all three means are of
    equally many images. Raises ValueError without a test set, and without a
    discriminator "d" that sees nothing but an image, and its label.
    """
    field, test = setting.field("overfitting", output, "image"), setting.samplers.test
    if "d" not in gan.nets or gan.conditioned_on:
        raise ValueError(
            f'{setting.place}: overfitting needs one discriminator "d" of images alone'
        )
    if test is None:
        raise ValueError(
            f"{setting.place}: overfitting needs held-out images, and "
            f"{setting.config.data} has no test set"
        )
    conditional = gan.nets["d"].inputs[1:] not in [(), (None,)]
    label = source.label_of(field) if conditional else None
    n = min(setting.plan(output).n, source.length_of(field), test.length_of(field))

    @jax.jit
    def discriminate(state, images, labels):
        return core.bind(gan, state, train=False)["d"](images, labels)

    def mean(state, batches):
        return float(np.concatenate([discriminate(state, *x) for x in batches]).mean())

    def real(images):
        rows = np.random.default_rng(0).permutation(images.length_of(field))[:n]
        size = setting.plan(output).size
        for start in range(0, n, size):
            batch = images.take(rows[start : start + size])
            yield kinds.of(spec[field]).decode(batch[field]), batch.get(label)

    def fake(state):
        missing = n
        for made in setting.samples(state, output):
            yield made[field][:missing], made.get(label)
            missing -= len(made[field])
            if missing <= 0:
                return

    def evaluate(state):
        sides = {"train": real(source), "test": real(test), "fake": fake(state)}
        means = {name: mean(state, batches) for name, batches in sides.items()}
        gap = means["train"] - means["fake"]
        r_v = (means["train"] - means["test"]) / gap if gap else float("nan")
        found = {"overfitting": Result(r_v, "lower", protocol={"n": n})}
        return found | {f"overfitting/{k}": Result(x) for k, x in means.items()}

    return evaluate
