"""The formats of pictures: how each carries what is known of its origin."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from experiments import origin
from experiments.origin import xmp

FORMATS = ("PNG", "WEBP", "JPEG", "GIF")
_EXIF_SOFTWARE = 0x0131


def exif() -> Image.Exif:
    """Returns EXIF that names what has written the file."""
    found = Image.Exif()
    found[_EXIF_SOFTWARE] = origin.SOFTWARE
    return found


def options(kind: str, **more: Any) -> dict[str, Any]:
    """Returns arguments for Pillow's `save` in a format, by which the file says it all.

    kind: one of FORMATS. more: said as well, as by `origin.noted`.
    """
    with origin.noted(**more):
        packet = xmp.packet(origin.current())
    if kind == "PNG":
        info = PngInfo()
        info.add_text("Software", origin.SOFTWARE)
        info.add_itxt("XML:com.adobe.xmp", packet)
        return {"pnginfo": info}
    if kind == "GIF":
        return {"comment": f"{origin.SOFTWARE}\n{packet}".encode()}
    return {"xmp": packet.encode(), "exif": exif()}


def comment() -> str:
    """Returns what a film says in the field of its metadata for comments."""
    return f"{origin.SOFTWARE}\n{xmp.packet(origin.current())}"


def encoded(image: np.ndarray, kind: str = "PNG", **how: Any) -> bytes:
    """Returns the file of a picture, uint8 [H, W, C], C = 1 (grey), 3 or 4.

    The bytes are a function of the pixels, of what is `origin.noted`, and of the
    version of Pillow: no time is in them. how: of Pillow's `save`, such as `quality`.

    Raises ValueError for another shape or type.
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] not in (1, 3, 4):
        raise ValueError(
            "a picture is uint8 [H, W, C] with C = 1, 3 or 4, "
            f"got {image.dtype} {image.shape}"
        )
    picture = Image.fromarray(image[:, :, 0] if image.shape[2] == 1 else image)
    content = io.BytesIO()
    picture.save(content, kind, **options(kind), **how)
    return content.getvalue()


def read(path: str | os.PathLike) -> dict[str, str]:
    """Returns what a file says of its origin; {} if it says nothing.

    It is anybody's word: whoever can write the file can write that.
    """
    content = Path(path).read_bytes()
    if content[:4] == b"GIF8":  # which has texts in pieces of 255 bytes
        with contextlib.suppress(OSError, ValueError, SyntaxError):
            with Image.open(io.BytesIO(content)) as picture:
                content = picture.info.get("comment", b"")
    return xmp.read(content)


def is_made(known: Mapping[str, str]) -> bool:
    """Whether a file says that a model has made it, or a part of it."""
    return known.get("source") in (origin.MADE, origin.EDITED)
