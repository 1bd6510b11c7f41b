"""Points of W that a command line names: seeds, and files of projected pictures.

`save` writes such a file, and `directions` have one of their own: see there.
"""

from __future__ import annotations

import dataclasses
import os
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from experiments.files import expanded, replacing
from experiments.latent_space.generator import Noise, Styled
from experiments.sampling import asked


@dataclasses.dataclass(frozen=True)
class Point:
    """The latents of one image.

    Attributes:
      name: what a picture or a page calls it: "seed 3 (cat)".
      ws: [n_ws, w_dim].
      noise: the planes of a projected picture; {}: those of the model.
    """

    name: str
    ws: np.ndarray
    noise: Noise = dataclasses.field(default_factory=dict)


def read(
    text: str,
    styled: Styled,
    *,
    label: str | int | None = None,
    truncation: float | None = None,
    flag: str = "--seeds",
) -> list[Point]:
    """Returns the points of "0-3,me.npz": samples of seeds, and projected pictures.

    Args:
      label: the class of the samples, or several, "cat,dog", in turn. By default, where
        there are classes, a seed has always the same: its number modulo theirs.
      truncation: psi, of the samples.

    Raises ValueError or OSError, naming the flag, for what is neither.
    """
    parts = [part.strip() for part in str(text).split(",")]
    classes = asked.classes(styled.model.spec, label)
    found, n_seeds = [], 0
    for part in parts:
        if part.endswith(".npz"):
            found.append(load(expanded(part), styled, flag))
            continue
        for seed in asked.seeds(part, flag):
            found.append(_sample(styled, seed, classes, n_seeds, truncation))
            n_seeds += 1
    return found


def _sample(styled, seed, classes, i, truncation):
    one = classes[i % len(classes)] if isinstance(classes, list) else classes
    name = f"seed {seed}"
    if styled.label is not None:
        field = styled.model.spec[styled.label]
        one = seed % field.n_classes if one is None else one
        name += f" ({named(field, one)})"
    (ws,) = styled.ws(seed, 1, one)
    return Point(name, styled.truncated(ws, truncation))


def named(field: Any, label: str | int) -> str:
    """Returns the name of a class of a field, that is given by its name or number."""
    if isinstance(label, str) and not label.isdecimal():
        return label
    return field.names[int(label)] if field.names else f"class {label}"


def save(
    path: str | os.PathLike, point: Point, extra: Mapping[str, Any] | None = None
) -> None:
    """Writes a point: "ws", the planes as "noise/NAME", and what is `extra`."""
    planes = flatten_dict({"noise": point.noise}, sep="/")
    arrays = {name: np.asarray(x) for name, x in planes.items() if x is not None}
    with replacing(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, ws=point.ws, **arrays, **(extra or {}))


def load(path: str | os.PathLike, styled: Styled, flag: str = "--seeds") -> Point:
    """Returns the point of a file that `save` has written.

    Raises FileNotFoundError without one, ValueError for another file, and for one of a
    generator with other latents or other noise.
    """
    arrays = arrays_of(path, flag, "ws", "experiments.latents project")
    wanted = (styled.n_ws, styled.w_dim)
    if arrays["ws"].shape != wanted:
        raise ValueError(
            f"{flag}={path}: its ws are {list(arrays['ws'].shape)}, those of this "
            f"generator are {list(wanted)}"
        )
    planes = {name: x for name, x in arrays.items() if name.startswith("noise/")}
    noise = unflatten_dict(planes, sep="/").get("noise", {})
    own = {name: x.shape for name, x in flatten_dict(styled.noise, sep="/").items()}
    kept = {name: x.shape for name, x in flatten_dict(noise, sep="/").items()}
    if kept and kept != own:
        raise ValueError(f"{flag}={path}: its noise is not of this generator")
    check_weights(path, arrays, styled)
    return Point(Path(path).stem, arrays["ws"], noise)


def check_weights(
    path: str | os.PathLike, arrays: Mapping[str, np.ndarray], styled: Styled
) -> None:
    """Says so if a file was made with other weights: another checkpoint or run."""
    if str(arrays.get("weights", styled.digest)) != styled.digest:
        said = "was made with other weights, where W is another space"
        print(f"warning: {path} {said}", file=sys.stderr)


def arrays_of(
    path: str | os.PathLike, flag: str, needed: str, made_by: str
) -> dict[str, np.ndarray]:
    """Returns the arrays of an .npz; an error if the one called `needed` is missing.

    flag, made_by: named in errors, FileNotFoundError and ValueError.
    """
    if not os.path.isfile(path):
        raise FileNotFoundError(f"{flag}={path}: there is no such file")
    try:
        with np.load(path) as file:
            arrays = dict(file)
    except (ValueError, zipfile.BadZipFile, OSError, AttributeError):
        arrays = {}
    if needed not in arrays:
        raise ValueError(f"{flag}={path}: not a file that {made_by} has written")
    return arrays


def check_old(path: str | os.PathLike, needed: str, flag: str = "--out") -> None:
    """Raises FileExistsError for an .npz that has no array called `needed`."""
    if not os.path.exists(path):
        return
    known = zipfile.is_zipfile(path) and zipfile.ZipFile(path).namelist()
    if not known or f"{needed}.npy" not in known:
        raise FileExistsError(
            f"{flag}={path}: this file was not made by this command; remove it, or "
            "choose another name"
        )
