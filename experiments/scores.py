"""What the scores are called, what they need, and all that a value depends on."""

from __future__ import annotations

import time
from collections.abc import Iterable
from importlib import metadata
from typing import Any

import numpy as np

from experiments import statistics
from experiments.feature_pass import Features
from experiments.statistics import Statistics
from gans import names
from gans.metrics import classes, frechet, inception_score, kernel, neighbours
from gans.metrics.extractor import Extractor
from gans.metrics.moments import Moments

N_SUBSETS, SUBSET = 100, 1000  # of the kernel distance
N_SPLITS = 10  # of the Inception score
FEW = 10_000  # images; the bias of fewer is larger than most differences
SMALL = 75  # pixels: Inception's smallest input
LOWER = "fid fid_infinity kid annd_rg pas kl intra_fid".split()
HIGHER = "is precision recall density coverage classes classes_tenth".split()
# Neither is better: `nearest` is 0 for copies and large for noise.
BETTER = dict.fromkeys(LOWER, "lower") | dict.fromkeys(HIGHER, "higher")
OF_STATISTICS = ("fid",)  # the others need the features of every image

Values = dict[str, dict[str, Any]]


def check(wanted: Iterable[str], *sides: Any, place: str = "metrics") -> None:
    """Raises ValueError for a score that is unknown or cannot be had of these sides."""
    for score in wanted:
        names.check(score, SCORES, place)
        if score in OF_STATISTICS:
            continue
        if any(isinstance(side, Statistics) for side in sides):
            raise ValueError(
                f"{place}: {score} needs images; of mean and covariance alone there is "
                f"only {', '.join(OF_STATISTICS)}"
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

    "better" is "lower", "higher", or None where neither is.

    Args:
      wanted: of SCORES.
      real, fake: of the reference and of what is measured.
      extractor: its name, which becomes part of the scores': "fd_classifier"; only
        those of Inception's own weights have the plain ones, "fid".
      seed: draws subsets and bootstrap replicates.

    Raises ValueError for an unknown score, and for one that cannot be had of these.
    """
    wanted, found = list(wanted), {}
    check(wanted, real, fake)
    for score in wanted:
        began = time.perf_counter()
        values = SCORES[score](real, fake, seed)
        seconds = time.perf_counter() - began
        for quantity, value in values.items():
            value = value | {"better": BETTER.get(quantity), "seconds": seconds}
            found[named(quantity, extractor)] = value
    return found


def named(quantity: str, extractor: str) -> str:
    """Returns "fid" for Inception's own, else "fd_squeezenet" and the like."""
    if extractor == "inception":
        return quantity
    return f"{quantity.replace('fid', 'fd')}_{extractor}"


def describe(
    extractor: Extractor | dict[str, Any],
    real: Features | Statistics,
    fake: Features | Statistics,
    /,
    **more: Any,
) -> dict[str, Any]:
    """Returns the protocol of a comparison, as JSON.

    extractor: or what a file of statistics says of it. more: whatever else counts.
    """
    known = extractor
    if isinstance(extractor, Extractor):
        known = statistics.protocol(extractor)
    versions = {name: metadata.version(name) for name in ("jax", "jaxlib", "numpy")}
    return {
        **known,
        "n_real": _count(real),
        "n_fake": _count(fake),
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
    if n <= d:
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
    if extractor.startswith(("inception", "squeezenet")):
        height, width, channels = images.shape
        if channels == 1:
            found.append(f"{name}: grey images were repeated to RGB")
        if min(height, width) < SMALL:
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
    if fake.logits is None:
        raise ValueError("is needs an extractor that classifies")
    found = inception_score.score(fake.logits, N_SPLITS, seed=seed)
    value = {"value": found["mean"], "std_over_splits": found["std"]}
    return {"is": value | {"n_splits": N_SPLITS}}


def _pr(real, fake, seed):
    found = neighbours.precision_recall(real.features, fake.features, k=3)
    return _with_errors(found, k=3)


def _dc(real, fake, seed):
    found = neighbours.density_coverage(real.features, fake.features, k=5)
    return _with_errors(found, k=5)


def _nnfs(real, fake, seed):
    return _with_errors(neighbours.nnfs(real.features, fake.features))


def _nearest(real, fake, seed):
    distances, _ = neighbours.nearest(fake.features, real.features)
    error = float(distances.std() / np.sqrt(len(distances)))
    return {"nearest": {"value": float(distances.mean()), "standard_error": error}}


def _classes(real, fake, seed):
    n = real.n_classes
    if n is None or fake.logits is None or fake.logits.shape[1] != n:
        raise ValueError(
            "classes needs labelled real images, and the extractor `classifier` of "
            "their classes"
        )
    guesses = fake.logits.argmax(axis=1)
    found = classes.coverage(real.labels, guesses, n)
    return {name: {"value": value, "n_classes": n} for name, value in found.items()}


def _intra_fid(real, fake, seed):
    if real.labels is None or fake.labels is None:
        raise ValueError("intra_fid needs labels of both sides")
    value = classes.intra_frechet(
        real.features, real.labels, fake.features, fake.labels
    )
    return {"intra_fid": {"value": value}}


def _with_errors(found, **parameters):
    return {
        name: {
            "value": value,
            "standard_error": found[f"{name}_se"],
            **parameters,
        }
        for name, value in found.items()
        if not name.endswith("_se")
    }


SCORES = {
    "fid": _fid,
    "fid_infinity": _fid_infinity,
    "kid": _kid,
    "is": _is,
    "pr": _pr,
    "dc": _dc,
    "nnfs": _nnfs,
    "nearest": _nearest,
    "classes": _classes,
    "intra_fid": _intra_fid,
}
