"""Scores of one set of images against another, without a model."""

from __future__ import annotations

import functools
import os
from typing import Any

from experiments import config as configs
from experiments.evaluation import extractors, reports, score_flags, scores, statistics
from experiments.evaluation.features import extract_once, n_logits
from experiments.evaluation.image_sets import open_set

ERRORS, show = reports.ERRORS, reports.show  # of the command


def measure(
    real: str,
    fake: str | None,
    wanted: tuple[str, ...],
    *,
    extractor: str = "inception",
    resize: str = "tf",
    weights: dict[str, str | None] | None = None,
    classifier_data: str | None = None,
    n: int | None = None,
    resolution: int | None = None,
    seed: int = 0,
    save_stats: str | os.PathLike | None = None,
) -> dict[str, Any]:
    """Returns {"results", "protocol", "warnings"}, as they are written to `--out`.

    Arguments are those of `experiments.metrics`; without `fake` there are no results.
    Raises ValueError and FileNotFoundError for what cannot be measured.
    """
    # Everything is checked before anything slow begins.
    expanded = configs.expand(tuple(wanted), "--metrics")
    found = [reports.named(metric, "--metrics") for metric in expanded]
    wanted = dict(found)
    for name in wanted:
        if [other for other, _ in found].count(name) > 1:
            raise ValueError(f"--metrics: {name} is there twice")
    sides = {spec: None for spec in (real, fake) if spec is not None}
    for spec in sides:
        if statistics.holds(spec):
            sides[spec] = statistics.read(spec)
    scores.check(wanted, *sides.values(), extractor=extractor, place="--metrics")
    if save_stats:
        score_flags.check_file("--save-stats", save_stats, ".npz")
        if sides[real] is not None:
            raise ValueError(f"--save-stats: {real} is a file of statistics already")
    if None in sides.values():
        find = functools.partial(
            extractors.find, extractor, resize=resize, weights=weights
        )
        trained_on = {"name": classifier_data} if classifier_data else None
        find(trained_on=trained_on)
        images = {
            spec: open_set(spec, n=n, seed=seed, resolution=resolution)
            for spec, side in sides.items()
            if side is None
        }
        shape = next(next(iter(images.values())).batches()).shape[1:]
        extractors.check(extractor, shape)
        check_images = functools.partial(_check_images, wanted, images, real, fake)
        check_images(None)
        if trained_on:
            size = shape[0] if shape[0] == shape[1] else None
            trained_on |= {"resolution": size, "channels": shape[2]}
        network = find(trained_on=trained_on)()
        if any(scores.known()[name].logits for name in wanted):
            check_images(n_logits(network, shape))
        known = statistics.protocol(network)
        for spec in sides.keys() - images:
            statistics.compare(spec, sides[spec].protocol, known)
        sides |= {spec: extract_once(network, side) for spec, side in images.items()}
    else:
        known = _common(sides)
    name = known["extractor"]
    if save_stats:
        statistics.write(save_stats, sides[real], network)
    results = {}
    if fake is not None:
        results = scores.compute(wanted, sides[real], sides[fake], name, seed=seed)
        known = scores.describe(
            known,
            sides[real],
            sides[fake],
            real=real,
            fake=fake,
            resolution=resolution,
            seed=seed,
        )
    doubts = [
        d for spec, side in sides.items() for d in scores.doubts(spec, side, name)
    ]
    return {"results": results, "protocol": known, "warnings": doubts}


def _check_images(wanted, images, real, fake, n_logits):
    if real in images and fake in images:
        scores.check_images(
            wanted,
            n_real=images[real].n,
            n_fake=images[fake].n,
            n_classes=images[real].n_classes,
            labelled=images[fake].labels is not None,
            n_logits=n_logits,
            place="--metrics",
        )


def _common(files):
    """The protocol that one of the files of statistics states; all must agree."""
    stated = {name: x.protocol for name, x in files.items() if x.protocol is not None}
    for name, protocol in stated.items():
        statistics.compare(name, protocol, next(iter(stated.values())))
    return {"extractor": "unknown"} | next(iter(stated.values()), {})
