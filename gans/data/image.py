"""Any picture to a uint8 array of the wanted size: the one place that resizes."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageOps

ORIENTATION = 0x0112  # the EXIF tag
WIDE = (0, 65535)  # black and white of 16 bits


def fit(
    image: Image.Image,
    resolution: int | None = None,
    channels: int = 3,
    *,
    squash: bool = False,
    levels: tuple[float, float] = WIDE,
) -> np.ndarray:
    """Crops the centre square of `image` and resizes it: uint8 [R, R, C].

    With `resolution` None the size stays as it is: [H, W, C]. Shrinking is
    antialiased (Lanczos); enlarging is bicubic, whose ringing is weaker. With `squash`
    nothing is cropped: the whole picture becomes a square, by bicubic resampling, as
    pix2pix's authors do it. `channels` is 1 (ITU-R 601 luma) or 3 (grey is repeated).
    EXIF orientation is applied, transparency is composited on white, 16-bit grey is
    scaled, not clipped, and floats are grey from 0 to 1. `levels` are black and white
    of 16-bit grey.

    Raises ValueError for numbers that are outside these ranges.
    """
    image = _eight_bits(upright(image), levels)
    mode = {1: "L", 3: "RGB"}[channels]
    if image.mode != mode:  # a copy costs as much as decoding half of a JPEG
        image = image.convert(mode)
    if resolution is not None:
        side = min(image.size)
        left, top = (image.width - side) // 2, (image.height - side) // 2
        shrink, enlarge = Image.Resampling.LANCZOS, Image.Resampling.BICUBIC
        if squash:
            shrink = enlarge
        else:
            # Not by the argument `box` of `resize`, which looks across its edges.
            image = image.crop((left, top, left + side, top + side))
        image = image.resize(
            (resolution,) * 2, shrink if resolution < side else enlarge
        )
    return np.asarray(image, np.uint8).reshape(image.height, image.width, channels)


def upright(image: Image.Image) -> Image.Image:
    """`image` with its EXIF orientation applied."""
    if image.getexif().get(ORIENTATION, 1) == 1:
        return image
    return ImageOps.exif_transpose(image)


def halves(image: Image.Image) -> tuple[Image.Image, Image.Image]:
    """The left and the right half of `image`, upright.

    Raises ValueError if its width is odd.
    """
    image = upright(image)
    width, height = image.size
    if width % 2:
        raise ValueError(
            f"it is {width}x{height}, and pictures side by side have an even width; "
            "two folders of pictures are named PATH_A,PATH_B"
        )
    return (
        image.crop((0, 0, width // 2, height)),
        image.crop((width // 2, 0, width, height)),
    )


def _eight_bits(image: Image.Image, levels: tuple[float, float]) -> Image.Image:
    """`image` without transparency and with at most 8 bits a channel."""
    # Pillow's own conversion of these modes to "L" clips at 255.
    if is_wide(image):
        least, most = levels
        wide = _between(np.asarray(image).astype(np.int64), least, most, image.mode)
        grey = np.floor((wide - least) * 255 / (most - least) + 0.5)
        return Image.fromarray(grey.astype(np.uint8))
    if image.mode == "F":
        wide = _between(np.asarray(image), 0, 1, image.mode)
        return Image.fromarray(np.rint(wide * 255).astype(np.uint8))
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image.convert("RGBA"))
    return image


def is_wide(image: Image.Image) -> bool:
    """Whether `image` is grey with more than 8 bits."""
    return image.mode == "I" or image.mode.startswith("I;16")


def _between(values: np.ndarray, least: float, most: float, mode: str) -> np.ndarray:
    """`values`; raises ValueError unless they lie in [least, most]."""
    low, high = values.min(), values.max()
    if not (least <= low and high <= most):
        raise ValueError(
            f"its pixels (mode {mode}) are in [{low:g}, {high:g}]; wanted "
            f"[{least:g}, {most:g}]"
        )
    return values
