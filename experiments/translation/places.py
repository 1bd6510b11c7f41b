"""Where pictures come from, and where those that are made of them go."""

from __future__ import annotations

import dataclasses
import os
from collections import Counter
from pathlib import Path

from experiments.translation.picture import SUFFIXES
from gans.data.notes import note
from gans.data.tree import described, walk


@dataclasses.dataclass(frozen=True)
class Job:
    """A picture to be read, and the files that are to be made of it.

    Attributes:
      name: relative to the folder that is read.
      source: where it is.
      targets: where its variants go.
      mask: of where it has holes, or None.
    """

    name: str
    source: Path
    targets: tuple[Path, ...]
    mask: Path | None = None


def jobs(source: str, out: str, *, n: int = 1, ending: str = ".png") -> list[Job]:
    """Returns a job for each picture of a folder, in sub-folders too, or for a file.

    The file made of SUB/x.jpg is OUT/SUB/x.png, with several variants x_1.png, x_2.png
    and so on. Pictures that differ in their endings alone keep these: x.jpg.png. Of one
    picture, `out` may be the file itself.

    Raises FileNotFoundError without pictures, FileExistsError if a result would lie in
    the folder that is read, or instead of the picture, and ValueError for a name of a
    file that cannot be written, or that two pictures would have.
    """
    alone = os.path.isfile(source)
    if alone:
        root, found = os.path.split(source)
        found = [found]
    elif os.path.isdir(source):
        root, found = source, _pictures(source)
    else:
        raise FileNotFoundError(f"--input={source}: there is no such file or folder")
    stems = [os.path.splitext(name)[0] for name in found]
    count = Counter(stem.casefold() for stem in stems)
    folder = Path(out)
    if _is_file(out, alone):
        folder, ending = folder.parent, folder.suffix
        stems = [Path(out).stem]
    made = []
    for name, stem in zip(found, stems, strict=True):
        stem = name if count.get(stem.casefold(), 0) > 1 else stem
        numbers = [f"_{i + 1}" for i in range(n)] if n > 1 else [""]
        targets = tuple(folder / f"{stem}{number}{ending}" for number in numbers)
        made.append(Job(name, Path(root, name), targets))
    _check_apart(made, source, out, alone)
    _check_different(made)
    return made


def masked(found: list[Job], mask: str) -> list[Job]:
    """Returns the jobs with their masks: one for all, or those of a folder by name.

    A mask may have another ending than its picture. Raises FileNotFoundError, naming
    it, for a picture without one.
    """
    if os.path.isfile(mask):
        return [dataclasses.replace(job, mask=Path(mask)) for job in found]
    if not os.path.isdir(mask):
        raise FileNotFoundError(f"--mask={mask}: there is no such file or folder")
    known = {os.path.splitext(name)[0]: name for name in walk(mask).pictures}
    masks = [known.get(os.path.splitext(job.name)[0]) for job in found]
    if None in masks:
        alone = found[masks.index(None)].name
        raise FileNotFoundError(f"--mask={mask} has no mask of {alone}")
    return [
        dataclasses.replace(job, mask=Path(mask, name))
        for job, name in zip(found, masks, strict=True)
    ]


def _pictures(folder):
    tree = walk(folder)
    left_out = described(tree)
    if not tree.pictures:
        what = f"no pictures, only {', '.join(left_out)}" if left_out else "nothing"
        raise FileNotFoundError(f"--input={folder} holds {what}")
    if left_out:
        note(f"{folder}: not read: {', '.join(left_out)}")
    return tree.pictures


def _is_file(out, alone):
    """Whether --out is the file to be made, not the folder for it."""
    suffix = Path(out).suffix.lower()
    if os.path.isdir(out) or out.endswith("/") or not suffix:
        return False
    if not alone:
        if os.path.exists(out) or suffix in SUFFIXES:
            raise ValueError(f"--out={out}: --input is a folder, so this must be one")
        return False
    if suffix not in SUFFIXES:
        raise ValueError(
            f"--out={out}: wanted a folder, or a file that ends in "
            f"{', '.join(SUFFIXES)}"
        )
    return True


def _check_apart(made, source, out, alone):
    """Raises FileExistsError if results would become, or replace, what is read."""
    place = Path(source).resolve()
    for job in made:
        for target in job.targets:
            target = target.resolve()
            if target == place if alone else place in target.parents:
                raise FileExistsError(
                    f"--out={out} lies in --input={source}: results would be among "
                    "the pictures that are read; choose another --out"
                )


def _check_different(made):
    """Raises ValueError if two pictures would become one file."""
    taken = {}
    for job in made:
        for target in job.targets:
            other = taken.setdefault(str(target).casefold(), job)
            if other is not job:
                raise ValueError(
                    f"{other.name} and {job.name} would both become {target}; rename "
                    "one of them"
                )
