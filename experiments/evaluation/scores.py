"""What the scores are called, what they need, and all that a value depends on."""

from __future__ import annotations

import time
from collections.abc import Iterable
from importlib import metadata
from typing import Any

import numpy as np
from tqdm import tqdm

from experiments.evaluation import statistics
from experiments.evaluation.features import Features
from experiments.evaluation.statistics import Statistics
from gans import names
from gans.metrics.scores import classes, frechet, inception_score, kernel, neighbours
from gans.metrics.features.extractor import Extractor
from gans.metrics.scores.moments import Moments

N_SUBSETS, SUBSET = 100, 1000  # of the kernel distance
N_SPLITS = 10  # of the Inception score
FEW = 10_000  # images; the bias of fewer is larger than most differences
SMALL = 75  # pixels: Inception's smallest input
LOWER = "fid fid_infinity kid annd_rg pas kl intra_fid".split()
HIGHER = (
    "is precision recall precision_threshold recall_threshold density coverage classes "
    "classes_tenth"
).split()
# Neither is better: `nearest` is 0 for copies and large for noise.
BETTER = dict.fromkeys(LOWER, "lower") | dict.fromkeys(HIGHER, "higher")
OF_STATISTICS = ("fid",)  # the others need the features of every image
# Those that need a model, and come from experiments/evaluate.py.
OF_RUNS = ("ppl_z", "ppl_w", "memorisation", "modes", "agreement")
# By distances of features; the function of `neighbours`, and its arguments.
NEIGHBOURS = {
    "pr": ("precision_recall", {"k": 3}),
    "dc": ("density_coverage", {"k": 5}),
    "pr_threshold": ("threshold_precision_recall", {}),
    "nnfs": ("nnfs", {}),
    "nearest": ("nearest", {}),
}
# Real and generated images that a score needs at least.
LEAST = {"fid": (2, 2), "fid_infinity": (2, 20), "kid": (2, 2), "is": (1, 10)}
LEAST |= {"pr": (4, 4)} | dict.fromkeys(("dc", "pr_threshold", "nnfs"), (6, 1))

Values = dict[str, dict[str, Any]]


def check(
    wanted: Iterable[str], *sides: Any, extractor: str = "", place: str = "metrics"
) -> None:
    """Raises ValueError for a score that is unknown or cannot be had of these sides.

    extractor: its name. Those of LPIPS give distances; nothing else of their features
      means anything.
    """
    for score in wanted:
        if score in OF_RUNS:
            raise ValueError(
                f"{place}: {score} is of a model, not of images alone: see `python -m "
                "experiments.evaluate --workdir=DIR`"
            )
        names.check(score, SCORES, place)
        if extractor.startswith("lpips_") and score not in NEIGHBOURS:
            raise ValueError(
                f"{place}: {extractor} gives distances alone, and {score} is none of "
                f"the scores by distances: {', '.join(NEIGHBOURS)}"
            )
        if score in OF_STATISTICS:
            continue
        if any(isinstance(side, Statistics) for side in sides):
            raise ValueError(
                f"{place}: {score} needs images; of mean and covariance alone there is "
                f"only {', '.join(OF_STATISTICS)}"
            )


def check_images(
    wanted: Iterable[str],
    *,
    n_real: int,
    n_fake: int,
    n_classes: int | None,
    labelled: bool,
    n_logits: int | None,
    place: str = "metrics",
) -> None:
    """Raises ValueError for a score that such images cannot have, before it is made.

    Args:
      wanted: of SCORES.
      n_real, n_fake: the numbers of images.
      n_classes: of the real ones; None: they have no labels.
      labelled: whether the generated ones have labels.
      n_logits: of the extractor; 0: it does not classify; None: not known yet.
    """
    for score in wanted:
        if score == "is" and n_logits == 0:
            raise ValueError(f"{place}: is needs an extractor that classifies")
        other = n_logits is not None and n_logits != n_classes
        if score == "classes" and (n_classes is None or other):
            raise ValueError(
                f"{place}: classes needs labelled real images, and the extractor "
                "`classifier` of their classes"
            )
        if score == "intra_fid" and (n_classes is None or not labelled):
            raise ValueError(f"{place}: intra_fid needs labels of both sides")
        for kind, n, least in zip(
            ("real", "generated"),
            (n_real, n_fake),
            LEAST.get(score, (1, 1)),
            strict=True,
        ):
            if n < least:
                raise ValueError(
                    f"{place}: {score} of {n} {kind} images, fewer than {least}"
                )


def compute(
    wanted: Iterable[str],
    real: Features | Statistics,
    fake: Features | Statistics,
    extractor: str,
    *,
    seed: int = 0,
) -> Values:
    """Returns {name: {"value", what belongs to it, "better", "seconds"}}.

    "better" is "lower", "higher", or None where neither is. Scores by distances are
    computed together: "seconds" are those of all. A progress bar names the score.

    Args:
      wanted: of SCORES.
      real, fake: of the reference and of what is measured.
      extractor: its name, which becomes part of the scores': "fd_classifier"; only
        those of Inception's own weights have the plain ones, "fid".
      seed: draws subsets and bootstrap replicates.

    Raises ValueError for an unknown score, and for one that cannot be had of these.
    """
    wanted, found = list(dict.fromkeys(wanted)), {}
    check(wanted, real, fake, extractor=extractor)
    if isinstance(real, Features) and isinstance(fake, Features):
        check_images(
            wanted,
            n_real=len(real),
            n_fake=len(fake),
            n_classes=None if real.labels is None else real.n_classes,
            labelled=fake.labels is not None,
            n_logits=0 if fake.logits is None else fake.logits.shape[1],
        )
    by_distance = [score for score in wanted if score in NEIGHBOURS]
    # disable=None: at a terminal only
    with tqdm(total=len(wanted), unit=" scores", disable=None, leave=False) as bar:
        for score in wanted:
            if score in found:
                continue
            together = by_distance if score in by_distance else [score]
            bar.set_description(f"{', '.join(together)} by {extractor}")
            began = time.perf_counter()
            if score in by_distance:
                values = _by_distance(together, real, fake)
            else:
                values = {score: OF_FEATURES[score](real, fake, seed)}
            seconds = time.perf_counter() - began
            found |= {name: (value, seconds) for name, value in values.items()}
            bar.update(len(together))
    return {
        named(quantity, extractor): value
        | {"better": BETTER.get(quantity), "seconds": found[score][1]}
        for score in wanted
        for quantity, value in found[score][0].items()
    }


def named(quantity: str, extractor: str) -> str:
    """Returns "fid" for Inception's own, else "fd_squeezenet" and the like."""
    if extractor == "inception":
        return quantity
    return f"{quantity.replace('fid', 'fd')}_{extractor}"


def describe(
    extractor: Extractor | dict[str, Any], *sides: Features | Statistics, **more: Any
) -> dict[str, Any]:
    """Returns the protocol of a comparison, as JSON.

    extractor: or what a file of statistics says of it. sides: real and fake, if both
    are compared. more: whatever else counts.
    """
    known = extractor
    if isinstance(extractor, Extractor):
        known = statistics.protocol(extractor)
    versions = {name: metadata.version(name) for name in ("jax", "jaxlib", "numpy")}
    return {
        **known,
        **{f"n_{x}": _count(y) for x, y in zip(("real", "fake"), sides, strict=False)},
        "ddof": 1,
        "images": "uint8",
        **more,
        "versions": versions,
    }


def doubts(name: str, images: Features | Statistics, extractor: str) -> list[str]:
    """Returns what makes scores of these images weaker than they look."""
    found = []
    if isinstance(images, Features):
        n, d = images.features.shape
    else:
        n, d = images.n, len(images.mean)
        if images.protocol is None:
            found.append(f"{name} does not say how it was made")
    if n is None:
        return found + [f"{name} does not say of how many images it is"]
    if n <= d and not extractor.startswith("lpips_"):
        found.append(
            f"{name}: {n} images give a singular covariance of {d} features; "
            "Frechet distances of so few are far too large"
        )
    if n < FEW:
        found.append(f"{name}: {n} images, fewer than {FEW}: the bias is large")
    if isinstance(images, Statistics):
        return found
    if images.n_repeated:
        found.append(f"{name}: {images.n_repeated} of {n} images repeat others")
    if extractor.startswith(("inception", "squeezenet", "lpips_")):
        height, width, channels = images.shape
        if channels == 1:
            found.append(f"{name}: grey images were repeated to RGB")
        if min(height, width) < SMALL and not extractor.startswith("lpips_"):
            found.append(
                f"{name}: {width}x{height} pixels, enlarged: what {extractor} sees of "
                "them is mostly interpolation"
            )
    return found


def table(columns: dict[str, Values]) -> str:
    """Returns the values as text, one column for each comparison."""
    rows = list(dict.fromkeys(name for values in columns.values() for name in values))
    lines = [["", *columns]]
    for row in rows:
        lines.append([row, *(_shown(values.get(row)) for values in columns.values())])
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    )


def _shown(value):
    if value is None:
        return "-"
    error = value.get("standard_error")
    shown = f"{value['value']:.4g}"
    return shown if error is None else f"{shown} ± {error:.2g}"


def _count(images):
    return images.n if isinstance(images, Statistics) else len(images)


# --- the scores: (real, fake, seed) -> {quantity: {"value", ...}} --------------------


def _gaussian(side):
    if isinstance(side, Statistics):
        return side.mean, side.cov
    return Moments.of(side.features)


def _fid(real, fake, seed):
    if isinstance(fake, Statistics):
        distance = frechet.distance(_gaussian(real), _gaussian(fake))
        return {"fid": {"value": distance}}
    reference = _gaussian(real)
    if isinstance(real, Features):
        distance = frechet.distance_of_features(real.features, fake.features)
    else:
        distance = frechet.distance(reference, _gaussian(fake))
    error = frechet.standard_error(fake.features, reference, seed=seed)
    return {"fid": {"value": distance, "standard_error": error}}


def _fid_infinity(real, fake, seed):
    found = frechet.infinity(fake.features, _gaussian(real), seed=seed)
    return {"fid_infinity": {"value": found["infinity"], "slope": found["slope"]}}


def _kid(real, fake, seed):
    size = min(SUBSET, len(real), len(fake))
    found = kernel.distance(real.features, fake.features, N_SUBSETS, size, seed=seed)
    value = {"value": found["mean"], "std_over_subsets": found["std"]}
    return {"kid": value | {"subset_size": size, "n_subsets": N_SUBSETS}}


def _is(real, fake, seed):
    found = inception_score.score(fake.logits, N_SPLITS, seed=seed)
    value = {"value": found["mean"], "std_over_splits": found["std"]}
    return {"is": value | {"n_splits": N_SPLITS}}


def _by_distance(wanted, real, fake):
    """{score: {quantity: {"value", ...}}} of scores in NEIGHBOURS."""
    figures = dict(NEIGHBOURS[score] for score in wanted)
    results = neighbours.together(real.features, fake.features, **figures)
    return {
        score: _quantities(score, results[figure], parameters)
        for score in wanted
        for figure, parameters in [NEIGHBOURS[score]]
    }


def _quantities(score, found, parameters):
    if score == "nearest":
        distances, _ = found
        found = {"nearest": float(distances.mean())}
        found["nearest_se"] = float(distances.std() / np.sqrt(len(distances)))
    if score == "pr_threshold":
        parameters = {"delta": found.pop("delta")}
        found = {
            f"{name.removesuffix('_se')}_threshold{'_se' * name.endswith('_se')}": value
            for name, value in found.items()
        }
    return {
        name: {"value": value, "standard_error": found[f"{name}_se"], **parameters}
        for name, value in found.items()
        if not name.endswith("_se")
    }


def _classes(real, fake, seed):
    n = real.n_classes
    guesses = fake.logits.argmax(axis=1)
    found = classes.coverage(real.labels, guesses, n)
    return {name: {"value": value, "n_classes": n} for name, value in found.items()}


def _intra_fid(real, fake, seed):
    value = classes.intra_frechet(
        real.features, real.labels, fake.features, fake.labels
    )
    return {"intra_fid": {"value": value}}


OF_FEATURES = {
    "fid": _fid,
    "fid_infinity": _fid_infinity,
    "kid": _kid,
    "is": _is,
    "classes": _classes,
    "intra_fid": _intra_fid,
}
SCORES = (*OF_FEATURES, *NEIGHBOURS)
