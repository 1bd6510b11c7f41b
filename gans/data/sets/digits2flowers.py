"""Two sets that do not correspond: grey digits, and digits of petals: embedded.

B has scikit-learn's handwritten digits (see `gans.data.sets.digits`) cut out of the
petals of its photograph of a dahlia, on the leaves behind it; A has others, white on
black.
"""

from __future__ import annotations

import numpy as np

from gans.data.image import fit
from gans.data.sets import NoSplit, digits, photos
from gans.data.source import InMemory, Unpaired

NAMES = ("digits2flowers",)
SEEDED = False
# Parts of the photograph of the flower: petals and leaves, in each split.
SPLITS = {
    "train": ((355, 110, 435, 330), (470, 0, 640, 427)),
    "test": ((180, 110, 260, 330), (0, 0, 150, 427)),
}
PETALS, LEAVES = (40, 75), (60, 140)  # sides of crops, in pixels of the photograph


def load(
    _argument: str = "",
    *,
    resolution: int | None = 32,
    channels: int | None = 3,
    split: str = "train",
    **_unused,
) -> Unpaired:
    """Digits `a` and digits of petals `b`, uint8 [R, R, C], of other digits.

    `resolution` defaults to 32, `channels` to 3. `split` is "train" (719 and 718
    images) or "test" (180 of each, of digits and parts of the photograph that are not
    in "train"). Raises ValueError for any other.
    """
    if split not in SPLITS:
        known = ", ".join(SPLITS)
        raise NoSplit(f"digits2flowers has no split {split!r}; it has {known}")
    size, channels = resolution or 32, channels or 3
    grey = digits.load(resolution=size, channels=1, split=split).arrays["image"]
    plain, masks = grey[::2], grey[1::2] / 255
    photograph = photos.photograph("flower")
    petals, leaves = (photograph.crop(box) for box in SPLITS[split])
    crops = [
        (photos.crop(petals, 2 * i, *PETALS), photos.crop(leaves, 2 * i + 1, *LEAVES))
        for i in range(len(masks))
    ]
    inside, outside = (
        np.stack([fit(x, size, channels) for x in textures])
        for textures in zip(*crops, strict=True)
    )
    painted = np.rint(masks * inside + (1 - masks) * outside).astype(np.uint8)
    images = {"a": np.repeat(plain, channels, -1), "b": painted}
    return Unpaired(
        "digits2flowers",
        {k: InMemory(f"digits2flowers, {k}", {"image": x}) for k, x in images.items()},
    )
