"""What the numbers of a user's arrays mean: pixels to bytes, labels to classes."""

from __future__ import annotations

import numpy as np

from gans.names import natural

Range = tuple[float, float]

# The usual ranges of pixels. No two of them can be recognised in the same values.
RANGES: tuple[Range, ...] = ((0, 1), (-1, 1), (0, 255), (0, 65535))
# Floats may lie outside their range by this part of it, as computing them rounds.
ROUNDING = 1e-5
CHUNK = 256  # images converted at a time


class NoRange(ValueError):
    """Values fit no range, or not the one that was given."""


def range_of(x: np.ndarray) -> Range:
    """Returns the range of pixels that the values of `x` [N, ...] are given in.

    It is one of RANGES, in which all of them lie, and which some of them use more than
    half of: [-1, 1] needs a value below -0.5, the others need one in the upper half.

    Raises NoRange where none can be told for certain, ValueError for NaN and infinity.
    """
    if x.dtype == np.uint8 and x[:CHUNK].max() > 1:
        return (0, 255)  # without reading the rest, which may be larger than the memory
    if x.dtype == bool:
        return (0, 1)
    low, high = extremes(x)
    if x.dtype == np.uint8 and high != 1:
        return (0, 255)
    for least, most in RANGES:
        used = low < -0.5 if least < 0 else high > most / 2
        if used and _inside(low, high, (least, most)):
            return (least, most)
    raise NoRange(
        f"{x.dtype} values from {low:g} to {high:g} can be read in several ways"
    )


def to_bytes(x: np.ndarray, given: Range | None = None) -> np.ndarray:
    """Returns pixels `x` [N, ...] of any type as uint8, where 0 is black and 255 white.

    given: the values of black and white; None: see `range_of`.

    Raises NoRange for values outside the range, else as `range_of`.
    """
    least, most = given or range_of(x)
    if x.dtype == np.uint8 and (least, most) == (0, 255):
        return x
    low, high = extremes(x)
    if not _inside(low, high, (least, most)):
        raise NoRange(
            f"values from {low:g} to {high:g} are outside the range {least:g}..{most:g}"
        )
    found = np.empty(x.shape, np.uint8)
    for i in range(0, len(x), CHUNK):
        scaled = (x[i : i + CHUNK].astype(np.float64) - least) * 255 / (most - least)
        found[i : i + CHUNK] = np.clip(np.rint(scaled), 0, 255)
    return found


def classes(label: np.ndarray, n: int) -> tuple[np.ndarray, tuple[str, ...] | None]:
    """Returns the labels of `n` examples as int32 [n], and the names of the classes.

    label: integers from 0 on, whole floats or strings, [n], [n, 1] or [1, n]; or
      one-hot [n, K].

    The classes are those that occur. Names are None for the numbers 0 to K - 1; else
    they are the numbers or strings that were given, in natural order.

    Raises ValueError for anything else, naming what is wrong.
    """
    shape = label.shape
    if label.dtype.kind == "b":
        label = label.astype(np.int64)
    if label.dtype.kind == "S":
        label = np.char.decode(label, "utf-8")
    if label.dtype.kind not in "iufU":
        raise ValueError(f"labels of type {label.dtype}; wanted integers or strings")
    if label.ndim == 2 and label.size == n:
        label = label.ravel()
    elif label.ndim == 2 and len(label) == n and label.dtype.kind != "U":
        if not (np.isin(label, (0, 1)).all() and (label.sum(1) == 1).all()):
            raise ValueError(f"labels of shape {shape} that are not one-hot")
        label = label.argmax(1)
    if label.shape != (n,):
        raise ValueError(f"{_count(shape)} for {n} images; wanted one each")
    if label.dtype.kind == "f":
        wrong = label[~(np.isfinite(label) & (label == np.rint(label)))]
        if len(wrong):
            raise ValueError(f"the label {wrong[0]:g}; wanted integers")
        label = label.astype(np.int64)
    if label.dtype.kind != "U" and n and label.min() < 0:
        raise ValueError(f"the label {label.min()}; wanted numbers from 0 on")
    found, places = np.unique(label, return_inverse=True)
    names = [str(x) for x in found.tolist()]
    order = sorted(range(len(names)), key=lambda i: natural(names[i]))
    ranks = np.argsort(order).astype(np.int32)
    names = tuple(names[i] for i in order)
    numbered = names == tuple(map(str, range(len(names))))
    return ranks[places], None if numbered and label.dtype.kind != "U" else names


def _count(shape) -> str:
    return f"{shape[0]} labels" if len(shape) == 1 else f"labels of shape {shape}"


def extremes(x: np.ndarray) -> Range:
    """Returns the least and the largest value of `x` [N, ...].

    Raises ValueError for NaN and infinity.
    """
    low, high = x.min(), x.max()
    if not (np.isfinite(low) and np.isfinite(high)):
        first = next(i for i, part in enumerate(x) if not np.isfinite(part).all())
        raise ValueError(f"example {first} holds NaN or infinity")
    return float(low), float(high)


def _inside(low: float, high: float, allowed: Range) -> bool:
    slack = ROUNDING * (allowed[1] - allowed[0])
    return allowed[0] - slack <= low and high <= allowed[1] + slack
