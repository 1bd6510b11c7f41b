"""Scores of one set of images against another, without a model."""

from __future__ import annotations

import functools
import os
from typing import Any

from experiments import config as configs
from experiments.evaluation import (
    doubts,
    evaluators,
    extractors,
    image_sets,
    reports,
    score_flags,
    scores,
    statistics,
)
from experiments.evaluation.failures import reason
from experiments.evaluation.features import extract_once, n_logits
from gans.data.spec import described, same_classes

ERRORS, show = reports.ERRORS, reports.show  # of the command


def measure(
    real: str,
    fake: str | None,
    wanted: tuple[str, ...],
    *,
    extractor: str = "auto",
    resize: str = "tf",
    weights: dict[str, str | None] | None = None,
    classifier_data: str | None = None,
    n: int | None = None,
    resolution: int | None = None,
    skip_corrupt: bool = False,
    seed: int = 0,
    save_stats: str | os.PathLike | None = None,
) -> dict[str, Any]:
    """Returns {"results", "failed", "protocol", "warnings"}, as written to `--out`.

    Arguments are those of `experiments.metrics`; without `fake` there are no results.
    Raises ValueError and FileNotFoundError for what cannot be measured.
    """
    # Everything is checked before anything slow begins.
    wanted = _checked(wanted)
    sides = {spec: None for spec in (real, fake) if spec is not None}
    for spec in sides:
        if statistics.holds(spec):
            sides[spec] = statistics.read(spec)
    scores.check(wanted, *sides.values(), extractor=extractor, place="--metrics")
    if save_stats:
        score_flags.check_file("--save-stats", save_stats, ".npz")
        if sides[real] is not None:
            raise ValueError(f"--save-stats: {real} is a file of statistics already")
    warnings, more = [], {}
    if None in sides.values():
        find = functools.partial(extractors.find, resize=resize, weights=weights)
        trained_on = {"name": classifier_data} if classifier_data else None
        if extractor != "auto":
            find(extractor, trained_on=trained_on)
        sources = {
            spec: image_sets.load(
                spec, seed=seed, resolution=resolution, skip_corrupt=skip_corrupt
            )
            for spec, side in sides.items()
            if side is None
        }
        shapes = {
            spec: source.spec[image_sets.image_field(source, spec)].shape
            for spec, source in sources.items()
        }
        _check_sizes(shapes, sides)
        shape = next(iter(shapes.values()))
        if extractor == "auto":
            extractor, why = _choose(wanted, shape, sides, classifier_data, weights)
            extractors.say_chosen(extractor, why)
            more["extractor_chosen"] = why
            scores.check(wanted, extractor=extractor, place="--metrics")
        extractors.check(extractor, shape)
        for spec in sides.keys() - sources.keys():
            _check_stated(spec, sides[spec].protocol, extractor)
        check = functools.partial(_check_images, wanted, sources, real, fake, n)
        check(extractors.N_LOGITS.get(extractor))
        if trained_on:
            size = shape[0] if shape[0] == shape[1] else None
            trained_on |= {"resolution": size, "size": shape[:2]}
        network = find(extractor, trained_on=trained_on)()
        if any(scores.known()[name].logits for name in wanted):
            check(n_logits(network, shape))
        known = statistics.protocol(network)
        for spec in sides.keys() - sources.keys():
            statistics.compare(spec, sides[spec].protocol, known)
        images = {
            spec: image_sets.of_source(source, spec, n=n, seed=seed)
            for spec, source in sources.items()
        }
        images, converted = _one_channel_count(images, shapes, known)
        if converted:
            more["converted"] = converted
            warnings += [f"{spec}: {what}" for spec, what in converted.items()]
        sides |= {spec: extract_once(network, side) for spec, side in images.items()}
    else:
        known = _common(sides)
    name = known["extractor"]
    if save_stats:
        statistics.write(save_stats, sides[real], network)
    report = {"results": {}, "failed": {}}
    if fake is not None:
        both = sides[real], sides[fake]
        for score, values in scores.by_score(wanted, *both, name, seed=seed).items():
            if isinstance(values, Exception):
                report["failed"][score] = reason(values)
            else:
                report["results"] |= values
        more |= {"real": real, "fake": fake, "resolution": resolution, "seed": seed}
        known = scores.describe(known, *both, **more)
    warnings += doubts.of(sides, known, wanted if fake is not None else ())
    return report | {"protocol": known, "warnings": warnings}


def _checked(wanted):
    """{score: all its options} of what --metrics says."""
    expanded = configs.expand(tuple(wanted), "--metrics")
    found = [reports.named(metric, "--metrics") for metric in expanded]
    found = [
        (x if x in evaluators.names() else scores.of_path(x, "--metrics"), options)
        for x, options in found
    ]
    for name, _ in found:
        if [other for other, _ in found].count(name) > 1:
            raise ValueError(f"--metrics: {name} is there twice")
    scores.check(dict(found), place="--metrics")
    known = scores.known()
    return {name: known[name].with_options(x, "--metrics") for name, x in found}


def _check_sizes(shapes, sides):
    """Raises ValueError unless all images are of one size, of statistics too."""
    sizes = {spec: tuple(shape[:2]) for spec, shape in shapes.items()}
    for spec, side in sides.items():
        stated = side.image_size if side is not None else None
        if stated is not None:
            sizes[spec] = stated
    if len(set(sizes.values())) > 1:
        said = " and ".join(f"{spec} {w}x{h}" for spec, (h, w) in sizes.items())
        side = min(min(size) for size in sizes.values())
        raise ValueError(
            f"the images are of different sizes: {said}; --resize={side} brings them "
            "to one"
        )


def _check_stated(spec, protocol, extractor):
    """Refuses statistics of another extractor before its weights are loaded."""
    stated = (protocol or {}).get("extractor")
    if stated in extractors.NAMES and extractor in extractors.NAMES:
        statistics.compare(spec, {"extractor": stated}, {"extractor": extractor})


def _choose(wanted, shape, sides, classifier_data, weights):
    """The extractor that is not named, and why."""
    if classifier_data:
        return "classifier", "--classifier-data names labels that it can learn"
    files = [side for side in sides.values() if side is not None]
    if files:
        stated = next((x.protocol for x in files if x.protocol is not None), {})
        name = stated.get("function") or stated.get("extractor", "inception")
        return name, "the statistics are of it, or do not say of which they are"
    own = any(scores.beyond_inception(name) for name in wanted)
    return extractors.choose(
        shape,
        weights=weights,
        photographs=not own,
        unlabelled="no --classifier-data names labels to learn",
    )


def _one_channel_count(images, shapes, protocol):
    """(images in one number of channels, {name: what was converted}).

    It is that of the classifier's images, or 3 if one side has colours.
    """
    wanted = (protocol.get("image_shape") or [0, 0, 0])[2]
    wanted = wanted or max(shape[2] for shape in shapes.values())
    what = {1: "colours were converted to grey", 3: "grey images were repeated to RGB"}
    other = [spec for spec, shape in shapes.items() if shape[2] != wanted]
    converted = {spec: image_sets.in_channels(images[spec], wanted) for spec in other}
    return images | converted, dict.fromkeys(other, what[wanted])


def _check_images(wanted, sources, real, fake, n, n_logits):
    for spec, source in sources.items():
        if n is not None and n > len(source):
            raise ValueError(
                f"{spec} holds {len(source)} images, fewer than the {n} wanted"
            )
    if real not in sources or fake not in sources:
        return
    labels = {
        spec: source.label_of(image_sets.image_field(source, spec))
        for spec, source in sources.items()
    }
    label = labels[real]
    scores.check_images(
        wanted,
        n_real=n or len(sources[real]),
        n_fake=n or len(sources[fake]),
        n_classes=None if label is None else sources[real].spec[label].n_classes,
        labelled=labels[fake] is not None,
        n_logits=n_logits,
        place="--metrics",
    )
    for name in wanted:
        if "generated" in scores.known()[name].labels:
            one, other = (sources[x].spec[labels[x]] for x in (real, fake))
            if not same_classes(one, other):
                raise ValueError(
                    f"--metrics: {name} compares the same classes of both sides; "
                    f"{real} has {described(one)}, {fake} {described(other)}"
                )


def _common(files):
    """The protocol that one of the files of statistics states; all must agree."""
    stated = {name: x.protocol for name, x in files.items() if x.protocol is not None}
    for name, protocol in stated.items():
        statistics.compare(name, protocol, next(iter(stated.values())))
    _check_sizes({}, files)
    return {"extractor": "unknown"} | next(iter(stated.values()), {})
