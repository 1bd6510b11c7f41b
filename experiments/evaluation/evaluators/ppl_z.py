"""Perceptual path length in Z, arXiv 1812.04948, by the extractor's distances."""

from __future__ import annotations

import time
from typing import Any

import jax
from jax import Array
from tqdm import tqdm

from experiments.evaluation import distances, scores
from experiments.evaluation.result import Result
from gans import names
from gans.metrics.features.resize import at_most
from gans.metrics.scores.path_length import path_length

EPSILON = 1e-4  # of a path, the step
MOST = 256  # pixels: what larger images are shrunk to

MEANING = {
    "ppl_z": (
        "How abruptly images change along a path between two latents: smooth is low."
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
    """Returns the evaluator.

    sampling: "full", anywhere on the paths, or "end", at their beginnings. crop: only
    the part of an image that shows the face in FFHQ, see `seen`.

    Raises ValueError for samples that are not images, latents that are not flat,
    another type than float32, and an extractor that sees no steps so small.
    """
    images = check(setting, "ppl_z", output, sampling)
    sampler = setting.sampler(output)

    def evaluate(state):
        z0, z1 = latents(sampler, setting.n)

        def generate(z, key):
            inputs = sampler.inputs(key, len(z)) | {"z": z}
            inputs |= setting.classes(output, len(z))
            return sampler(state, inputs, jax.random.fold_in(key, 1), (images.field,))[
                images.field
            ]

        extractor = images.data.extractor
        setting.note(scores.describe(extractor, images="float32"))
        return measure(extractor, generate, z0, z1, sampling=sampling, crop=crop)

    return evaluate


def check(setting: Any, metric: str, output: str, sampling: str) -> Any:
    """Returns the images of an output whose path lengths can be measured.

    Raises ValueError, see `make`.
    """
    images = setting.of_images(metric, output, floats=True)
    config, inputs = setting.config, setting.sampler(output).input_shapes()
    if "z" not in inputs or inputs["z"].ndim != 2 or config.dtype != "float32":
        raise ValueError(
            f"{setting.place}: {metric} needs latents z [n, L] and "
            f"config.dtype=float32, to see steps so small; {config.variant} has "
            f"{', '.join(inputs)} and {config.dtype}"
        )
    names.check(sampling, ("full", "end"), f"{setting.place}: {metric}: sampling")
    return images


def latents(sampler: Any, n: int) -> tuple[Array, Array]:
    """Returns the ends of the paths, z [n, L] each: always the same ones."""
    return tuple(sampler.inputs(jax.random.key(i), n)["z"] for i in (0, 1))


def seen(images: Array, crop: bool) -> Array:
    """Images [B, H, W, C] as the distance sees them: at most 256 pixels.

    crop: of the height the part from 3/8 to 7/8, of the width that from 2/8 to 6/8, of
    FFHQ the face (arXiv 1812.04948, section 4.1).
    """
    if crop:
        height, width = images.shape[1] // 8, images.shape[2] // 8
        images = images[:, 3 * height : 7 * height, 2 * width : 6 * width]
    return at_most(images, MOST)


def measure(
    extractor: Any,
    generate: Any,
    z0: Any,
    z1: Any,
    *,
    mapping: Any = None,
    sampling: str = "full",
    crop: bool = False,
) -> dict[str, Result]:
    """Returns the mean length of the paths from z0 to z1 [N, L].

    generate: (latents [B, L], key) -> images [B, H, W, C], and mapping: as
    `path_length` takes them. crop: see `seen`.
    """
    began = time.perf_counter()
    d, protocol = distances.distance(extractor)

    def counted(x, y):
        bar.update(len(x))
        return d(seen(x, crop), seen(y, crop))

    name = "ppl_z" if mapping is None else "ppl_w"
    name += ("_end" if sampling == "end" else "") + ("_crop" if crop else "")
    key = jax.random.key(2)
    with (
        tqdm(
            desc=f"{name} by {extractor.name}", total=len(z0), disable=None, leave=False
        ) as bar,
        jax.default_matmul_precision("float32"),
    ):
        found = path_length(
            generate,
            counted,
            z0,
            z1,
            key=key,
            mapping=mapping,
            sampling=sampling,
            epsilon=EPSILON,
        )
    path = "slerp of z" if mapping is None else "lerp of w"
    protocol = {
        "n_pairs": len(z0),
        "n_kept": found.n,
        "epsilon": EPSILON,
        "path": f"{path}, t {'uniform' if sampling == 'full' else '0'}",
        "distance": protocol,
        "crop": "rows 3/8 to 7/8, columns 2/8 to 6/8" if crop else "none",
        "images": "float32",
        "seconds": time.perf_counter() - began,
    }
    value = Result(found.mean, "lower", found.standard_error, protocol)
    return {f"{name}_{extractor.name}": value}
