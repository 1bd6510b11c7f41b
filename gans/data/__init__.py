"""Data sets by name; see `load`."""

from __future__ import annotations

import difflib
import importlib

# Each name and the module that loads it. In capitals: what the user puts there.
SETS = {
    "digits": "digits",
    "circle": "toy",
    "ring8": "toy",
    "grid25": "toy",
    "tfds:NAME": "tfds",
    "folder:PATH": "folder",
    "array:PATH": "array",
    "stacked:NAME": "stacked",
}


_SEEDED = ("toy", "stacked")  # modules


def seeded(name: str) -> bool:
    """Whether the seed draws the data set called `name`; others are always the same."""
    modules = {key.partition(":")[0]: module for key, module in SETS.items()}
    return modules.get(name.partition(":")[0]) in _SEEDED


def load(
    name: str,
    *,
    resolution: int | None = None,
    channels: int | None = None,
    split: str = "train",
    data_dir: str | None = None,
    skip_corrupt: bool = False,
    seed: int = 0,
):
    """The data set called `name`, as random access to numpy arrays.

    Names: "digits", "circle", "ring8", "grid25", "tfds:NAME", "folder:PATH",
    "array:PATH" and "stacked:NAME", of another set. `len(source)`; `source[i]` is
    `{"image": uint8 [H, W, C]}`, with `"label": int32 []` where there are labels, or
    `{"point": float32 [2]}`; `source.take(indices [B])` is many, stacked to [B, ...].
    Besides: `source.name`, `source.shape` (of one element) and `source.n_classes` (None
    without labels). Points in the plane also have `modes`, `sigma` and `radius`.

    `resolution` (side in pixels, after a centre crop) and `channels` (1 or 3) None
    mean the set's own. `data_dir` is where TFDS keeps its sets, `skip_corrupt` leaves
    out files of a folder that cannot be read, `seed` draws points in the plane and the
    pictures to be stacked; each concerns those sets alone.

    Raises ValueError for an unknown name or split, or a size there cannot be.
    """
    if resolution is not None and resolution < 1:
        raise ValueError(f"resolution must be a number of pixels, got {resolution!r}")
    if channels not in (None, 1, 3):
        raise ValueError(f"channels must be 1 or 3, got {channels!r}")
    prefix, colon, argument = name.partition(":")
    known = {key.partition(":")[0]: key for key in SETS}
    key = known.get(prefix)
    if key is None or (":" in key) != bool(colon) or (colon and not argument):
        close = [prefix] if key else difflib.get_close_matches(prefix, known, n=2)
        near = [known[p] for p in close]
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        raise ValueError(f"unknown data set {name!r}{hint} Known: {', '.join(SETS)}")
    return importlib.import_module(f"gans.data.{SETS[key]}").load(
        argument or name,
        resolution=resolution,
        channels=channels,
        split=split,
        data_dir=data_dir,
        skip_corrupt=skip_corrupt,
        seed=seed,
    )
