"""Pictures with holes to be filled, of any pictures: `inpaint:PATH` or `inpaint:NAME`.

What is given has one more channel, the opacity: 255 where the picture is known, 0 in
holes, whose colours are mid-grey. An RGBA picture with transparent holes is such a one.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from gans.data import originals
from gans.data.source import Arrays, Source, hold
from gans.data.spec import Field, Spec

NAMES = ("inpaint:PATH",)
SEEDED = False
GREY = 128  # nearest to 0 once decoded


@dataclasses.dataclass(frozen=True, eq=False)
class Holed(Source):
    """Originals `b` uint8 [R, R, C], and `a` [R, R, C + 1] of them with holes.

    In training an example has other holes in each epoch (see
    `gans.data.pipeline.batches`); else always the same, by its index.
    """

    originals: Source
    augmented = True

    @property
    def name(self) -> str:
        return self.originals.name

    @property
    def streamed(self) -> bool:
        return self.originals.streamed

    @property
    def spec(self) -> Spec:
        b = self.originals.spec["b"]
        height, width, channels = b.shape
        return {"a": Field("image", (height, width, channels + 1), "uint8"), "b": b}

    def reading(self) -> dict[str, Any]:
        """Returns that of the originals."""
        return self.originals.reading()

    def __len__(self) -> int:
        return len(self.originals)

    def take(
        self, indices: np.ndarray, draws: Sequence[np.ndarray] | None = None
    ) -> Arrays:
        """Examples `indices` [B]; draws: ([B],), random numbers of the holes."""
        b = self.originals.take(indices)["b"]
        numbers = draws[0] if draws else indices
        masks = [holes(x.shape[:2], int(i)) for x, i in zip(b, numbers, strict=True)]
        a = [given(x, mask) for x, mask in zip(b, masks, strict=True)]
        return {"a": np.stack(a), "b": b}


def load(argument: str, **options) -> Holed:
    """Pairs of pictures with holes `a` and the original ones `b`; see `Holed`.

    argument: a folder of pictures, or the name of another set of images; options: of
      `gans.data.load`.
    """
    return Holed(hold(originals.load("inpaint", argument, **options)))


def holes(size: tuple[int, int], number: int) -> np.ndarray:
    """Returns where a picture [H, W] has holes: bool, drawn by `number`.

    One or two rectangles and one to three strokes, a quarter of the picture on average.
    """
    random = np.random.default_rng(number)
    height, width = size
    canvas = Image.new("1", (width, height))
    draw = ImageDraw.Draw(canvas)
    for _ in range(random.integers(1, 3)):
        sides = random.uniform(0.1, 0.4, 2)
        left, top = random.uniform(0, 1 - sides)
        right, bottom = left + sides[0], top + sides[1]
        corners = (left * width, top * height, right * width, bottom * height)
        draw.rectangle(tuple(map(round, corners)), fill=1)
    for _ in range(random.integers(1, 4)):
        points = random.uniform(0, 1, (random.integers(2, 5), 2)) * (width, height)
        thick = max(1, round(random.uniform(0.03, 0.1) * min(size)))
        line = [tuple(map(round, point)) for point in points]
        draw.line(line, fill=1, width=thick, joint="curve")
    return np.array(canvas)


def given(picture: np.ndarray, holes: np.ndarray | None = None) -> np.ndarray:
    """Returns a picture uint8 [H, W, C] with holes: uint8 [H, W, C + 1].

    holes: bool [H, W], where they are; None: the picture's last channel is opacity, and
      they are where it is less than half.
    """
    if holes is None:
        picture, holes = picture[..., :-1], picture[..., -1] < 128
    known = np.where(holes[..., None], np.uint8(GREY), picture)
    opacity = np.where(holes, np.uint8(0), np.uint8(255))
    return np.concatenate([known, opacity[..., None]], -1)


def finished(a: Any, output: Any) -> Any:
    """Returns `output` [..., C], and what is known of `a` [..., C + 1] in its place."""
    xp = output.__array_namespace__()
    return xp.where(a[..., -1:] > 0, a[..., :-1], output)
