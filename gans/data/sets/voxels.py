"""Volumes: `voxels:PATH` of your own, and `voxels:digits`, solids made of digits."""

from __future__ import annotations

import dataclasses
import functools
import os
import pathlib

import numpy as np

from gans.data import reading, solids, values, volumes
from gans.data.notes import note
from gans.data.sets import NoSplit, OptionWanted, array, expanded, folder, options
from gans.data.source import InMemory, Source, Streamed, hold
from gans.data.spec import Field
from gans.data.tree import walk

NAMES = ("voxels:PATH",)
SEEDED = False
OPTIONS = {"up": tuple(volumes.TURNS), "fill": ("yes", "no"), "classes": ("yes", "no")}
# What an .npz calls its volumes, of each split; the first that is there is taken.
VOLUMES = {
    "train": ("voxels", "volumes", *array.IMAGES["train"]),
    "test": ("voxels_test", *array.IMAGES["test"]),
}


def load(
    path: str,
    *,
    resolution: int | None = None,
    split: str = "train",
    skip_corrupt: bool = False,
    **_unused,
) -> Source:
    """Volumes `voxels` uint8 [R, R, R, 1], 0 is empty and 255 occupied.

    "digits" are embedded (see `gans.data.solids`), of R = `resolution` or 32. Else
    `path` is

    - an .npy or .npz of volumes [N, D, H, W], perhaps with an axis of one channel, of
      any type and range as pictures of `array:PATH`, an .npz perhaps with labels and
      with a split "test", whose names are VOLUMES and those of `array:PATH`;
    - or a folder with files of `gans.data.volumes.ENDINGS`, one volume each; its
      sub-folders are classes or splits as those of `folder:PATH`.

    Volumes smaller than R get empty voxels around them, those of a multiple of R blocks
    become one voxel; both are said. R is by default the longest side of the volumes.
    Meshes become as large as fits R; what they enclose is occupied unless "PATH:fill=
    no". "PATH:up=z" says which axis points up, "PATH:classes=no" leaves labels out.

    Raises FileNotFoundError without volumes; OptionWanted where meshes need a
    `resolution`, and for a file that cannot be read, unless `skip_corrupt` leaves it
    out; ValueError for other arrays.
    """
    if path == "digits":
        if split not in solids.SPLITS:
            raise NoSplit(f"voxels:digits has no split {split!r}; it has train, test")
        return solids.digits("voxels:digits", resolution or 32, split)
    name = f"voxels:{path}"
    path, given = options(name, path, OPTIONS)
    where = expanded(path)
    if where.lower().endswith(array.ENDINGS):
        return _of_array(name, where, resolution, split, given)
    root = reading.folder(name, where)
    tree = walk(root, volumes.ENDINGS)
    found = [x for x in tree.pictures if _ending(x) in volumes.ENDINGS]
    tree.left_out.update(map(_ending, set(tree.pictures) - {*found}))
    tree = dataclasses.replace(tree, pictures=found)
    folder.check_found(name, tree, "volumes", ", ".join(volumes.ENDINGS))
    top, inside, labels, classes = folder.arranged(
        name, path, tree, split, with_classes=given.get("classes") != "no"
    )
    files = [os.path.join(root, top, x) for x in inside]
    if resolution is None and any(_ending(x) in volumes.MESHES for x in files):
        raise OptionWanted(f"{name} holds meshes, which have no size", "resolution")
    if any(_ending(x) in volumes.MESHES for x in files):
        volumes.trimesh()  # says what is missing before anything is read

    def whole(file: str) -> np.ndarray:
        with reading.refusing(file):
            x = volumes.read(
                file,
                resolution,
                up=given.get("up"),
                fill=given.get("fill") != "no",
            )
            return x if resolution is None else volumes.fit(x, resolution)

    if skip_corrupt:
        kept = reading.intact(files, whole, name)
        files = [files[i] for i in kept]
        labels = None if labels is None else labels[kept]
    side = resolution or max(whole(files[0]).shape)
    spec = {"voxels": Field("voxels", (side, side, side, 1), "uint8")}
    if labels is not None:
        spec["label"] = folder.label_field(classes)

    def one(file: str) -> np.ndarray:
        x = whole(file)
        if resolution is None and max(x.shape) != side:
            raise OptionWanted(
                f"{name} holds volumes of several sizes ({files[0]} is {side}, {file} "
                f"is {max(x.shape)})",
                "resolution",
            )
        return volumes.fit(x, side)[..., None]

    def take(indices: np.ndarray) -> dict[str, np.ndarray]:
        taken = {"voxels": np.stack([one(files[i]) for i in indices])}
        return taken if labels is None else taken | {"label": labels[indices]}

    left_out = dict(tree.left_out.most_common())
    return hold(
        Streamed(name, take, len(files), spec, functools.partial(dict, left_out))
    )


def _ending(path):
    return os.path.splitext(path)[1].lower()


def _of_array(name, path, resolution, split, given):
    """The volumes of an .npy or .npz, held in memory."""
    held = array.contents(name, pathlib.Path(path), split, VOLUMES, "volumes")
    x, label, notes = held
    shape = x.shape
    if x.ndim == 5 and 1 in (x.shape[-1], x.shape[1]):
        x = x[..., 0] if x.shape[-1] == 1 else x[:, 0]
    if x.ndim != 4 or 0 in shape or x.dtype.kind not in "biuf":
        one = "one volume? x[None] makes a set of it; " * (x.ndim == 3)
        raise ValueError(
            f"{name} holds {x.dtype} of shape {shape}: {one}wanted volumes "
            "[N, D, H, W] or [N, D, H, W, 1] of numbers"
        )
    try:
        x = volumes.upright(values.to_bytes(x), given.get("up"))
        side = resolution or max(x.shape[1:])
        fitted = volumes.fit(x, side)[..., None]
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
    if fitted.shape[1:4] != x.shape[1:]:
        before = "x".join(map(str, x.shape[1:]))
        how = "padded with empty voxels" if max(x.shape[1:]) <= side else "reduced"
        notes.append(f"{before} voxels are {how} to {side}x{side}x{side}")
    if notes:
        note(f"{name}: {'; '.join(notes)}")
    arrays = {"voxels": fitted}
    spec = {"voxels": Field("voxels", fitted.shape[1:], "uint8")}
    if label is not None and given.get("classes") != "no":
        try:
            arrays["label"], names = values.classes(label, len(fitted))
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None
        n_classes = int(arrays["label"].max()) + 1
        spec["label"] = Field("label", (), "int32", n_classes, names)
    return InMemory(name, arrays, spec)
