"""Which files are side A and which side B of image translation, by their folders."""

from __future__ import annotations

import dataclasses
import os
import re
from collections import Counter

from gans.data import reading
from gans.data.notes import note
from gans.data.sets import NoSplit, OptionWanted, expanded
from gans.data.sets.folder import check_found, some
from gans.data.tree import SPLITS, splits, walk

LAYOUTS = (
    "pictures side by side (left A, right B); folders A and B; trainA and trainB, "
    "testA and testB"
)
_NAMES = "|".join(name for names in SPLITS.values() for name in names)
_FOLDER = re.compile(rf"({_NAMES})?[ _-]?([ab])?", re.IGNORECASE)

# A picture of its own, or one half (0 or 1) of a file.
Part = tuple[str, int | None]


@dataclasses.dataclass(frozen=True)
class File:
    """A picture, and what its folders say of it.

    Attributes:
      path: by which it is opened.
      split: the name of its split's folder in lower case, or "".
      side: "a", "b", or "" if both are in it, side by side.
      folders: those that say it, as "trainA/" or "A/train/".
      key: the rest of the path, without its ending.
    """

    path: str
    split: str
    side: str
    folders: str
    key: str


@dataclasses.dataclass(frozen=True)
class Sides:
    """The files of a set: {split: its files}, in the order of their paths."""

    name: str
    files: dict[str, list[File]]

    def of(self, split: str) -> list[File]:
        """Returns the files of a split; raises NoSplit if there is none."""
        if split not in self.files:
            known = ", ".join(self.files)
            raise NoSplit(f"{self.name} has no split {split!r}, only {known}")
        return self.files[split]

    def pairs(self, split: str, skip: bool = False) -> list[tuple[File, ...]]:
        """Returns the pairs of a split: (A, B), or (one file with both,).

        skip: pictures without a partner are left out, and named.

        Raises OptionWanted for those, ValueError if none has one, for two of one name,
        and for a side without pictures.
        """
        files = self.of(split)
        if not files[0].side:
            return [(file,) for file in files]
        a, b = (self._by_name(own) for own in self._split(split).values())
        alone = [a[key] for key in a.keys() - b.keys()]
        alone = sorted(alone + [b[key] for key in b.keys() - a.keys()], key=_order)
        both = [(a[key], b[key]) for key in a if key in b]
        if alone:
            first = alone[0]
            other = next(f for f in files if f.side != first.side)
            shown = some([f"{f.folders}{f.key}" for f in alone])
            text = (
                f"{len(alone)} of {len(files)} pictures of the split {split!r} have no "
                f"partner: {shown} (wanted {other.folders}{first.key}.* beside "
                f"{first.folders}{_base(first)})"
            )
            if not both:
                raise ValueError(f"{self.name}: {text}")
            if not skip:
                raise OptionWanted(f"{self.name}: {text}", "skip_corrupt")
            note(f"{self.name}: left out: {text}")
        return both

    def apart(self, split: str) -> dict[str, list[Part]]:
        """Returns {"a": pictures, "b": pictures} of a split, in their own orders.

        Raises ValueError if a side has none.
        """
        files = self.of(split)
        if not files[0].side:
            return {x: [(f.path, i) for f in files] for i, x in enumerate("ab")}
        found = self._split(split)
        return {x: [(f.path, None) for f in own] for x, own in found.items()}

    def _split(self, split: str) -> dict[str, list[File]]:
        """{"a": files, "b": files}; raises ValueError if a side has none."""
        files = self.of(split)
        found = {x: [f for f in files if f.side == x] for x in "ab"}
        for side, own in found.items():
            if not own:
                raise ValueError(
                    f"{self.name}: the split {split!r} has no side {side.upper()}, "
                    f"only {files[0].folders}; wanted {LAYOUTS}"
                )
        return found

    def _by_name(self, files: list[File]) -> dict[str, File]:
        found = {}
        for file in files:
            if file.key in found:
                raise ValueError(
                    f"{self.name}: two pictures are called {file.key!r}: "
                    f"{file.folders}{_base(found[file.key])} and "
                    f"{file.folders}{_base(file)}"
                )
            found[file.key] = file
        return found


def find(name: str, path: str) -> Sides:
    """Returns the files of a folder with both sides, or of "PATH_A,PATH_B".

    Says how they were understood.

    Raises OSError where there is no picture, ValueError for folders that cannot be
    understood.
    """
    files, paths = [], [path]
    if "," in path and not os.path.isdir(expanded(path)):
        paths = [part.strip() for part in path.split(",")]
        if len(paths) != 2 or not all(paths):
            raise ValueError(f"{name} is not of the form PATH_A,PATH_B")
    for path, side in zip(paths, "ab" if len(paths) > 1 else [""], strict=True):
        own = f"{name}: {path}" if side else name
        root = reading.folder(own, expanded(path))
        tree = walk(root)
        check_found(own, tree)
        shown = os.path.join(path, "") if side else ""
        files += [_file(root, shown, p, side) for p in tree.pictures]
    used = [f for f in files if f.side] or files
    used = [f for f in used if f.split] or used
    tops = splits({f.split for f in used}) if used[0].split else {"train": ""}
    found = {s: [f for f in used if f.split == top] for s, top in tops.items()}
    outside = [f for f in files if f not in set(used)]
    if outside:
        left = some([f"{f.folders}{_base(f)}" for f in outside])
        note(f"{name}: not read, outside these folders: {len(outside)} ({left})")
    for own in found.values():
        _check_names(name, path, own)
    parts = [f"{split}: {_described(own)}" for split, own in found.items()]
    note(f"{name}: {'; '.join(parts)}")
    return Sides(name, found)


def _file(root: str, shown: str, path: str, side: str) -> File:
    """What the folders of a path relative to `root` say: "trainA/x.png"."""
    split, parts = "", path.split("/")
    n = 0
    while n + 1 < len(parts):
        match = _FOLDER.fullmatch(parts[n])
        one, other = (x or "" for x in match.groups()) if match else ("", "")
        if not (one or other) or (one and split) or (other and side):
            break
        split, side, n = (one or split).lower(), (other or side).lower(), n + 1
    folders = shown + "".join(f"{part}/" for part in parts[:n])
    key = os.path.splitext("/".join(parts[n:]))[0]
    return File(os.path.join(root, path), split, side, folders, key)


def _check_names(name: str, path: str, files: list[File]) -> None:
    """Raises ValueError if pictures side by side look like those of two folders."""
    tops = {}
    for file in files:
        top, _, rest = file.key.partition("/")
        tops.setdefault(file.side or (top if rest else ""), set()).add(rest)
    if len(tops) == 2 and not files[0].side and "" not in tops:
        one, other = sorted(tops)
        if tops[one] == tops[other]:
            kind, folders = name.partition(":")[0], files[0].folders
            raise ValueError(
                f"{name}: the folders {one} and {other} hold pictures of equal names: "
                f"if they are A and B, say {kind}:{path}/{folders}{one},"
                f"{path}/{folders}{other}, or call them A and B"
            )


def _described(files: list[File]) -> str:
    if not files[0].side:
        where = f"in {files[0].folders} " if files[0].folders else ""
        return f"side by side {where}({len(files)}), left A, right B"
    counts = Counter((f.side, f.folders) for f in files)
    return ", ".join(
        f"{side.upper()} is {folders} ({n})" for (side, folders), n in counts.items()
    )


def _base(file: File) -> str:
    return file.key + os.path.splitext(file.path)[1]


def _order(file: File) -> tuple[str, str]:
    return file.side, file.key
