"""Where results go: checked before the work, and folders made."""

from __future__ import annotations

import os
from pathlib import Path

from experiments.sampling import animation


def check(out: str | os.PathLike, suffixes: tuple[str, ...]) -> str:
    """Returns the suffix of --out.

    Raises ValueError for another than these, and FileExistsError for a file that is not
    a picture or an animation of ours.
    """
    path = Path(out)
    if path.suffix not in suffixes or path.is_dir():
        raise ValueError(f"--out={out}: wanted a file that ends in {_or(suffixes)}")
    if path.suffix in animation.SUFFIXES:
        animation.check(out)
    if path.suffix != ".html" and path.exists() and not animation.is_ours(path):
        raise FileExistsError(
            f"--out={out}: this file was not made by this command; remove it, or "
            "choose another name"
        )
    return path.suffix


def made(out: str | os.PathLike) -> Path:
    """Returns --out as a path, whose folder is there."""
    path = Path(out)
    os.makedirs(path.parent, exist_ok=True)
    return path


def _or(suffixes):
    *rest, last = suffixes
    return f"{', '.join(rest)} or {last}" if rest else last
