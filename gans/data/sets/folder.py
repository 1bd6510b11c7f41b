"""The user's own pictures: `folder:PATH`, read recursively."""

from __future__ import annotations

import functools
import os
from typing import Any

import numpy as np

from gans.data import altered, reading
from gans.data.notes import note
from gans.data.sets import NoSplit, expanded, levels, options
from gans.data.source import InMemory, Streamed, hold
from gans.data.spec import Field
from gans.data.tree import SPLITS, Tree, described, splits, walk
from gans.names import natural

NAMES = ("folder:PATH",)
SEEDED = False
OPTIONS = {"fit": ("crop", "squash"), "range": ()}


def load(
    path: str,
    *,
    resolution: int | None = None,
    channels: int | None = 3,
    split: str = "train",
    skip_corrupt: bool = False,
    called: str | None = None,
    **_unused,
) -> InMemory | Streamed:
    """All pictures below the folder `path`, in the order of their relative paths.

    Each becomes uint8 [R, R, C] as `gans.data.image.fit` does it, with C 3 unless
    `channels` says 1; `resolution` None needs pictures of one size, which they keep.
    Links are followed, hidden files and folders left out (see `gans.data.tree`).

    If all lie in sub-folders, those at the first level that hold pictures are the
    classes, in natural order; deeper ones belong to their class, and a single one is
    none. If all of these are called like splits, such as train and test, they are
    splits, each with the classes of the first.

    "PATH:classes=no" has no classes, "PATH:fit=squash" keeps what a crop would cut
    off, "PATH:range=0..4095" says what is black and white in 16-bit pictures.

    Raises FileNotFoundError without pictures; ValueError naming a file that cannot be
    read, unless `skip_corrupt` is set: then each is decoded once beforehand, and the
    broken ones are left out and named.
    """
    name = called or f"folder:{path}"
    path, given = options(name, path, {"classes": ("yes", "no"), **OPTIONS})
    root = reading.folder(name, expanded(path))
    tree = walk(root)
    check_found(name, tree)
    top, paths, labels, classes = arranged(
        name, path, tree, split, with_classes=given.get("classes") != "no"
    )
    files = [os.path.join(root, top, p) for p in paths]
    read = reader(name, resolution, channels, given)
    reading.check_pixels(files, read)
    lost = {"left_out": dict(tree.left_out.most_common()), "links": tree.n_links}
    if skip_corrupt:
        intact = reading.intact(files, read, name)
        lost["corrupt"] = len(files) - len(intact)
        files = [files[i] for i in intact]
        if labels is not None:
            empty = np.setdiff1d(labels, labels[intact])
            if len(empty):
                raise ValueError(
                    f"{name}: no file of the class {classes[empty[0]]!r} can be read"
                )
            labels = labels[intact]
    size = (resolution,) * 2 if resolution else reading.common_size(files, read)
    spec = {"image": Field("image", (*size, read.channels), "uint8")}
    if labels is not None:
        spec["label"] = label_field(classes)

    def take(indices: np.ndarray) -> dict[str, np.ndarray]:
        taken = {"image": np.stack([read(files[i]) for i in indices])}
        return taken if labels is None else taken | {"label": labels[indices]}

    @functools.cache
    def changed() -> dict[str, Any]:
        own = {key: x for key, x in lost.items() if x}
        return own | altered.of_files(files, read)

    return hold(Streamed(name, take, len(files), spec, changed))


def arranged(
    name: str, path: str, tree: Tree, split: str, *, with_classes: bool
) -> tuple[str, list[str], np.ndarray | None, list[str]]:
    """Returns what a split of a folder holds, by the names of its sub-folders.

    The folder of the split in `path`, "" if it is `path` itself; the paths below it;
    their classes, int32 [N] or None; and the names of these.

    Raises NoSplit, and ValueError for a class that the training split does not have.
    """
    tops = _splits(tree)
    if split not in tops:
        raise NoSplit(f"{name} has no split {split!r}, only {', '.join(tops)}")
    inside = {s: _below(tree.pictures, folder) for s, folder in tops.items()}
    classes = _classes(inside.get("train", inside[split]))
    if with_classes:
        _describe_classes(name, path, tree, tops, classes)
    else:
        classes = []
    _describe(name, tree, tops)
    paths = inside[split]
    if len(classes) < 2 or not all("/" in p for p in paths):
        return tops[split], paths, None, []
    number = {x: i for i, x in enumerate(classes)}
    unknown = sorted({p.partition("/")[0] for p in paths} - number.keys())
    if unknown:
        raise ValueError(
            f"{name}: the split {split!r} has the class {unknown[0]!r}, which the "
            "split 'train' has not"
        )
    labels = np.array([number[p.partition("/")[0]] for p in paths], np.int32)
    return tops[split], paths, labels, classes


def reader(
    name: str, resolution: int | None, channels: int | None, given: dict[str, str]
) -> reading.Reader:
    """Returns how pictures are read with the options that are `given`; see `load`."""
    own = {"levels": levels(name, given["range"])} if "range" in given else {}
    squash = given.get("fit") == "squash"
    return reading.Reader(name, resolution, channels or 3, squash=squash, **own)


def label_field(classes: list[str]) -> Field:
    """Returns the field of labels whose classes are folders."""
    shown = tuple(os.fsencode(x).decode(errors="replace") for x in classes)
    return Field("label", (), "int32", len(classes), shown)


def check_found(
    name: str,
    tree: Tree,
    wanted: str = "pictures",
    such_as: str = ".png, .jpg, .webp, .tif",
) -> None:
    """Raises FileNotFoundError for a folder without pictures; says what is not read."""
    left_out = described(tree)
    if not tree.pictures:
        what = f"no {wanted}, only {', '.join(left_out)}" if left_out else "nothing"
        raise FileNotFoundError(
            f"{name} holds {what}; wanted {wanted}, such as {such_as}"
        )
    if left_out:
        note(f"{name}: not read: {', '.join(left_out)}")


def _splits(tree: Tree) -> dict[str, str]:
    """{split: its folder}, which is "" for the only split of a folder without them."""
    tops = {p.partition("/")[0] if "/" in p else "" for p in tree.pictures}
    known = {name for names in SPLITS.values() for name in names}
    return splits(tops) if {x.lower() for x in tops} <= known else {"train": ""}


def _below(pictures: list[str], folder: str) -> list[str]:
    start = f"{folder}/" if folder else ""
    return [p.removeprefix(start) for p in pictures if p.startswith(start)]


def _classes(pictures: list[str]) -> list[str]:
    """Names of the classes in their order; none if some pictures lie in no folder."""
    if not all("/" in p for p in pictures):
        return []
    return sorted({p.partition("/")[0] for p in pictures}, key=natural)


def _describe(name: str, tree: Tree, tops: dict[str, str]) -> None:
    """Says which folders are splits."""
    if tops.get("train", ""):
        parts = ", ".join(f"{folder}/ is the split {s}" for s, folder in tops.items())
        note(f"{name}: {parts}")


def _describe_classes(
    name: str, path: str, tree: Tree, tops: dict[str, str], classes: list[str]
) -> None:
    """Says how classes were found, where a folder can be read in another way."""
    top = tops.get("train", "")
    pictures = _below(tree.pictures, top)
    beside = [p for p in pictures if "/" not in p]
    inside = sorted({p.partition("/")[0] for p in pictures if "/" in p}, key=natural)
    if beside and inside:
        note(
            f"{name}: no classes, as {len(beside)} of {len(pictures)} pictures "
            f"({beside[0]}{', ...' if len(beside) > 1 else ''}) lie beside the folders "
            f"{some(inside)}"
        )
    if len(classes) == 1:
        kind = name.partition(":")[0]
        deeper = f"{kind}:{path}/{top}/" if top else f"{kind}:{path}/"
        text = f"{name}: no classes, as all pictures lie in one folder, {classes[0]}"
        if all(p.count("/") > 1 for p in pictures):
            text += f"; the folders in it are classes of {deeper}{classes[0]}"
        note(text)
    folders = [x for x in _below(tree.folders, top) if "/" not in x]
    empty = sorted({*folders} - {*classes}, key=natural)
    if classes and empty:
        note(f"{name}: no class, as it holds no picture: {some(empty)}")


def some(names: list[str]) -> str:
    """Returns the first few of them, in words."""
    return ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
