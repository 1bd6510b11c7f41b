"""Colour from grey, of any pictures: `colourise:PATH` or `colourise:NAME`.

pix2pix (arXiv 1611.07004) colours Lab's ab channels from L; here the target is RGB, so
that it is an image like any other, and `finished` keeps the lightness that was given.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image

from gans.data import originals
from gans.data.colour import with_lightness_of
from gans.data.source import InMemory, Streamed

NAMES = ("colourise:PATH",)
SEEDED = False


def load(argument: str, *, channels: int | None = 3, **options) -> InMemory | Streamed:
    """Pairs of grey pictures `a` uint8 [R, R, 1] and the original ones `b` [R, R, 3].

    argument: a folder of pictures, or the name of another set of images; options: of
      `gans.data.load`.

    Raises ValueError for channels other than 3.
    """
    if channels not in (None, 3):
        raise ValueError(f"colourise:{argument} needs channels=3, got {channels}")
    return originals.with_given(
        originals.load("colourise", argument, channels=3, **options), given
    )


def given(picture: np.ndarray) -> np.ndarray:
    """Returns a picture uint8 [H, W, 1 or 3] in grey: ITU-R 601 luma, [H, W, 1]."""
    if picture.shape[-1] == 1:
        return picture
    return np.asarray(Image.fromarray(picture).convert("L"))[..., None]


def finished(a: Any, output: Any) -> Any:
    """Returns the colours of `output` [..., 3] with the lightness of `a` [..., 1]."""
    return with_lightness_of(a, output)
