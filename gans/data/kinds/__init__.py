"""What a field can hold: one kind of data a file, found by its name.

One of your own is found by its path (see `gans.names`): `Field("mine.graph", ...)`. If
its file has what `experiments.sampling.pictures` wants, it is drawn, too.

A kind is a module with

    AXES = ("H", "W", "C")   the axes of one example, without the batch
    DTYPES = (np.uint8, np.float32)   the types in which it is stored
    RANGE = (-1.0, 1.0)      the range of decoded values and of stored floats, or None
    MIRRORED = True          whether `flip` does anything
    CLASSES = False          whether values are numbers of classes: 0 to n_classes - 1
    decode(x)                storage -> float32 or int32, traced, any leading axes
    encode(x)                numpy: decoded values -> storage
    FREE = ("T",)            if there, the axes along which an output of a model may be
                             longer or shorter than the data
    PLACELESS = True         if there, values are as true of a mirror image
    of_text(field, text)     if there, the numpy array of one example that a text stands
                             for; raises ValueError for a text that it cannot be
    text_of(field, x)        if there, the text of an example, the inverse
    flip(x, coins)           x [B, ...] with the examples mirrored where coins [B] are
                             true; traced, before or after decoding
"""

from __future__ import annotations

import functools
from types import ModuleType

from gans import names


def of(field) -> ModuleType:
    """Returns the kind's module of a `gans.data.spec.Field`.

    Raises ValueError, with the nearest one, for a kind that does not exist.
    """
    return named(field.kind)


@functools.cache
def named(kind: str) -> ModuleType:
    """Returns the module of a kind's name; raises as `of` does."""
    return names.module(kind, "gans.data.kinds", "kind of a field")
