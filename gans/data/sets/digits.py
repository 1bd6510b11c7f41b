"""scikit-learn's handwritten digits: 1,797 labelled images, embedded, offline.

E. Alpaydin, C. Kaynak: Optical Recognition of Handwritten Digits, UCI Machine
Learning Repository (1998), its test part: 8x8 pixels in 0..16. Here they get a margin
of one pixel, 0..255, and the size that is asked for.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

from gans.data.image import fit
from gans.data.sets import NoSplit
from gans.data.source import InMemory
from gans.data.spec import Field

NAMES = ("digits",)
SEEDED = False
SPLITS = ("train", "test", "all")


def load(
    _argument: str = "",
    *,
    resolution: int | None = 32,
    channels: int | None = 1,
    split: str = "train",
    **_unused,
) -> InMemory:
    """The digits as `image` uint8 [N, R, R, C], white on black, `label` int32 [N].

    `resolution` defaults to 32, `channels` to 1. `split` is "train" (1,437 images),
    "test" (the other 360, a fifth of each class, the same for every seed) or "all".
    Raises ValueError for any other split.
    """
    if split not in SPLITS:
        raise NoSplit(f"digits has no split {split!r}; it has {', '.join(SPLITS)}")
    # scikit-learn takes a second to import: only who asks for digits waits for it.
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    raw = load_digits()
    rows = np.arange(len(raw.target))
    if split != "all":
        parts = train_test_split(
            rows, test_size=0.2, stratify=raw.target, random_state=0
        )
        rows = np.sort(parts[SPLITS.index(split)])
    grey = np.round(raw.images[rows] * (255 / 16)).astype(np.uint8)
    # The strokes fill all 8 rows: a dark margin lets them end inside the picture.
    grey = np.pad(grey, ((0, 0), (1, 1), (1, 1)))  # [N, 10, 10]
    images = [fit(Image.fromarray(x), resolution or 32, channels or 1) for x in grey]
    arrays = {"image": np.stack(images), "label": raw.target[rows].astype(np.int32)}
    image = Field("image", arrays["image"].shape[1:], "uint8")
    label = Field("label", (), "int32", 10, names=tuple("0123456789"))
    return InMemory("digits", arrays, {"image": image, "label": label})
