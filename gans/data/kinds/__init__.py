"""What a field can hold: one kind of data a file, found by its name.

A kind is a module with

    AXES = ("H", "W", "C")   the axes of one example, without the batch
    RANGE = (-1.0, 1.0)      the range of decoded values, or None
    MIRRORED = True          whether `flip` does anything
    decode(x)                storage -> float32 or int32, traced, any leading axes
    encode(x)                numpy: decoded values -> storage
    flip(x, coins)           x [B, ...] with the examples mirrored where coins [B] are
                             true; traced, before or after decoding
"""

from __future__ import annotations

import functools
from types import ModuleType

from gans import names


def of(field) -> ModuleType:
    """Returns the kind's module of a `gans.data.spec.Field`.

    Raises ValueError, with the nearest one, for a kind that there is not.
    """
    return _module(field.kind)


@functools.cache
def _module(kind: str) -> ModuleType:
    return names.module(kind, "gans.data.kinds", "kind of a field")
