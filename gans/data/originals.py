"""Pictures from which a task of image translation is made, and its source."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gans import data
from gans.data import kinds
from gans.data.source import Arrays, InMemory, Source, Streamed, hold
from gans.data.spec import Field


def load(task: str, argument: str, **options) -> Streamed:
    """Returns the pictures that "TASK:argument" names, uint8 as the field "b".

    argument: a folder of pictures, or the name of another set; options: of
      `gans.data.load`.

    Raises ValueError for a set that has no images, or several in an example.
    """
    name, path = argument, data.of_path(argument)
    if path and argument not in data.known_names():
        name = f"{path}:classes=no" if path.startswith("folder:") else path
    source = data.load(name, **options)
    fields = [x for x, field in source.spec.items() if field.kind != "label"]
    if [source.spec[x].kind for x in fields] != ["image"]:
        found = ", ".join(f"{x} ({source.spec[x].kind})" for x in fields)
        raise ValueError(f"{task}:{argument}: wanted a set of images, it has {found}")
    (image,) = fields
    field = source.spec[image]

    def take(indices: np.ndarray) -> Arrays:
        x = source.take(indices)[image]
        return {"b": x if x.dtype == np.uint8 else kinds.of(field).encode(x)}

    spec = {"b": Field("image", field.shape, "uint8")}
    return Streamed(f"{task}:{argument}", take, len(source), spec, source.reading)


def with_given(
    originals: Source, given: Callable[[np.ndarray], np.ndarray]
) -> InMemory | Streamed:
    """Returns pairs of what is given of each original, and itself: `a` and `b`.

    given: uint8 [H, W, C] -> uint8 [H, W, Ca], pure.
    """

    def take(indices: np.ndarray) -> Arrays:
        b = originals.take(indices)["b"]
        return {"a": np.stack([given(x) for x in b]), "b": b}

    b = originals.spec["b"]
    shape = given(np.zeros(b.shape, np.uint8)).shape
    spec = {"a": Field("image", shape, "uint8"), "b": b}
    n, changed = len(originals), originals.reading
    return hold(Streamed(originals.name, take, n, spec, changed))
