"""Perceptual path length in W, arXiv 1812.04948, of models with a mapping network."""

from __future__ import annotations

import jax

from experiments.evaluation import scores
from experiments.evaluation.evaluators import ppl_z
from experiments.latent_space import generator

MEANING = {
    "ppl_w": (
        "How abruptly images change along a straight line between two latents w: "
        "smooth is low."
    ),
}


def make(
    gan,
    spec,
    source,
    *,
    setting,
    output: str = "sample",
    sampling: str = "full",
    crop: bool = False,
):
    """Returns the evaluator; options are those of `ppl_z`.

    Both ends of a step have the same noise. Raises ValueError, as there, and for a
    model without a mapping network.
    """
    try:
        generator.network_of(gan)
    except ValueError as error:
        raise ValueError(
            f"{setting.place}: ppl_w: {error}; ppl_z is the length of paths in z"
        ) from None
    images = ppl_z.check(setting, "ppl_w", output, sampling)
    sampler = setting.sampler(output)

    @jax.jit
    def to_w(state, z, label):
        ws = generator.bound(gan, state)(z, label, method="mapping")
        return ws.reshape(len(z), -1)

    @jax.jit
    def to_image(state, w, key):
        net = generator.bound(gan, state)
        ws = w.reshape(len(w), net.module.n_ws, -1)
        return net(ws, method="synthesis", key=key)

    def evaluate(state):
        def mapping(z, key):
            del key
            classes = setting.classes(output, len(z))
            return to_w(state, z, next(iter(classes.values()), None))

        def generate(w, key):
            return to_image(state, w, key)

        extractor = images.data.extractor
        setting.note(scores.describe(extractor, images="float32"))
        ends = ppl_z.latents(sampler, setting.n)
        return ppl_z.measure(
            extractor, generate, *ends, mapping=mapping, sampling=sampling, crop=crop
        )

    return evaluate
