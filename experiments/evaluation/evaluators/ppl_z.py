"""Perceptual path length in Z, arXiv 1812.04948, by the extractor's distances."""

from __future__ import annotations

import time
from typing import Any

import jax
from tqdm import tqdm

from experiments.evaluation import extractors, scores
from experiments.evaluation.result import Result
from gans.metrics.scores.path_length import path_length

EPSILON = 1e-4  # of a path, the step

MEANING = {
    "ppl_z": (
        "How abruptly images change along a path between two latents: smooth is low."
    ),
}


def make(gan, spec, source, *, setting, output: str = "sample"):
    """Returns the evaluator.

    Raises ValueError for samples that are not images, latents that are not flat,
    another type than float32, and an extractor that sees no steps so small.
    """
    images = setting.of_images("ppl_z", output, floats=True)
    sampler, config = setting.sampler(output), setting.config
    inputs = sampler.input_shapes()
    if "z" not in inputs or inputs["z"].ndim != 2 or config.dtype != "float32":
        raise ValueError(
            f"{setting.place}: ppl_z needs latents z [n, L] and config.dtype=float32, "
            f"to see steps so small; {config.variant} has {', '.join(inputs)} and "
            f"{config.dtype}"
        )

    def evaluate(state):
        n = setting.n
        z0, z1 = (sampler.inputs(jax.random.key(i), n)["z"] for i in (0, 1))

        def generate(z, key):
            inputs = sampler.inputs(key, len(z)) | {"z": z}
            inputs |= setting.classes(output, len(z))
            return sampler(state, inputs, jax.random.fold_in(key, 1), (images.field,))[
                images.field
            ]

        extractor = images.data.extractor
        setting.note(scores.describe(extractor, images="float32"))
        return measure(extractor, generate, z0, z1)

    return evaluate


def measure(extractor: Any, generate: Any, z0: Any, z1: Any) -> dict[str, Result]:
    """Returns the mean length of the paths from z0 to z1 [N, L].

    generate: (z [B, L], key) -> images [B, H, W, C], as `path_length` takes it.
    """
    began = time.perf_counter()
    d, protocol = extractors.distance(extractor)

    def counted(x, y):
        bar.update(len(x))
        return d(x, y)

    title = f"ppl_z by {extractor.name}"
    key = jax.random.key(2)
    with (
        tqdm(desc=title, total=len(z0), disable=None, leave=False) as bar,
        jax.default_matmul_precision("float32"),
    ):
        found = path_length(generate, counted, z0, z1, key=key, epsilon=EPSILON)
    protocol = {
        "n_pairs": len(z0),
        "n_kept": found.n,
        "epsilon": EPSILON,
        "path": "slerp of z, t uniform",
        "distance": protocol,
        "images": "float32",
        "seconds": time.perf_counter() - began,
    }
    value = Result(found.mean, "lower", found.standard_error, protocol)
    return {f"ppl_z_{extractor.name}": value}
