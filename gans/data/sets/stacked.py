"""Stacked sets: three pictures of a labelled set as the channels of one.

Of MNIST, `stacked:tfds:mnist`, whose 1,000 modes are known and can be counted: Unrolled
GANs (arXiv 1611.02163, section 3.3.1), then VEEGAN (arXiv 1705.07761) and PacGAN (arXiv
1712.04086), which train on 128,000 such pictures. `stacked:digits` needs no download.
"""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np

from gans import data
from gans.data.source import Streamed
from gans.data.spec import Field, main_field

NAMES = ("stacked:NAME",)
SEEDED = True

# VEEGAN's and PacGAN's: to train on, and to evaluate with.
N_TRAIN, N_TEST = 128_000, 26_000
MOST_NAMES = 1000  # a run's config holds all of them


@dataclasses.dataclass(frozen=True, eq=False)
class Stacked(Streamed):
    """Stacked pictures of the set called `base`."""

    base: str = ""


def load(
    base: str,
    *,
    channels: int | None = 3,
    split: str = "train",
    seed: int = 0,
    **options,
) -> Stacked:
    """Stacked pictures of the set `base`, in its resolution or the one asked for.

    `image` is uint8 [R, R, 3]. Which three pictures element i is made of is a function
    of `seed` and i alone: each is any of the base's, equally likely. `label` int32 is
    100 a + 10 b + c for ten classes, and in that manner for k of them, of k ** 3 in
    all; up to 1,000 get the three names, as in "cat-dog-cat". There are 26,000 elements
    in the split "test", else 128,000. Other options are those of `gans.data.load`.

    Raises ValueError for channels other than 3, and for a base without images or labels
    or with no such split.
    """
    name = f"stacked:{base}"
    if channels not in (None, 3):
        raise ValueError(f"{name} has 3 channels, got channels={channels!r}")
    source = data.load(base, channels=1, split=split, seed=seed, **options)
    image = main_field(source.spec)
    label, k = source.label_of(image), source.n_classes
    if label is None or source.spec[image].kind != "image":
        raise ValueError(f"{name}: {base} is not a set of labelled images")
    n = N_TEST if split == "test" else N_TRAIN
    rows = np.random.default_rng(seed).integers(len(source), size=(n, 3))

    def take(indices: np.ndarray) -> dict[str, np.ndarray]:
        parts = source.take(rows[indices].ravel())
        images = parts[image].reshape(len(indices), 3, *size)
        digits = parts[label].reshape(len(indices), 3)
        classes = digits @ np.array([k * k, k, 1], np.int32)
        return {"image": np.moveaxis(images, 1, -1).copy(), "label": classes}

    size, names = source.spec[image].shape[:2], source.spec[label].names
    if names and k**3 <= MOST_NAMES:
        between = "" if max(map(len, names)) == 1 else "-"
        names = tuple(map(between.join, itertools.product(names, repeat=3)))
    else:
        names = None
    spec = {
        "image": Field("image", (*size, 3), "uint8"),
        "label": Field("label", (), "int32", k**3, names),
    }
    return Stacked(name, take, n, spec, source.reading, base)
