"""Data sets by name; see `load`."""

from __future__ import annotations

import difflib
import functools
import importlib
import os
import pkgutil
from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING, Any

from gans.data import sets
from gans.data.notes import note
from gans.data.sets import expanded, without_options

if TYPE_CHECKING:
    import numpy as np


def load(
    name: str,
    *,
    resolution: int | None = None,
    channels: int | None = None,
    split: str = "train",
    data_dir: str | None = None,
    skip_corrupt: bool = False,
    seed: int = 0,
    jitter: int = 0,
    frames: int = 16,
    stride: int = 1,
    called: str | None = None,
):
    """The data set called `name`, as a source (see `gans.data.source`).

    The names are those that the files of `gans/data/sets` declare: "digits", "circle",
    "ring8", "grid25", "tfds:NAME", "folder:PATH", "array:PATH", "stacked:NAME" and
    "moving:NAME" of another set, "pairs:PATH" and "unpaired:PATH" with the fields a
    and b, and "python:MODULE:FUNCTION" for your own. Points in the plane also have
    `modes`, `sigma` and `radius`.

    `resolution` (side in pixels, after a centre crop) and `channels` (1 or 3) are the
    set's own if None. `data_dir` is where TFDS keeps its sets, `skip_corrupt` leaves
    out files of a folder that cannot be read, `seed` draws points in the plane and the
    pictures to be stacked. Each applies only to those sets. In paths `~` and $VAR are
    replaced. Clips have so many `frames`, and from one to the next are `stride` frames
    of the video. With `jitter`, images to train on are read so many pixels larger than
    `resolution`, and cropped at random (see `gans.data.cropped`). Messages name a set
    of files as it is `called`, by default `name`.

    Raises ValueError for an unknown name or an impossible size, and its subclasses in
    `gans.data.sets`: NoSplit for an unknown split, OptionWanted where another
    `resolution` or `skip_corrupt` is the answer.
    """
    if resolution is not None and resolution < 1:
        raise ValueError(f"resolution must be a number of pixels, got {resolution!r}")
    if channels not in (None, 1, 3):
        raise ValueError(f"channels must be 1 or 3, got {channels!r}")
    for key, value in (("frames", frames), ("stride", stride)):
        if value < 1:
            raise ValueError(f"{key} must be at least 1, got {value!r}")
    if jitter < 0:
        raise ValueError(f"jitter must be a number of pixels, got {jitter}")
    if jitter and resolution is None:
        raise ValueError(
            f"jitter={jitter} needs a resolution: the side of what is cut out"
        )
    jitter = jitter if split == "train" else 0
    prefix, colon, argument = name.partition(":")
    known = {key.partition(":")[0]: key for key in _served()}
    key = known.get(prefix)
    if key is None or (":" in key) != bool(colon) or (colon and not argument):
        alike = [] if os.sep in prefix else known
        close = [prefix] if key else difflib.get_close_matches(prefix, alike, n=2)
        path = None if key else of_path(name)
        near = [path] if path else [known[p] for p in close]
        folders = [expanded(part.strip()) for part in name.split(",")]
        if not near and len(folders) == 2 and all(map(os.path.isdir, folders)):
            near = [f"unpaired:{name}", f"pairs:{name}"]
        if not near and name.isidentifier():
            near = [f"tfds:{name}"]
        hint = f"; did you mean {' or '.join(near)}?" if near else "."
        if not near and not colon and os.sep in expanded(name):
            hint = ", and there is no such folder or file."
        raise ValueError(
            f"unknown data set {name!r}{hint} Known: {', '.join(known_names())}"
        )
    if not colon and os.path.isdir(name):
        note(f"{name} is the set of this name; the folder would be folder:{name}")
    source = _served()[key].load(
        argument or name,
        resolution=resolution + jitter if jitter else resolution,
        channels=channels,
        split=split,
        data_dir=data_dir and expanded(data_dir),
        skip_corrupt=skip_corrupt,
        seed=seed,
        frames=frames,
        stride=stride,
        called=called or name,
    )
    if not jitter:
        return source
    from gans.data.cropped import Cropped  # commands name data before numpy is loaded

    return Cropped(source, resolution)


def of_path(path: str) -> str | None:
    """Returns the name of the data at a path: "folder:PATH", "array:PATH", or None.

    A file that is no array stands for the folder it lies in.
    """
    found = expanded(without_options(path))
    if os.path.isfile(found):
        if found.lower().endswith((".npy", ".npz")):
            return f"array:{path}"
        path, found = os.path.dirname(path) or ".", os.path.dirname(found) or "."
    return f"folder:{path}" if os.path.isdir(found) else None


def held_out(load: Callable[..., Any]) -> Any:
    """Returns `load(split="test")`, or None for a set that has no such split."""
    try:
        return load(split="test")
    except sets.NoSplit:
        return None


def known_names() -> list[str]:
    """All names that `load` accepts, in capitals what the user puts there."""
    return sorted(_served())


def seeded(name: str) -> bool:
    """Whether the seed draws the data set called `name`; others are always the same."""
    module, (_, _, base) = _module(name), name.partition(":")
    return module is not None and (module.SEEDED or seeded(base))


def given(name: str) -> Callable[..., np.ndarray] | None:
    """Returns what makes a picture into side A of the set called `name`, or None.

    It is pure, uint8 [H, W, C] -> [H, W, Ca], and there are sets that have none.
    """
    return getattr(_module(name), "given", None)


def finished(name: str) -> Callable[[Any, Any], Any] | None:
    """Returns what keeps what was given in an output for the set `name`, or None.

    It is pure, (side A [..., H, W, Ca], output [..., H, W, C]) -> [..., H, W, C], of
    floats in [-1, 1]: arrays of NumPy or of JAX, also traced. Each pixel depends on
    that pixel alone.
    """
    return getattr(_module(name), "finished", None)


def attributes(name: str) -> Callable[[np.ndarray], dict[str, np.ndarray]] | None:
    """Returns what tells words that are true of pictures of the set `name`, or None.

    It is uint8 [N, H, W, C] -> {"size": words [N], ...}: where sentences are made of
    these words, it can be seen whether a picture is as they say.
    """
    found = getattr(_module(name), "attributes", None)
    return found and found(name.partition(":")[2])


def _module(name: str) -> ModuleType | None:
    """The file that serves the set called `name`."""
    modules = {key.partition(":")[0]: module for key, module in _served().items()}
    return modules.get(name.partition(":")[0])


@functools.cache
def _served() -> dict[str, ModuleType]:
    """Every name and the file that serves it."""
    names = [module.name for module in pkgutil.iter_modules(sets.__path__)]
    modules = [importlib.import_module(f"{sets.__name__}.{name}") for name in names]
    return {name: module for module in modules for name in module.NAMES}
