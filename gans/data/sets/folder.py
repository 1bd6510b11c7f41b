"""The user's own pictures: `folder:PATH`, read recursively."""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import tqdm
from PIL import Image

from gans.data import reading
from gans.data.image import ORIENTATION, fit
from gans.data.notes import note
from gans.data.sets import NoSplit, OptionWanted, expanded
from gans.data.source import InMemory, Streamed, hold
from gans.data.spec import Field
from gans.data.tree import Tree, described, endings, walk
from gans.names import natural

NAMES = ("folder:PATH",)
SEEDED = False
# What folders of splits are called, and the split that each is; the first there counts.
SPLITS = {
    "train": ("train", "training"),
    "test": ("test", "testing", "val", "valid", "validation"),
}
# Formats in which the second picture is not another one for the eye.
ONE_PICTURE = {"MPO", "PSD"}


def load(
    path: str,
    *,
    resolution: int | None = None,
    channels: int | None = 3,
    split: str = "train",
    skip_corrupt: bool = False,
    **_unused,
) -> InMemory | Streamed:
    """All pictures below the folder `path`, in the order of their relative paths.

    Each becomes uint8 [R, R, C] as `gans.data.image.fit` does it, with C 3 unless
    `channels` says 1; `resolution` None needs pictures of one size, which they keep.
    Links are followed, hidden files and folders left out (see `gans.data.tree`).

    If all lie in sub-folders, those at the first level that hold pictures are the
    classes, in natural order; deeper ones belong to their class. If all of these are
    called like splits, such as train and test, they are splits, each with the classes
    of the first.

    Raises FileNotFoundError without pictures; ValueError naming a file that cannot be
    read, unless `skip_corrupt` is set: then each is decoded once beforehand, and the
    broken ones are left out and named.
    """
    name = f"folder:{path}"
    root = _folder(name, expanded(path))
    tree = walk(root)
    if not tree.pictures:
        left_out = described(tree)
        what = f"no pictures, only {', '.join(left_out)}" if left_out else "nothing"
        raise FileNotFoundError(
            f"{name} holds {what}; wanted pictures, such as .png, .jpg, .webp, .tif"
        )
    splits = _splits(tree)
    if split not in splits:
        raise NoSplit(f"{name} has no split {split!r}, only {', '.join(splits)}")
    inside = {s: _below(tree.pictures, folder) for s, folder in splits.items()}
    classes = _classes(inside.get("train", inside[split]))
    paths = inside[split]
    _describe(name, tree, splits, classes)

    labels = None
    if classes and all("/" in p for p in paths):
        number = {x: i for i, x in enumerate(classes)}
        unknown = sorted({p.partition("/")[0] for p in paths} - number.keys())
        if unknown:
            raise ValueError(
                f"{name}: the split {split!r} has the class {unknown[0]!r}, which the "
                "split 'train' has not"
            )
        labels = np.array([number[p.partition("/")[0]] for p in paths], np.int32)
    files = [os.path.join(root, splits[split], p) for p in paths]
    channels = channels or 3
    lost = {"left_out": dict(tree.left_out.most_common()), "links": tree.n_links}
    if skip_corrupt:
        intact = _intact(files, name)
        lost["corrupt"] = len(files) - len(intact)
        files = [files[i] for i in intact]
        if labels is not None:
            empty = np.setdiff1d(labels, labels[intact])
            if len(empty):
                raise ValueError(
                    f"{name}: no file of the class {classes[empty[0]]!r} can be read"
                )
            labels = labels[intact]
    height, width = (resolution,) * 2 if resolution else _common_size(files, name)
    spec = {"image": Field("image", (height, width, channels), "uint8")}
    if labels is not None:
        shown = tuple(os.fsencode(x).decode(errors="replace") for x in classes)
        spec["label"] = Field("label", (), "int32", len(classes), shown)

    def take(indices: np.ndarray) -> dict[str, np.ndarray]:
        images = [_read(files[i], resolution, channels, name) for i in indices]
        taken = {"image": np.stack(images)}
        return taken if labels is None else taken | {"label": labels[indices]}

    @functools.cache
    def read() -> dict[str, Any]:
        own = {key: x for key, x in lost.items() if x}
        return own | reading.of_files(files, resolution, channels)

    return hold(Streamed(name, take, len(files), spec, read))


def _folder(name: str, path: str) -> str:
    """`path`; raises FileNotFoundError unless it is a folder."""
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


def _splits(tree: Tree) -> dict[str, str]:
    """{split: its folder}, which is "" for the only split of a folder without them."""
    tops = {p.partition("/")[0] if "/" in p else "" for p in tree.pictures}
    called = {name.lower(): name for name in tops}
    if not called.keys() <= {name for names in SPLITS.values() for name in names}:
        return {"train": ""}
    found = {}
    for split, names in SPLITS.items():
        own = [called[name] for name in names if name in called]
        found |= {split: own[0]} if own else {}
    others = {called[name]: called[name] for name in called}
    return found | {s: x for s, x in others.items() if x not in found.values()}


def _below(pictures: list[str], folder: str) -> list[str]:
    start = f"{folder}/" if folder else ""
    return [p.removeprefix(start) for p in pictures if p.startswith(start)]


def _classes(pictures: list[str]) -> list[str]:
    """Names of the classes in their order; none if some pictures lie in no folder."""
    if not all("/" in p for p in pictures):
        return []
    return sorted({p.partition("/")[0] for p in pictures}, key=natural)


def _describe(
    name: str, tree: Tree, splits: dict[str, str], classes: list[str]
) -> None:
    """Says how a folder was read, where it can be read in another way."""
    left_out = described(tree)
    if left_out:
        note(f"{name}: not read: {', '.join(left_out)}")
    top = splits.get("train", "")
    if top:
        parts = ", ".join(f"{folder}/ is the split {s}" for s, folder in splits.items())
        note(f"{name}: {parts}")
    pictures = _below(tree.pictures, top)
    beside = [p for p in pictures if "/" not in p]
    inside = sorted({p.partition("/")[0] for p in pictures if "/" in p}, key=natural)
    if beside and inside:
        note(
            f"{name}: no classes, as {len(beside)} of {len(pictures)} pictures "
            f"({beside[0]}{', ...' if len(beside) > 1 else ''}) lie beside the folders "
            f"{_some(inside)}"
        )
    if len(classes) == 1 and all(p.count("/") > 1 for p in pictures):
        deeper = f"{name}/{top}/{classes[0]}" if top else f"{name}/{classes[0]}"
        note(
            f"{name}: one class, {classes[0]!r}; the folders in it are classes of "
            f"{deeper}"
        )
    folders = [x for x in _below(tree.folders, top) if "/" not in x]
    empty = sorted({*folders} - {*classes}, key=natural)
    if classes and empty:
        note(f"{name}: no class, as it holds no picture: {_some(empty)}")


def _some(names: list[str]) -> str:
    return ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")


@contextlib.contextmanager
def _opened(path: str) -> Iterator[Image.Image]:
    # Not by its path: Pillow would map some TIFFs into memory, and turn them wrongly.
    with open(path, "rb") as file, Image.open(file) as image:
        yield image


def _read(
    path: str, resolution: int | None, channels: int, name: str | None = None
) -> np.ndarray:
    """One picture as uint8 [R, R, C]; with `name` of the set, says what is special."""
    try:
        with _opened(path) as image:
            several = getattr(image, "is_animated", False)
            if name and several and image.format not in ONE_PICTURE:
                note(f"{name}: of files with several frames the first is read")
            return fit(image, resolution, channels)
    except Exception as error:  # Pillow has a dozen kinds for damaged files
        raise OptionWanted(f"cannot read {path}: {error}", "skip_corrupt") from None


def _intact(paths: list[str], name: str) -> list[int]:
    """Places of those of `paths` that can be read; says how many cannot."""

    def broken(path: str) -> str | None:
        try:
            _read(path, 1, 3)
        except ValueError as error:
            return str(error)

    with ThreadPoolExecutor() as pool:
        bar = tqdm.tqdm(
            pool.map(broken, paths),
            desc=f"checking {name}",
            total=len(paths),
            unit=" images",
            leave=False,
            delay=1,
        )
        errors = list(bar)
    found = [error for error in errors if error]
    if len(found) == len(paths):
        raise ValueError(f"{name}: none of {len(paths)} files can be read; {found[0]}")
    if found:
        some = "; ".join(found[:10]) + (" ..." if len(found) > 10 else "")
        note(f"{name}: left out {len(found)} of {len(paths)} files: {some}")
    return [i for i, error in enumerate(errors) if not error]


def _common_size(paths: list[str], name: str) -> tuple[int, int]:
    """Height and width that all of `paths` share, from their headers."""
    sizes = {}
    for path in paths:
        try:
            with _opened(path) as image:
                size = image.size[::-1]
                if image.getexif().get(ORIENTATION, 1) != 1:
                    size = fit(image, None, 1).shape[:2]  # formats differ in it
        except Exception as error:
            raise OptionWanted(f"cannot read {path}: {error}", "skip_corrupt") from None
        sizes.setdefault(size, path)
        if len(sizes) > 1:
            (a, b), (c, d) = sizes
            one, other = sizes.values()
            raise OptionWanted(
                f"{name} holds pictures of several sizes ({one} is {b}x{a}, {other} "
                f"is {d}x{c})",
                "resolution",
            )
    return next(iter(sizes))
