"""Which pictures lie below a folder, and what else lies there."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
import stat
from collections import Counter, deque
from collections.abc import Collection, Iterable

from PIL import Image

# Formats that Pillow knows and cannot read by itself: they are not pictures, or need
# another program.
UNREAD = {"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF"}
HEIF = (".heic", ".heif", ".hif")
LARGE = 2**28  # pixels, beyond which Pillow warns; it refuses twice as many
# What folders of splits are called, and the split that each is; the first there counts.
SPLITS = {
    "train": ("train", "training"),
    "test": ("test", "testing", "val", "valid", "validation"),
}


@dataclasses.dataclass(frozen=True)
class Tree:
    """What `walk` found.

    Attributes:
      pictures: paths relative to the folder, with "/" between their parts, sorted.
      folders: likewise, all that are in it.
      left_out: how many files were not read, by their ending in lower case.
      n_links: links to files and folders that are read already, or that are broken.
    """

    pictures: list[str]
    folders: list[str]
    left_out: Counter[str]
    n_links: int


@functools.cache
def plug_in() -> None:
    """Has Pillow read HEIC, if the package for it is installed, and large pictures."""
    Image.MAX_IMAGE_PIXELS = LARGE
    with contextlib.suppress(ImportError):
        import pillow_heif

        pillow_heif.register_heif_opener()


def unknown(head: bytes) -> str:
    """Returns what is wrong with a file that Pillow does not know, by its beginning."""
    said = "it is not a picture of a known format"
    if head[4:8] == b"ftyp":  # ISO/IEC 14496-12, whatever the file is called
        said += "; if it is HEIC, pip install pillow-heif reads it"
    return said


def endings() -> set[str]:
    """Returns the endings of files that can be read here, such as ".png"."""
    plug_in()
    known = Image.registered_extensions()  # of all formats, after Pillow has read them
    formats = {*Image.OPEN, "MPO"} - UNREAD  # MPO is opened as JPEG
    return {ending for ending, format in known.items() if format in formats}


def walk(root: str, more: Collection[str] = ()) -> Tree:
    """Finds all pictures below the folder `root`, and files of `more` endings.

    Links are followed. What a link leads to is read once, so that a loop of links ends,
    and what lies in `root` itself is read in its own place. Hidden files and folders
    are left out. Raises OSError for a folder that cannot be opened.
    """
    readable, root = endings().union(more), os.path.join(root, "")
    pictures, folders, left_out, n_links = [], [], Counter(), 0
    seen, todo, links = set(), [root], deque()
    while todo or links:
        linked = not todo
        path = links.popleft() if linked else todo.pop()
        try:
            found = os.stat(path)
        except OSError:
            if not linked:
                raise
            n_links += 1
            continue
        identity, is_folder = (found.st_dev, found.st_ino), stat.S_ISDIR(found.st_mode)
        if (linked or is_folder) and identity in seen:
            n_links += 1
            continue
        seen.add(identity)
        name = path.removeprefix(root).replace(os.sep, "/")
        ending = os.path.splitext(name)[1].lower()
        if is_folder:
            folders += [name] if name else []
            with os.scandir(path) as entries:
                for entry in sorted(entries, key=lambda e: e.name):
                    if not entry.name.startswith("."):
                        (links if entry.is_symlink() else todo).append(entry.path)
        elif ending in readable and stat.S_ISREG(found.st_mode):
            pictures.append(name)
        else:
            left_out[ending] += 1
    return Tree(sorted(pictures), sorted(folders), left_out, n_links)


def described(tree: Tree) -> list[str]:
    """Returns what was left out, in words."""
    found = [
        f"{n} {ending or 'without an ending'}"
        + (" (pip install pillow-heif reads them)" if ending in HEIF else "")
        for ending, n in tree.left_out.most_common()
    ]
    if tree.n_links:
        links = "1 link" if tree.n_links == 1 else f"{tree.n_links} links"
        found.append(f"{links} (broken, or to what is read already)")
    return found


def splits(folders: Iterable[str]) -> dict[str, str]:
    """Returns {split: folder} of folders that are called like splits, in either case.

    "test" is the first of its names that is there; other folders are splits of their
    own names.
    """
    called = {name.lower(): name for name in folders}
    found = {}
    for split, names in SPLITS.items():
        own = [called[name] for name in names if name in called]
        found |= {split: own[0]} if own else {}
    return found | {x: x for x in called.values() if x not in found.values()}
