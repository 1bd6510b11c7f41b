"""Any picture to a uint8 array of the wanted size: the one place that resizes."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageOps

ORIENTATION = 0x0112  # the EXIF tag


def fit(
    image: Image.Image, resolution: int | None = None, channels: int = 3
) -> np.ndarray:
    """Crops the centre square of `image` and resizes it: uint8 [R, R, C].

    With `resolution` None the size stays as it is: [H, W, C]. Shrinking is
    antialiased (Lanczos); enlarging is bicubic, whose ringing is weaker. `channels`
    is 1 (ITU-R 601 luma) or 3 (grey is repeated). EXIF orientation is applied,
    transparency is composited on white, 16-bit grey is scaled, not clipped, and floats
    are grey from 0 to 1.

    Raises ValueError for numbers that are outside these ranges.
    """
    if image.getexif().get(ORIENTATION, 1) != 1:
        image = ImageOps.exif_transpose(image)
    image, mode = _eight_bits(image), {1: "L", 3: "RGB"}[channels]
    if image.mode != mode:  # a copy costs as much as decoding half of a JPEG
        image = image.convert(mode)
    if resolution is not None:
        side = min(image.size)
        left, top = (image.width - side) // 2, (image.height - side) // 2
        # Not by the argument `box` of `resize`, which looks across the box's edges.
        image = image.crop((left, top, left + side, top + side))
        shrink, enlarge = Image.Resampling.LANCZOS, Image.Resampling.BICUBIC
        image = image.resize(
            (resolution,) * 2, shrink if resolution < side else enlarge
        )
    return np.asarray(image, np.uint8).reshape(image.height, image.width, channels)


def _eight_bits(image: Image.Image) -> Image.Image:
    """`image` without transparency and with at most 8 bits a channel."""
    # Pillow's own conversion of these modes to "L" clips at 255.
    if image.mode == "I" or image.mode.startswith("I;16"):
        wide = _between(np.asarray(image).astype(np.int64), 65535, image.mode)
        return Image.fromarray(((wide * 255 + 32767) // 65535).astype(np.uint8))
    if image.mode == "F":
        wide = _between(np.asarray(image), 1, image.mode)
        return Image.fromarray(np.rint(wide * 255).astype(np.uint8))
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image.convert("RGBA"))
    return image


def _between(values: np.ndarray, most: int, mode: str) -> np.ndarray:
    """`values`; raises ValueError unless they lie in [0, most]."""
    low, high = values.min(), values.max()
    if not (0 <= low and high <= most):
        raise ValueError(
            f"its pixels (mode {mode}) are in [{low:g}, {high:g}]; wanted [0, {most}]"
        )
    return values
