"""Scores of one set of images against another.

    python -m experiments.metrics REAL FAKE --metrics=fid,kid,pr [--extractor=inception]
        [--preset=tf|pytorch|clean] [--n=N] [--resize=PIXELS] [--out=FILE]
    python -m experiments.metrics REAL --save-stats=FILE

Each side is a folder of images, an .npy or .npz file, a data set such as digits@test or
tfds:cifar10@train, or an .npz of statistics (`mu` and `sigma`, as pytorch-fid writes).
The scores, with all that they depend on, are printed and written to FILE as JSON.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from absl import app, flags, logging

WEIGHTS = ("inception", "squeezenet")


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

    Arguments are those of the command. Raises ValueError and FileNotFoundError for
    what cannot be measured.
    """
    from experiments import scores, statistics
    from experiments.extractors import find
    from experiments.feature_pass import extract_once
    from experiments.image_sets import ImageSet, open_set
    from gans import names

    for score in wanted:
        names.check(score, scores.SCORES, "--metrics")
    sides = {}
    for spec in (real, fake):
        if spec is None or spec in sides:
            continue
        if statistics.holds(spec):
            sides[spec] = statistics.read(spec)
        else:
            sides[spec] = open_set(spec, n=n, seed=seed, resolution=resolution)
    images = {k: v for k, v in sides.items() if isinstance(v, ImageSet)}
    if not images:
        return _of_statistics(real, fake, sides, wanted)

    trained_on = None
    if classifier_data:
        shape = next(iter(next(iter(images.values())).batches())).shape[1:]
        trained_on = {
            "name": classifier_data,
            "resolution": shape[0] if shape[0] == shape[1] else None,
            "channels": shape[2],
        }
    network = find(extractor, resize=resize, weights=weights, trained_on=trained_on)()
    for spec, side in sides.items():
        if spec in images:
            sides[spec] = extract_once(network, side)
        else:
            statistics.compare(spec, side.protocol, statistics.protocol(network))
    if save_stats:
        if real not in images:
            raise ValueError(f"--save-stats: {real} is a file of statistics already")
        statistics.write(save_stats, sides[real], network)
    if fake is None:
        return {"results": {}, "protocol": statistics.protocol(network), "warnings": []}
    return {
        "results": scores.compute(
            wanted, sides[real], sides[fake], network.name, seed=seed
        ),
        "protocol": scores.describe(
            network, sides[real], sides[fake], real=real, fake=fake, seed=seed
        ),
        "warnings": [
            doubt
            for spec, side in sides.items()
            for doubt in scores.doubts(spec, side, network.name)
        ],
    }


def _of_statistics(real, fake, sides, wanted):
    """A Frechet distance of two files; their extractor is what they say it is."""
    from experiments import scores, statistics

    if fake is None:
        raise ValueError(f"{real} is a file of statistics; wanted images beside it")
    ours, theirs = sides[real].protocol, sides[fake].protocol
    if ours and theirs:
        statistics.compare(fake, theirs, ours)
    known = ours or theirs or {}
    name = known.get("extractor", "unknown")
    counts = {"n_real": sides[real].n, "n_fake": sides[fake].n}
    return {
        "results": scores.compute(wanted, sides[real], sides[fake], name),
        "protocol": {**known, "real": real, "fake": fake, **counts},
        "warnings": [d for k, v in sides.items() for d in scores.doubts(k, v, name)],
    }


def write(path: str | os.PathLike, report: dict[str, Any]) -> None:
    """Writes a report as JSON."""
    from experiments.log import replacing

    with replacing(path) as temporary:
        Path(temporary).write_text(json.dumps(report, indent=2) + "\n")


def show(columns: dict[str, dict], doubts: list[str]) -> None:
    """Prints a table of results to stdout, and the warnings to stderr."""
    from experiments import scores

    print(scores.table(columns))
    for doubt in doubts:
        print(f"warning: {doubt}", file=sys.stderr)


def define_flags() -> None:
    """Defines the flags that every command with scores has."""
    flags.DEFINE_list("metrics", None, "Scores, by commas: fid, kid, is, pr, dc, ...")
    flags.DEFINE_string(
        "extractor", None, "inception, squeezenet, classifier or MODULE:FUNCTION."
    )
    flags.DEFINE_enum(
        "preset", "tf", ["tf", "pytorch", "clean"], "How Inception's input is resized."
    )
    for name in WEIGHTS:
        flags.DEFINE_string(f"{name}-weights", None, f"File of {name}'s weights.")
    flags.DEFINE_integer("n", None, "So many images of each side.", lower_bound=2)
    flags.DEFINE_integer("seed", 0, "Of subsets and replicates.")
    flags.DEFINE_string("out", None, "JSON file for the results.")


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
        report = measure(
            sides[0],
            sides[1] if len(sides) > 1 else None,
            tuple(values.metrics or ("fid",)),
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
    show({"value": report["results"]}, report["warnings"])


if __name__ == "__main__":
    define_flags()
    flags.DEFINE_string("classifier-data", None, "Labelled set that it learns: digits.")
    flags.DEFINE_integer("resize", None, "Crops and resizes all images to this side.")
    flags.DEFINE_string("save-stats", None, "Writes REAL's statistics to this .npz.")
    app.run(main)
