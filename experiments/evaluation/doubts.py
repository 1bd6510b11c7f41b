"""What makes scores weaker than they look: each doubt once, and only of what was asked.

Below 10,000 images the bias of a Frechet distance is larger than most differences
between models; below 2,000 any score says little.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from experiments.evaluation.features import Features
from experiments.evaluation.scores import known
from experiments.evaluation.statistics import Statistics

MANY, FEW = 10_000, 2_000  # images
SMALL = 75  # pixels: Inception's smallest input
LEARNT = 0.25  # share of the way from guessing to knowing all
LEARNT_PHOTOGRAPHS = ("inception", "squeezenet", "lpips_", "dinov2_", "clip_")
BIASED = (
    "Frechet distances are too large, by an amount that depends on these numbers; "
    "compare only scores of equal numbers"
)
UNSURE = "so few differ from set to set; trust only differences beyond the errors"


def of(
    sides: Mapping[str, Features | Statistics],
    extractor: Mapping[str, Any],
    wanted: Iterable[str],
) -> list[str]:
    """Returns the doubts about scores, in a line each.

    Args:
      sides: by name, all that are compared.
      extractor: its protocol, with its name as "extractor".
      wanted: names of scores by features; none where only distances are measured.
    """
    wanted, name_of = set(wanted), extractor["extractor"]
    frechet = any(known()[name].frechet for name in wanted)
    # {what is the matter: of which sides}
    found: dict[str, list[str]] = {}

    def say(name, what):
        found.setdefault(what, []).append(name)

    sizes = {}
    for name, images in sides.items():
        sizes[name] = n, d = _size(images)
        if isinstance(images, Statistics) and images.protocol is None:
            say(name, "the file does not say how it was made")
        if n is None:
            say(name, "the file does not say how many images it describes")
        elif frechet and n <= d:
            say(f"{name}: {n} images", _singular(d))
        if isinstance(images, Features):
            if images.n_repeated:
                say(name, f"{images.n_repeated} of {n} images repeat others")
            for what in _of_photographs(images, name_of):
                say(name, what)
    few = _few(sizes, wanted, frechet) + _blind(extractor)
    return few + [f"{', '.join(names)}: {what}" for what, names in found.items()]


def _few(sizes, wanted, frechet):
    """The line, if any, that there are few images, with advice."""
    limit = MANY if frechet else FEW
    few = {name: n for name, (n, _) in sizes.items() if n is not None and n < limit}
    if not few:
        return []
    advice = BIASED if frechet else UNSURE
    if frechet and min(few.values()) < FEW and "kid" not in wanted:
        advice += ", or use kid, which has no such bias"
    elif frechet and min(few.values()) < FEW:
        advice += "; kid has no such bias"
    said = "; ".join(
        f"{name}: {n} images, fewer than {limit}" for name, n in few.items()
    )
    return [f"{said}: {advice}"]


def _blind(extractor):
    """The line, if any, that a classifier has learnt next to nothing."""
    right, chance = (extractor.get(x) for x in ("test_accuracy", "chance"))
    if right is None or chance is None or right - chance >= LEARNT * (1 - chance):
        return []
    return [
        f"the classifier is right on {right:.0%} of the held-out images, and the most "
        f"frequent class would be on {chance:.0%}: its scores say next to nothing; "
        "--extractor=random needs no labels"
    ]


def _singular(d):
    return (
        f"so few give a singular covariance of {d} features; Frechet distances are far "
        "too large"
    )


def _of_photographs(images, extractor):
    """What networks that learnt large photographs do with others."""
    if not extractor.startswith(LEARNT_PHOTOGRAPHS):
        return
    height, width, channels = images.shape
    if channels == 1:
        yield "grey images were repeated to RGB"
    if min(height, width) < SMALL and not extractor.startswith("lpips_"):
        yield (
            f"{width}x{height} pixels, enlarged: what {extractor} sees of them is "
            "mostly interpolation"
        )


def _size(images):
    """(number of images, number of features)."""
    if isinstance(images, Statistics):
        return images.n, len(images.mean)
    return images.features.shape
