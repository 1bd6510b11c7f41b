"""Held-out pictures that also stand in the training set."""

from __future__ import annotations

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


def matches(
    test: Sequence[T],
    train: Sequence[T],
    cheap: Callable[[T], Hashable],
    exact: Callable[[T], Hashable],
    name: str,
) -> set[int]:
    """Returns the places in `test` of what is also in `train`, by `exact`.

    It is called only where `cheap` is equal, too. name: of the set, for the bar.
    """
    keys = [cheap(x) for x in test]
    wanted = set(keys)
    found = [(x, key) for x in train if (key := cheap(x)) in wanted]
    candidates, possible = [x for x, _ in found], {key for _, key in found}
    asked = [i for i, key in enumerate(keys) if key in possible]
    with ThreadPoolExecutor() as pool:
        bar = tqdm.tqdm(
            pool.map(exact, [*candidates, *(test[i] for i in asked)]),
            desc=f"comparing test with train of {name}",
            total=len(candidates) + len(asked),
            unit=" images",
            leave=False,
            delay=1,
        )
        digests = list(bar)
    known, own = set(digests[: len(candidates)]), digests[len(candidates) :]
    return {i for i, x in zip(asked, own, strict=True) if x in known}


def unseen(
    test: Sequence[T],
    train: Iterable[tuple[str, ...]],
    files: Callable[[T], tuple[str, ...]],
    name: str,
    what: str,
) -> list[T]:
    """Returns the `test` examples that are not in train as well; says how many are.

    Two are equal if their files have equal bytes, or decode to equal pixels. A training
    set of more than MOST_PIXELS is compared by bytes alone, which is said.

    train: the files of each example; files: those of an example of `test`; what: they
      are, for messages.

    Raises NoSplit if none is left.
    """
    train, own = list(dict.fromkeys(train)), [files(x) for x in test]
    found = matches(own, train, _n_bytes, _bytes, name)
    shapes = {x: _shape(x) for x in dict.fromkeys([*train, *own])}
    wanted = {shapes[x] for x in own}
    alike = [x for x in train if shapes[x] in wanted]
    how = "by bytes alone, "
    if sum(w * h for x in alike for w, h in shapes[x]) <= MOST_PIXELS:
        found |= matches(own, alike, shapes.__getitem__, _pixels, name)
        how = ""
    kept = [x for i, x in enumerate(test) if i not in found]
    if not kept:
        raise NoSplit(f"{name}: all {len(test)} {what} also stand in train")
    if found or how:
        note(f"{name}: left out {len(found)} of {len(test)} {what}: {how}also in train")
    return kept


def _n_bytes(paths: tuple[str, ...]) -> Hashable:
    return tuple(os.path.getsize(path) for path in paths)


def _bytes(paths: tuple[str, ...]) -> Hashable:
    found = []
    for path in paths:
        with open(path, "rb") as file:
            found.append(hashlib.file_digest(file, "sha256").digest())
    return tuple(found)


def _shape(paths: tuple[str, ...]) -> tuple[tuple[int, int], ...]:
    """Sides of the pictures, the longer first, from their headers."""
    found = []
    for path in paths:
        try:
            with opened(path) as image:
                found.append((max(image.size), min(image.size)))
        except Exception:  # it is named where it is read
            return ()
    return tuple(found)


def _pixels(paths: tuple[str, ...]) -> Hashable:
    found = []
    for path in paths:
        try:
            with opened(path) as image:
                pixels = fit(image)
        except Exception:
            return path
        found += [pixels.shape, hashlib.sha256(pixels.tobytes()).digest()]
    return tuple(found)
