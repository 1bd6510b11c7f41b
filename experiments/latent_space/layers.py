"""Which layers of a generator a style goes to: coarse, 0-3, middle+fine."""

from __future__ import annotations

import re

import numpy as np

from gans import names

RANGES = ("coarse", "middle", "fine", "all")


def named(n_ws: int) -> dict[str, range]:
    """Returns {name: layers} of the ranges that have names.

    Those of figure 3 of arXiv 1812.04948: 0-3 are coarse (4 and 8 pixels), 4-7 middle
    (16 and 32), the rest fine. Of fewer than twelve layers a third is in each.
    """
    low = min(4, -(-n_ws // 3))
    high = low + min(4, -(-(n_ws - low) // 2))
    return {
        "coarse": range(low),
        "middle": range(low, high),
        "fine": range(high, n_ws),
        "all": range(n_ws),
    }


def read(text: str, n_ws: int, flag: str = "--layers") -> np.ndarray:
    """Returns the layers [K], sorted, of coarse, 3, 0-6 or coarse+8-9.

    Raises ValueError, naming the flag, for a name that is unknown, and layers that are
    not there.
    """
    found: set[int] = set()
    for part in (part.strip() for part in text.split("+")):
        ends = re.fullmatch(r"(\d+)\s*(?:-\s*(\d+))?", part)
        if ends:
            last = int(ends[2] or ends[1])
            layers = range(int(ends[1]), last + 1)
            if not layers or last >= n_ws:
                raise ValueError(
                    f"{flag}={text}: this generator has the layers 0 to {n_ws - 1}"
                )
        else:
            try:
                layers = named(n_ws)[names.check(part, RANGES, "layers")]
            except ValueError as error:
                raise ValueError(f"{flag}: {error}, or numbers as 0-3") from None
        found |= {*layers}
    return np.array(sorted(found))


def said(layers: np.ndarray) -> str:
    """Returns layers in words: "0-3, 8"."""
    groups = np.split(layers, np.flatnonzero(np.diff(layers) != 1) + 1)
    return ", ".join(f"{x[0]}-{x[-1]}" if len(x) > 1 else f"{x[0]}" for x in groups)
