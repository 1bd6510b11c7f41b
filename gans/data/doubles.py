"""Held-out pictures that also stand in the training set."""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Callable, Hashable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import tqdm

from gans.data.image import fit
from gans.data.notes import note
from gans.data.reading import opened
from gans.data.sets import NoSplit

# Up to this many pixels of the training set are decoded to be compared.
MOST_PIXELS = 2**32
T = TypeVar("T")
# The files that an example consists of.
Files = tuple[str, ...]


def unseen(
    test: Sequence[T],
    train: Iterable[Files],
    files: Callable[[T], Files],
    name: str,
    what: str,
) -> list[T]:
    """Returns the `test` examples that are not in train as well; says how many are.

    Two are equal if their files have equal bytes, or decode to equal pixels. A training
    set of more than MOST_PIXELS is compared by bytes alone, which is said.

    train: the files of each example; files: those of an example of `test`; name: of the
      set; what: they are, for messages.

    Raises NoSplit if none is left.
    """
    found, by_pixels = _found(tuple(map(files, test)), tuple(train), name)
    kept = [x for i, x in enumerate(test) if i not in found]
    if not kept:
        raise NoSplit(f"{name}: all {len(test)} {what} also stand in train")
    if found or not by_pixels:
        how = "" if by_pixels else "by bytes alone, "
        note(f"{name}: left out {len(found)} of {len(test)} {what}: {how}also in train")
    return kept


@functools.lru_cache(maxsize=8)  # a command may load its data several times
def _found(
    test: tuple[Files, ...], train: tuple[Files, ...], name: str
) -> tuple[frozenset[int], bool]:
    """The places in `test` of what is in train; and whether pixels were compared."""
    every = list(dict.fromkeys((*test, *train)))
    train = every[len(set(test)) :]  # no file is its own double
    found = _matches(test, train, _n_bytes, _bytes, name)
    shapes = dict(zip(every, _each(_shape, every, name), strict=True))
    wanted = {shapes[x] for x in test}
    alike = [x for x in train if shapes[x] in wanted]
    if sum(w * h for x in alike for w, h in shapes[x]) > MOST_PIXELS:
        return frozenset(found), False
    found |= _matches(test, alike, shapes.__getitem__, _pixels, name)
    return frozenset(found), True


def _matches(
    test: Sequence[Files],
    train: Sequence[Files],
    cheap: Callable[[Files], Hashable],
    exact: Callable[[Files], Hashable],
    name: str,
) -> set[int]:
    """The places in `test` of what is also in `train`, by `exact`.

    It is called only where `cheap` is equal, too.
    """
    keys = [cheap(x) for x in test]
    wanted = set(keys)
    alike = [(x, key) for x in train if (key := cheap(x)) in wanted]
    possible = {key for _, key in alike}
    asked = [i for i, key in enumerate(keys) if key in possible]
    digests = _each(exact, [*(x for x, _ in alike), *(test[i] for i in asked)], name)
    known, own = set(digests[: len(alike)]), digests[len(alike) :]
    return {i for i, x in zip(asked, own, strict=True) if x in known}


def _each(function: Callable[[Files], T], examples: Sequence[Files], name: str):
    """`function` of each, by several threads, with a progress bar."""
    with ThreadPoolExecutor() as pool:
        bar = tqdm.tqdm(
            pool.map(function, examples),
            desc=f"comparing test with train of {name}",
            total=len(examples),
            unit=" images",
            leave=False,
            delay=1,
            disable=None,  # at a terminal only: it would break lines of a log
        )
        return list(bar)


def _n_bytes(paths: Files) -> Hashable:
    return tuple(os.path.getsize(path) for path in paths)


def _bytes(paths: Files) -> Hashable:
    found = []
    for path in paths:
        with open(path, "rb") as file:
            found.append(hashlib.file_digest(file, "sha256").digest())
    return tuple(found)


def _shape(paths: Files) -> tuple[tuple[int, int], ...]:
    """Sides of the pictures, the longer first, from their headers."""
    found = []
    for path in paths:
        try:
            with opened(path) as image:
                found.append((max(image.size), min(image.size)))
        except Exception:  # it is named where it is read
            return ()
    return tuple(found)


def _pixels(paths: Files) -> Hashable:
    found = []
    for path in paths:
        try:
            with opened(path) as image:
                pixels = fit(image)
        except Exception:
            return path
        found += [pixels.shape, hashlib.sha256(pixels.tobytes()).digest()]
    return tuple(found)
