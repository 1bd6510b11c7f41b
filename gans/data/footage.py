"""Videos as they are stored: animations, films, folders of pictures, and strips.

Each form has

    name, path     for messages
    measure()      -> Measure: how many videos it holds, of how many frames, how large
    frames(range)  -> iterator of Pillow's images, those frames of its only video
    whole(read)    -> its videos, each uint8 [L, H, W, C], every frame by a `Reader`

and raises whatever the libraries raise for damaged files: see `reading.refusing`.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image

from gans.data.image import upright
from gans.data.reading import Reader, opened, refusing

FILMS = frozenset({".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg"})
# Pictures that may have several frames.
ANIMATED = frozenset({".gif", ".webp", ".png", ".apng", ".avif", ".tif", ".tiff"})


class Measure(NamedTuple):
    """So many videos, of so many frames each, of so many pixels (height, width)."""

    n: int
    length: int
    size: tuple[int, int]


class _Single:
    """What forms of one video share."""

    def whole(self, read: Reader) -> list[np.ndarray]:
        """Returns the only video, uint8 [L, R, R, C]."""
        length = self.measure().length
        return [np.stack([read.fit(x) for x in self.frames(range(length))])]


@dataclasses.dataclass(frozen=True)
class Animation(_Single):
    """A GIF, WebP, APNG or TIFF of several frames."""

    name: str
    path: str

    def measure(self) -> Measure:
        """Returns its size, by its header."""
        with opened(self.path) as image:
            return Measure(1, image.n_frames, image.size[::-1])

    def frames(self, chosen: range) -> Iterator[Image.Image]:
        """Yields some frames; each is gone when the next one comes."""
        with opened(self.path) as image:
            for i in chosen:
                image.seek(i)
                image.load()
                yield image


@dataclasses.dataclass(frozen=True)
class Pictures(_Single):
    """The pictures of a folder, of one size, in their order."""

    name: str
    path: str
    paths: Sequence[str]

    def measure(self) -> Measure:
        """Returns their number and size; ValueError if they differ in size."""
        sizes = {}
        for path in self.paths:
            with refusing(path), opened(path) as image:
                sizes.setdefault(upright(image).size, path)
            if len(sizes) > 1:
                (a, b), (one, other) = sizes.items(), sizes.values()
                raise ValueError(
                    f"its frames are of several sizes ({one} is {_by(a[0])}, {other} "
                    f"is {_by(b[0])}); if each picture is a row of frames, say how "
                    "wide they are, as in video:PATH:strip=64"
                )
        (size,) = sizes
        return Measure(1, len(self.paths), size[::-1])

    def frames(self, chosen: range) -> Iterator[Image.Image]:
        """Yields some frames; each is gone when the next one comes."""
        for i in chosen:
            with refusing(self.paths[i]), opened(self.paths[i]) as image:
                image.load()
                yield image


@dataclasses.dataclass(frozen=True)
class Strips:
    """A picture whose rows are videos, their frames side by side.

    side: width and height of a frame.
    """

    name: str
    path: str
    side: tuple[int, int]

    def measure(self) -> Measure:
        """Returns its size, by its header."""
        with opened(self.path) as image:
            return self._measure(image)

    def _measure(self, image):
        (n, left), (rows, below) = map(divmod, image.size, self.side)
        if left or below or not n * rows:
            raise ValueError(
                f"it is {_by(image.size)}, which rows of frames of {_by(self.side)} do "
                "not fill"
            )
        return Measure(rows, n, self.side[::-1])

    def whole(self, read: Reader) -> list[np.ndarray]:
        """Returns the video of each row, uint8 [L, R, R, C]."""
        with opened(self.path) as image:
            rows, length, (height, width) = self._measure(image)
            x = dataclasses.replace(read, resolution=None).fit(image)
        x = x.reshape(rows, height, length, width, -1).swapaxes(1, 2).copy()
        if read.resolution is None or (read.resolution,) * 2 == (height, width):
            return [*x]
        x = x[..., 0] if x.shape[-1] == 1 else x
        return [np.stack([read.fit(Image.fromarray(y)) for y in row]) for row in x]


@dataclasses.dataclass(frozen=True)
class Film(_Single):
    """A file of FILMS, read by PyAV."""

    name: str
    path: str

    def measure(self) -> Measure:
        """Returns its size; the packets of the whole film are counted."""
        with _av().open(self.path) as film:
            codec = film.streams.video[0].codec_context
            return Measure(1, len(self._times), (codec.height, codec.width))

    @functools.cached_property
    def _times(self) -> list[int]:
        """When each frame is shown, in the film's own units."""
        with _av().open(self.path) as film:
            packets = film.demux(film.streams.video[0])
            return sorted(x.pts for x in packets if x.pts is not None)

    def frames(self, chosen: range) -> Iterator[Image.Image]:
        """Yields some frames; each is gone when the next one comes."""
        wanted = [self._times[i] for i in chosen]
        with _av().open(self.path) as film:
            film.seek(
                wanted[0], stream=film.streams.video[0]
            )  # to a whole frame before
            left = iter(wanted)
            time = next(left)
            for frame in film.decode(video=0):
                if frame.pts < time:
                    continue
                yield frame.to_image()
                time = next(left, None)
                if time is None:
                    return
        raise ValueError("it ends before its last frame")


def film(name: str, path: str) -> Film:
    """Returns a film; raises ValueError, with what to install, where none is read."""
    try:
        _av()
    except ImportError:
        raise ValueError(
            f"{path} is a film, which the package av reads: pip install av; GIF, "
            "animated WebP and folders of frames need nothing"
        ) from None
    return Film(name, path)


def _av():
    import av  # optional

    return av


def is_animated(path: str) -> bool:
    """Whether a file holds several frames; False for one that cannot be read."""
    try:
        with opened(path) as image:
            return getattr(image, "is_animated", False)
    except Exception:  # Pillow has a dozen kinds for damaged files
        return False


def _by(size):
    return f"{size[0]}x{size[1]}"
