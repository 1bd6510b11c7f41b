"""A picture as its file has it, and files of pictures that were made of others."""

from __future__ import annotations

import dataclasses
import functools
import io
import json
import os
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from experiments.files import replacing
from experiments.origin import EDITED, SOFTWARE
from experiments.origin import files as origins
from gans.data.image import WIDE, fit, upright
from gans.data.kinds import image as images
from gans.data.tree import plug_in, unknown

SUFFIXES = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}
_SAVED = {
    "PNG": {},
    "JPEG": {"quality": 95, "subsampling": 0},
    "WEBP": {"lossless": True},
}
_SOFTWARE, _RECORD = 0x0131, 0x010E  # in EXIF; the second is ImageDescription
_OTHERS = {"CMYK", "LAB", "HSV", "YCbCr"}  # modes that become RGB: not their profiles
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R 601, as Pillow has it


@dataclasses.dataclass(frozen=True)
class Picture:
    """A picture, upright.

    Attributes:
      pixels: uint8 [H, W, C], on white where it is transparent; of 2 or 4 channels the
        last is opacity.
      alpha: uint8 [H, W]; None for a picture that is nowhere transparent, and for one
        with opacity in `pixels`.
      grey: whether its file has no colours.
      deep: whether its file has more than 8 bits of grey.
      levels: black and white of these.
      profile: its ICC profile, or None.
    """

    pixels: np.ndarray
    alpha: np.ndarray | None = None
    grey: bool = False
    deep: bool = False
    levels: tuple[float, float] = WIDE
    profile: bytes | None = None


def read(
    content: bytes,
    channels: int,
    mask: bytes | None = None,
    levels: tuple[float, float] = WIDE,
) -> Picture:
    """Returns the picture of a file's content, with 1 to 4 channels.

    Args:
      mask: of a picture that is transparent where this is white.
      levels: black and white of grey with 16 bits.

    Raises ValueError, saying why, if it cannot be read, and if a picture with opacity
    is wanted and nowhere transparent.
    """
    plug_in()
    try:
        with Image.open(io.BytesIO(content)) as image:
            found = of(image, channels if channels % 2 else channels - 1, levels)
            if channels % 2:
                return found
            return _with_opacity(found, image, mask)
    except UnidentifiedImageError:
        raise ValueError(unknown(content[:8])) from None
    except Exception as error:  # Pillow has a dozen kinds for damaged files
        raise ValueError(str(error) or type(error).__name__) from None


def of(image: Image.Image, channels: int, levels: tuple[float, float]) -> Picture:
    """Returns the picture of an image of Pillow's, with 1 or 3 channels."""
    image, alpha = upright(image), None
    if image.has_transparency_data:
        alpha = np.asarray(image.convert("RGBA").getchannel("A"))
    mode = image.mode
    deep = mode in ("I", "F") or mode.startswith("I;16")
    return Picture(
        fit(image, None, channels, levels=levels),
        alpha,
        grey=deep or mode in ("1", "L", "LA", "La"),
        deep=deep,
        levels=levels,
        profile=None if mode in _OTHERS else image.info.get("icc_profile"),
    )


def _with_opacity(found, image, mask):
    """The picture with its transparency as a channel, its colours as they are there."""
    pixels, alpha = found.pixels, found.alpha
    if alpha is not None:
        colours = upright(image).convert("RGBA").convert("RGB")
        pixels = fit(colours, None, pixels.shape[2])
    if mask is not None:
        with Image.open(io.BytesIO(mask)) as holes:
            size = pixels.shape[1::-1]
            holes = upright(holes).convert("L").resize(size, Image.NEAREST)
            alpha = np.where(np.asarray(holes) < 128, np.uint8(255), np.uint8(0))
    if alpha is None or alpha.min() >= 128:
        raise ValueError("it has no transparent pixels, so that there is no hole in it")
    pixels = np.concatenate([pixels, alpha[..., None]], axis=-1)
    return dataclasses.replace(found, pixels=pixels, alpha=None)


def grey(x: np.ndarray) -> np.ndarray:
    """Returns the luma [H, W, 1] of colours [H, W, 3]; grey as it is."""
    return x if x.shape[2] == 1 else (x @ _LUMA)[..., None]


def made_of(like: Picture, x: np.ndarray) -> Image.Image:
    """Returns what was made of a picture: floats [H, W, 1 or 3] in [-1, 1], or uint8.

    Its transparency and its colour profile are those of the picture; where it is
    larger, bicubic. Grey has 16 bits if the picture has them.
    """
    if like.deep and x.shape[2] == 1 and like.alpha is None:
        encode = functools.partial(_sixteen_bits, levels=like.levels)
        made = Image.fromarray(_by_bands(encode, x[..., 0]))
    else:
        pixels = x if x.dtype == np.uint8 else _by_bands(images.encode, x)
        made = Image.fromarray(pixels[..., 0] if x.shape[2] == 1 else pixels)
    if like.alpha is not None:
        alpha = Image.fromarray(like.alpha)
        made.putalpha(alpha.resize(made.size, Image.Resampling.BICUBIC))
    if like.profile and like.grey == (x.shape[2] == 1):
        made.info["icc_profile"] = like.profile
    return made


def _by_bands(encode, x):
    """encode(x), of some rows at a time: it needs several times their memory."""
    rows = max(1, 2**20 // x.shape[1])
    return np.concatenate([encode(x[i : i + rows]) for i in range(0, len(x), rows)])


def _sixteen_bits(x, levels):
    low, high = levels
    scaled = (x.astype(np.float64) + 1) / 2 * (high - low) + low
    return np.clip(np.rint(scaled), *WIDE).astype(np.uint16)


def save(path: str | os.PathLike, made: Image.Image, record: dict[str, Any]) -> None:
    """Writes a picture, whole or not at all.

    Args:
      path: ends in one of `SUFFIXES`. JPEG has no transparency, which becomes white,
        and JPEG and WebP have 8 bits.
      record: how it was made, in values of JSON; `record_of` returns it.
    """
    kind = SUFFIXES[os.path.splitext(path)[1].lower()]
    profile = made.info.get("icc_profile")
    if kind != "PNG" and made.mode.startswith("I;16"):
        made = Image.fromarray(fit(made, None, 1)[..., 0])
    if kind == "JPEG" and made.mode in ("LA", "RGBA"):
        made = Image.fromarray(fit(made, None, len(made.mode) - 1).squeeze())
    said = {k: x for k, x in record.items() if isinstance(x, str | int)}
    options = origins.options(kind, source=EDITED, **said)
    options["exif"] = exif = origins.exif()
    exif[_RECORD] = json.dumps(record)
    with replacing(path) as temporary:
        made.save(temporary, kind, icc_profile=profile, **options, **_SAVED[kind])


def record_of(path: str | os.PathLike) -> dict[str, Any] | None:
    """Returns how a file was made, as `save` was told; None for any other file."""
    try:
        with Image.open(path) as image:
            if "exif" not in image.info:  # without it, a PNG would be decoded
                return None
            found = image.getexif()
            ours = found.get(_SOFTWARE) == SOFTWARE
            record = json.loads(found.get(_RECORD, "")) if ours else None
    except (UnidentifiedImageError, ValueError, SyntaxError):
        return None
    return record if isinstance(record, dict) else None
