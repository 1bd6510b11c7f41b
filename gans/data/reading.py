"""Files of pictures, opened and read: what sets of pictures on the disk share."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
import tqdm
from PIL import Image, UnidentifiedImageError

from gans.data import image as images
from gans.data.notes import note
from gans.data.sets import OptionWanted
from gans.data.tree import endings, plug_in, unknown

# Formats in which the second picture is not another one for the eye.
ONE_PICTURE = {"MPO", "PSD"}
N_SAMPLED = 16  # pictures that are looked at before all are read
T = TypeVar("T")


@dataclasses.dataclass(frozen=True)
class Reader:
    """How the pictures of a set are read.

    Attributes:
      name: of the set, for messages.
      resolution, channels, squash, levels: see `gans.data.image.fit`.
    """

    name: str
    resolution: int | None = None
    channels: int = 3
    squash: bool = False
    levels: tuple[float, float] = images.WIDE

    def fit(self, image: Image.Image) -> np.ndarray:
        """Returns a picture as uint8 [R, R, C]."""
        return images.fit(
            image,
            self.resolution,
            self.channels,
            squash=self.squash,
            levels=self.levels,
        )

    def __call__(self, path: str) -> np.ndarray:
        """Returns the picture of a file as uint8 [R, R, C]; raises as `reading`."""
        with self.reading(path) as image:
            return self.fit(image)

    @contextlib.contextmanager
    def reading(self, path: str) -> Iterator[Image.Image]:
        """The opened file; says once what is special about such files.

        Raises OptionWanted, naming the file, for all that is raised inside.
        """
        with refusing(path), opened(path) as image:
            several = getattr(image, "is_animated", False)
            if several and image.format not in ONE_PICTURE:
                note(f"{self.name}: of files with several frames the first is read")
            yield image


@contextlib.contextmanager
def refusing(path: str) -> Iterator[None]:
    """Raises OptionWanted, naming the file, for all that is raised inside."""
    try:
        yield
    except OptionWanted:
        raise
    except Exception as error:  # Pillow has a dozen kinds for damaged files
        if isinstance(error, UnidentifiedImageError):
            with open(path, "rb") as file:
                error = unknown(file.read(8))
        raise OptionWanted(f"cannot read {path}: {error}", "skip_corrupt") from None


@contextlib.contextmanager
def opened(path: str) -> Iterator[Image.Image]:
    """A file as Pillow opens it; its pixels are not decoded yet."""
    plug_in()
    # Not by its path: Pillow would map some TIFFs into memory, and turn them wrongly.
    with open(path, "rb") as file, Image.open(file) as image:
        yield image


def folder(name: str, path: str) -> str:
    """Returns `path`; raises FileNotFoundError or NotADirectoryError if it is none."""
    if os.path.isdir(path):
        return path
    if not os.path.exists(path):
        raise FileNotFoundError(f"{name}: there is no such folder")
    ending = os.path.splitext(path)[1].lower()
    advice = "name the folder that it lies in"
    if ending in (".npy", ".npz"):
        advice = f"name it array:{name.partition(':')[2]}"
    elif ending not in endings():
        advice = "unpack it, if it is an archive of pictures"
    raise NotADirectoryError(f"{name} is a file, not a folder: {advice}")


def intact(examples: Sequence[T], read: Callable[[T], object], name: str) -> list[int]:
    """Returns the places of those that `read` can read; says how many it cannot.

    Raises ValueError if there are none.
    """

    def broken(example: T) -> str | None:
        try:
            read(example)
        except ValueError as error:
            return str(error)

    with ThreadPoolExecutor() as pool:
        bar = tqdm.tqdm(
            pool.map(broken, examples),
            desc=f"checking {name}",
            total=len(examples),
            unit=" images",
            leave=False,
            delay=1,
            disable=None,  # at a terminal only: it would break lines of a log
        )
        errors = list(bar)
    found = [error for error in errors if error]
    n = len(examples)
    if len(found) == n:
        raise ValueError(f"{name}: none of {n} files can be read; {found[0]}")
    if found:
        some = "; ".join(found[:10]) + (" ..." if len(found) > 10 else "")
        note(f"{name}: left out {len(found)} of {n} files: {some}")
    return [i for i, error in enumerate(errors) if not error]


def common_size(
    paths: Sequence[str], reader: Reader, halved: bool = False
) -> tuple[int, int]:
    """Returns the height and width that all pictures share, from their headers.

    halved: whether each is two pictures side by side; the size is of one of them.

    Raises OptionWanted if there are several sizes, or for a file that cannot be read.
    """
    sizes = {}
    for path in paths:
        with reader.reading(path) as image:
            size = images.upright(image).size[::-1]
        sizes.setdefault(size, path)
        if len(sizes) > 1:
            (a, b), (c, d) = sizes
            one, other = sizes.values()
            raise OptionWanted(
                f"{reader.name} holds pictures of several sizes ({one} is {b}x{a}, "
                f"{other} is {d}x{c})",
                "resolution",
            )
    ((height, width),) = sizes
    return (height, width // 2) if halved else (height, width)


def check_pixels(paths: Sequence[str], reader: Reader) -> None:
    """Says if colour becomes grey; raises ValueError for 12 bits that are read as 16.

    A few of the files are looked at. Those that cannot be read are passed over.
    """
    rows = np.unique(np.linspace(0, len(paths) - 1, N_SAMPLED).astype(int))
    some = [paths[i] for i in rows]
    brightest, colours = [], False
    for path in some:
        with contextlib.suppress(Exception), opened(path) as image:
            if images.is_wide(image):
                brightest.append(int(np.asarray(image).max()))
            elif reader.channels == 1 and not colours:
                pixels = np.asarray(image.convert("RGB"))
                colours = (pixels != pixels[..., :1]).any()
    if reader.levels is images.WIDE and 0 < max(brightest, default=0) < 4096:
        raise ValueError(
            f"{reader.name}: 16-bit pictures with values up to {max(brightest)} only "
            f"are nearly black; say which value is white: {reader.name}:range=0..4095 "
            "for 12 bits, range=0..65535 if they are so dark"
        )
    if colours:
        note(f"{reader.name}: colour pictures become grey, as channels=1")
