"""Crops of two photographs that come with scikit-learn: embedded, offline.

A pagoda by a lake (china.jpg) and a dahlia (flower.jpg), 640x427 pixels, CC BY 2.0, see
`sklearn.datasets.load_sample_images`. Crops to train on come from the right of the
middle of the pagoda and of the dahlia, those to test with from the left of it.
"""

from __future__ import annotations

import functools

import numpy as np
from PIL import Image

from gans.data.image import fit
from gans.data.sets import NoSplit
from gans.data.source import InMemory, Streamed, hold
from gans.data.spec import Field

NAMES = ("photos",)
SEEDED = False
# How many crops there are, and the parts of the photographs that they come from.
SPLITS = {
    "train": (2000, {"china": (208, 0, 460, 427), "flower": (307, 20, 540, 400)}),
    "test": (200, {"china": (0, 0, 208, 427), "flower": (80, 20, 307, 400)}),
}
SIDES = 80, 200  # of crops, in pixels of the photographs


def load(
    _argument: str = "",
    *,
    resolution: int | None = 64,
    channels: int | None = 3,
    split: str = "train",
    **_unused,
) -> InMemory | Streamed:
    """Square crops `image` uint8 [R, R, C], each a function of its index.

    `resolution` defaults to 64, `channels` to 3. `split` is "train" (2,000 crops) or
    "test" (200, of other parts of the photographs). Raises ValueError for any other.
    """
    if split not in SPLITS:
        raise NoSplit(f"photos has no split {split!r}; it has {', '.join(SPLITS)}")
    n, boxes = SPLITS[split]
    parts = [photograph(name).crop(box) for name, box in boxes.items()]
    size, channels = resolution or 64, channels or 3

    def take(indices: np.ndarray) -> dict[str, np.ndarray]:
        crops = [crop(parts[i % len(parts)], int(i), *SIDES) for i in indices]
        return {"image": np.stack([fit(x, size, channels) for x in crops])}

    field = Field("image", (size, size, channels), "uint8")
    return hold(Streamed("photos", take, n, {"image": field}))


@functools.cache
def photograph(name: str) -> Image.Image:
    """Returns one of scikit-learn's photographs, "china" or "flower"."""
    from sklearn.datasets import load_sample_image  # takes a second to import

    return Image.fromarray(load_sample_image(f"{name}.jpg"))


def crop(image: Image.Image, number: int, least: int, most: int) -> Image.Image:
    """Returns a square of `least` to `most` pixels, at a place drawn by `number`."""
    random = np.random.default_rng(number)
    side = round(least * (most / least) ** random.random())
    left, top = (round((x - side) * random.random()) for x in image.size)
    return image.crop((left, top, left + side, top + side))
