"""Scores of one set of images against another.

    python -m experiments.metrics REAL FAKE --metrics=fid,kid,pr [--extractor=inception]
        [--preset=tf|pytorch|clean] [--n=N] [--resize=PIXELS] [--out=FILE]
    python -m experiments.metrics REAL --save-stats=FILE

Each side is a folder of images, an .npy or .npz file, a data set such as digits@test or
tfds:cifar10@train, or an .npz of statistics (`mu` and `sigma`, as pytorch-fid writes).
The scores, with everything that they depend on, are printed, and written to FILE as
JSON.
"""

from __future__ import annotations

import functools
import json
import os
import re
import sys
from pathlib import Path
from typing import Any

from absl import app, flags, logging

WEIGHTS = ("inception", "squeezenet", "lpips-trunk", "lpips-heads")


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
    """Returns {"results", "protocol", "warnings"}, as `--out` gets them.

    Arguments are those of the command; without `fake` there are no results. Raises
    ValueError and FileNotFoundError for what cannot be measured.
    """
    from experiments import config as configs
    from experiments.evaluation import extractors, reports, scores, statistics
    from experiments.evaluation.features import extract_once, n_logits
    from experiments.evaluation.image_sets import open_set

    # Errors are reported before anything takes long.
    expanded = configs.expand(tuple(wanted), "--metrics")
    wanted = dict(reports.named(metric, "--metrics") for metric in expanded)
    sides = {spec: None for spec in (real, fake) if spec is not None}
    for spec in sides:
        if statistics.holds(spec):
            sides[spec] = statistics.read(spec)
    scores.check(wanted, *sides.values(), extractor=extractor, place="--metrics")
    if save_stats:
        check_file("--save-stats", save_stats, ".npz")
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
        if {"is", "classes"} & {*wanted}:
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
    from experiments.evaluation import scores

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
    """The protocol of files of statistics, as one of them says it."""
    from experiments.evaluation import statistics

    said = {name: x.protocol for name, x in files.items() if x.protocol is not None}
    for name, protocol in said.items():
        statistics.compare(name, protocol, next(iter(said.values())))
    return {"extractor": "unknown"} | next(iter(said.values()), {})


def check_file(flag: str, path: str | os.PathLike, suffix: str = "") -> None:
    """Rejects at once a file that could not be written later.

    Raises ValueError for a folder and for another suffix, FileNotFoundError where there
    is no folder for it.
    """
    path = Path(path)
    if not path.name.endswith(suffix) or path.is_dir():
        raise ValueError(f"{flag}={path}: wanted a file called *{suffix}")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"{flag}={path}: there is no folder {path.parent}")


def write(path: str | os.PathLike, report: dict[str, Any]) -> None:
    """Writes a report as JSON."""
    from experiments.files import replacing

    with replacing(path) as temporary:
        Path(temporary).write_text(json.dumps(report, indent=2) + "\n")


def show(columns: dict[str, dict], doubts: list[str]) -> None:
    """Prints a table of results to stdout, and the warnings to stderr."""
    from experiments.evaluation import scores

    if columns:
        print(scores.table(columns))
    for doubt in doubts:
        print(f"warning: {doubt}", file=sys.stderr)


def define_flags() -> None:
    """Defines the flags that every command with scores has."""
    flags.DEFINE_string(
        "metrics", None, "Scores, by commas: fid,kid,is,pr(k=5),dc, ..."
    )
    flags.DEFINE_string(
        "extractor",
        None,
        "inception, squeezenet, classifier, lpips_vgg, _alex, _squeeze, "
        "or MODULE:FUNCTION.",
    )
    flags.DEFINE_enum(
        "preset", "tf", ["tf", "pytorch", "clean"], "How Inception's input is resized."
    )
    for name in WEIGHTS:
        flags.DEFINE_string(f"{name}-weights", None, f"File of {name}'s weights.")
    flags.DEFINE_integer("n", None, "So many images of each side.", lower_bound=2)
    flags.DEFINE_integer("seed", 0, "Of subsets and replicates.")
    flags.DEFINE_string("out", None, "JSON file for the results.")


def named_metrics() -> tuple[str, ...]:
    """Returns the metrics that the flag names; commas in parentheses do not split."""
    given = flags.FLAGS.metrics or ""
    found = re.split(r",(?![^()]*\))", given)
    return tuple(name.strip() for name in found if name.strip())


def named_weights() -> dict[str, str | None]:
    """Returns the files of weights that the flags name."""
    return {name: flags.FLAGS[f"{name}-weights"].value for name in WEIGHTS}


def main(argv):
    from experiments import process

    logging.set_verbosity(logging.WARNING)
    process.configure()
    process.compilation_cache()
    values, sides = flags.FLAGS, argv[1:]
    save_stats = values["save-stats"].value
    try:
        if not 1 <= len(sides) <= 2 or (len(sides) == 1 and not save_stats):
            raise ValueError("wanted: REAL FAKE, or REAL --save-stats=FILE")
        if values.out:
            check_file("--out", values.out)
        report = measure(
            sides[0],
            sides[1] if len(sides) > 1 else None,
            named_metrics() or ("fid",),
            extractor=values.extractor or "inception",
            resize=values.preset,
            weights=named_weights(),
            classifier_data=values["classifier-data"].value,
            n=values.n,
            resolution=values.resize,
            seed=values.seed,
            save_stats=save_stats,
        )
        if values.out:
            write(values.out, report)
    except (ValueError, OSError, RuntimeError) as error:
        sys.exit(f"error: {error}")
    show({"value": report["results"]} if report["results"] else {}, report["warnings"])


if __name__ == "__main__":
    define_flags()
    flags.DEFINE_string("classifier-data", None, "Labelled set that it learns: digits.")
    flags.DEFINE_integer("resize", None, "Crops and resizes all images to this side.")
    flags.DEFINE_string("save-stats", None, "Writes REAL's statistics to this .npz.")
    app.run(main)
