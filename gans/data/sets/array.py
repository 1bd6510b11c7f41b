"""The user's own arrays: `array:PATH` of an .npy or .npz file."""

from __future__ import annotations

import contextlib
import math
import pathlib

import numpy as np
from PIL import Image

from gans.data import altered, values
from gans.data.image import fit
from gans.data.notes import note
from gans.data.sets import NoSplit, expanded, levels, options
from gans.data.source import InMemory
from gans.data.spec import Field

NAMES = ("array:PATH",)
SEEDED = False
ENDINGS = (".npy", ".npz")

# What an .npz calls its arrays, of each split; the first that is there is taken.
IMAGES = {
    "train": ("image", "images", "x", "x_train", "train_images", "data", "arr_0"),
    "test": ("x_test", "test_images"),
}
LABELS = {
    "train": ("label", "labels", "y", "y_train", "train_labels", "target", "targets"),
    "test": ("y_test", "test_labels"),
}


def load(
    path: str,
    *,
    resolution: int | None = None,
    channels: int | None = None,
    split: str = "train",
    **_unused,
) -> InMemory:
    """Images [N, H, W, C] or [N, H, W] of the file `path`, C 1, 3 or 4, held as uint8.

    They are of any type. The range of their values is recognised (see
    `gans.data.values.range_of`), or said: "PATH:range=0..1" gives black and white. With
    four channels the last is opacity, and they are composited on white.

    An .npz holds images and perhaps labels (see `gans.data.values.classes`) under one
    of the names IMAGES and LABELS, of which some are a split "test". An .npy holds the
    images alone.

    Raises ValueError for anything else, FileNotFoundError where there is no file.
    """
    name = f"array:{path}"
    path, given = options(name, path, {"range": ()})
    given = levels(name, given["range"]) if given else None
    image, label, notes = contents(name, pathlib.Path(expanded(path)), split)
    image, turned = _images(name, image)
    try:
        least, most = given or values.range_of(image)
        if given is None and image.dtype != np.uint8:
            notes.append(f"values read as {least:g}..{most:g}")
        image = values.to_bytes(image, (least, most))
    except values.NoRange as error:
        raise ValueError(
            f"{name}: {error}; say which values are black and white: "
            f"array:{path}:range=0..1 (or -1..1, 0..255)"
        ) from None
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
    n, height, width, own = image.shape
    sizes, in_colour = np.tile((width, height), (n, 1)), np.full(n, own > 1)
    read = altered.fitted(sizes, in_colour, resolution, channels or min(own, 3))
    image = _fitted(image, resolution, channels)
    arrays = {"image": image}
    spec = {"image": Field("image", image.shape[1:], "uint8")}
    if label is not None:
        try:
            arrays["label"], names = values.classes(label, len(image))
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None
        n_classes = int(arrays["label"].max()) + 1
        spec["label"] = Field("label", (), "int32", n_classes, names)
        if names and label.dtype.kind not in "US":
            some = ", ".join(names[:5]) + (", ..." if n_classes > 5 else "")
            notes.append(f"the labels {some} are the classes 0 to {n_classes - 1}")
    notes = turned + notes
    if notes:
        note(f"{name}: {'; '.join(notes)}")
    return InMemory(name, arrays, spec, lambda: read)


@contextlib.contextmanager
def _reading(name: str):
    """NumPy raises half a dozen kinds of errors for a damaged file: they are one."""
    try:
        yield
    except Exception as error:
        raise ValueError(
            f"{name} is not a readable .npy or .npz file: {error}"
        ) from None


def contents(
    name: str,
    file: pathlib.Path,
    split: str,
    known: dict[str, tuple[str, ...]] = IMAGES,
    what: str = "images",
) -> tuple[np.ndarray, np.ndarray | None, list[str]]:
    """Returns the examples [N, ...] of a split, their labels [N] or None, and notes.

    known: what an .npz calls the examples, of each split; what: what errors call them.

    Raises NoSplit, ValueError for what cannot be read, FileNotFoundError.
    """
    if not file.is_file():
        raise FileNotFoundError(f"{name}: no such file; wanted an .npy or .npz")
    with _reading(name):
        # An .npy stays on the disk, so it may be larger than the memory.
        content = np.load(file, mmap_mode="r", allow_pickle=False)
    if isinstance(content, np.ndarray):
        if split != "train":
            raise NoSplit(f"{name} has no split {split!r}, only 'train'")
        return content, None, []
    with content:
        splits = [s for s, names in known.items() if _key(content, names)]
        held = ", ".join(f"`{key}`" for key in content.files) or "nothing"
        if not splits:
            wanted = ", ".join(f"`{key}`" for key in known["train"])
            raise ValueError(f"{name} holds {held}; wanted {what} as one of {wanted}")
        if split not in splits:
            only = ", ".join(splits)
            raise NoSplit(f"{name} has no split {split!r}, only {only!r}")
        image, label = (_key(content, table[split]) for table in (known, LABELS))
        others = {key for table in (known, LABELS) for key in table["test"]}
        unused = [
            f"`{key}`"
            for key in content.files
            if key not in (image, label) and key.lower() not in others
        ]
        notes = []
        if unused:
            labels = f"labels from `{label}`" if label else "no labels"
            notes = [f"{what} from `{image}`, {labels}, not read {', '.join(unused)}"]
        with _reading(name):
            return content[image], None if label is None else content[label], notes


def _key(content: np.lib.npyio.NpzFile, known: tuple[str, ...]) -> str | None:
    """The first of the `known` names that the file has, as it is written there."""
    written = {key.lower(): key for key in content.files}
    return next((written[key] for key in known if key in written), None)


def _images(name: str, image: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """As [N, H, W, C], of the type that they have; and what was done to them."""
    shape, colours = image.shape, (1, 3, 4)
    wanted = "wanted images [N, H, W] or [N, H, W, C] with C 1, 3 or 4"

    def refused(what: str) -> ValueError:
        return ValueError(f"{name} has the shape {shape}: {what}; {wanted}")

    if image.dtype.kind not in "biuf":
        raise ValueError(f"{name} holds {image.dtype}; wanted numbers")
    if 0 in shape:
        raise refused("it is empty")
    if len(shape) == 3 and shape[-1] in (3, 4) and shape[1] != shape[2]:
        raise refused("one picture [H, W, C]? x[None] makes a set of it")
    if len(shape) == 3:
        three = shape[0] == 3  # or one picture [C, H, W]
        return image[..., None], ["[3, H, W] read as three grey images"] * three
    if len(shape) == 4 and shape[-1] in colours:
        return image, []
    if len(shape) == 4 and shape[1] in (1, 3):
        return np.moveaxis(image, 1, -1), ["[N, C, H, W] read as such"]
    if len(shape) == 2:
        sides = {c: math.isqrt(shape[1] // c) for c in (1, 3)}
        flat = [(r, r, c) for c, r in sides.items() if r > 1 and r * r * c == shape[1]]
        fix = f"x.reshape{(-1, *flat[0])} if its rows are images" if flat else ""
        raise refused(f"one grey picture? {fix or 'x[None] makes a set of it'}")
    raise refused(f"{len(shape)} axes" if len(shape) != 4 else "no axis of colours")


def _fitted(
    image: np.ndarray, resolution: int | None, channels: int | None
) -> np.ndarray:
    """uint8 [N, H, W, C] in the size and channels that are asked for."""
    height, width, own = image.shape[1:]
    channels = channels or min(own, 3)
    if (resolution or height, resolution or width, channels) == (height, width, own):
        return image
    flat = image[..., 0] if own == 1 else image
    return np.stack([fit(Image.fromarray(x), resolution, channels) for x in flat])
