"""What the scores are called, what they need, and all that a value depends on."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterable
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

SUBSET = 1000  # of the kernel distance
FEW = 10_000  # images; the bias of fewer is larger than most differences
SMALL = 75  # pixels: Inception's smallest input
LOWER = "fid fid_infinity kid annd_rg pas kl intra_fid".split()  # is better

Values = dict[str, dict[str, Any]]


def compute(
    wanted: Iterable[str],
    real: Features | Statistics,
    fake: Features | Statistics,
    extractor: str,
    *,
    seed: int = 0,
) -> Values:
    """Returns {name: {"value", what belongs to it, "seconds"}}, lower is better or not.

    Args:
      wanted: of SCORES.
      real, fake: of the reference and of what is measured.
      extractor: its name, which becomes part of the scores': "fd_classifier"; only
        those of Inception's own weights have the plain ones, "fid".
      seed: draws subsets and bootstrap replicates.

    Raises ValueError for an unknown score, and for one that cannot be had of these.
    """
    found = {}
    for score in wanted:
        names.check(score, SCORES, "metrics")
        began = time.perf_counter()
        values = SCORES[score](real, fake, seed)
        seconds = time.perf_counter() - began
        for quantity, value in values.items():
            value |= {"better": "lower" if quantity in LOWER else "higher"}
            found[named(quantity, extractor)] = value | {"seconds": seconds}
    return found


def named(quantity: str, extractor: str) -> str:
    """Returns "fid" for Inception's own, else "fd_squeezenet" and the like."""
    if extractor == "inception":
        return quantity
    return f"{quantity.replace('fid', 'fd')}_{extractor}"


def describe(
    extractor: Extractor,
    real: Features | Statistics,
    fake: Features | Statistics,
    /,
    **more: Any,
) -> dict[str, Any]:
    """Returns the protocol of a comparison, as JSON."""
    versions = {name: metadata.version(name) for name in ("jax", "jaxlib", "numpy")}
    return {
        **statistics.protocol(extractor),
        "n_real": _count(real),
        "n_fake": _count(fake),
        "ddof": 1,
        "images": "uint8",
        **more,
        "versions": versions,
    }


def doubts(name: str, images: Features | Statistics, extractor: str) -> list[str]:
    """Returns what makes scores of these images weaker than they look."""
    if isinstance(images, Statistics):
        unknown = images.protocol is None
        return [f"{name} does not say how it was made"] if unknown else []
    n, d = images.features.shape
    found = []
    if n <= d:
        found.append(
            f"{name}: {n} images give a singular covariance of {d} features; "
            "Frechet distances of so few are far too large"
        )
    if n < FEW:
        found.append(f"{name}: {n} images, fewer than {FEW}: the bias is large")
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


def _images(score: Callable[..., Values]) -> Callable[..., Values]:
    """A score that needs the features of every image of both sides."""

    @functools.wraps(score)
    def checked(real, fake, seed):
        for side in (real, fake):
            if isinstance(side, Statistics):
                raise ValueError(
                    f"{score.__name__.strip('_')} needs images; of mean and covariance "
                    "alone there is only fid"
                )
        return score(real, fake, seed)

    return checked


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


@_images
def _fid_infinity(real, fake, seed):
    found = frechet.infinity(fake.features, _gaussian(real), seed=seed)
    return {"fid_infinity": {"value": found["infinity"], "slope": found["slope"]}}


@_images
def _kid(real, fake, seed):
    size = min(SUBSET, len(real), len(fake))
    found = kernel.distance(real.features, fake.features, subset_size=size, seed=seed)
    value = {"value": found["mean"], "std_over_subsets": found["std"]}
    return {"kid": value | {"subset_size": size, "n_subsets": 100}}


@_images
def _is(real, fake, seed):
    if fake.logits is None:
        raise ValueError("is needs an extractor that classifies")
    found = inception_score.score(fake.logits, seed=seed)
    return {"is": {"value": found["mean"], "std_over_splits": found["std"]}}


@_images
def _pr(real, fake, seed):
    found = neighbours.precision_recall(real.features, fake.features)
    return _with_errors(found, k=3)


@_images
def _dc(real, fake, seed):
    found = neighbours.density_coverage(real.features, fake.features)
    return _with_errors(found, k=5)


@_images
def _nnfs(real, fake, seed):
    return _with_errors(neighbours.nnfs(real.features, fake.features))


@_images
def _nearest(real, fake, seed):
    distances, _ = neighbours.nearest(fake.features, real.features)
    error = distances.std() / np.sqrt(len(distances))
    return {"nearest": {"value": float(distances.mean()), "standard_error": error}}


@_images
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


@_images
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
