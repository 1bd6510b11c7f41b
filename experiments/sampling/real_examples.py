"""Pictures of real examples, like those of what a model has made."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from experiments import origin
from experiments.sampling import pictures
from experiments.sampling.pictures import Arrays
from gans.data import kinds


def draw(
    stem: str | os.PathLike,
    spec: Mapping[str, Any],
    outputs: Mapping[str, Arrays],
    *,
    given: Mapping[str, Arrays],
    source: Any,
    targets: Mapping[str, Arrays] | None = None,
) -> None:
    """Draws real examples as `pictures.draw` draws outputs, and at the same scale.

    They are as many as the generated ones, if the source has so many, and of the same
    classes in the same order. Of a kind whose pictures show real examples anyway, these
    are drawn alone; of outputs that are shown beside their targets, none.

    Args: see `pictures.draw`.
    """
    for output, *_ in pictures.groups(outputs, given):
        if (targets or {}).get(output):
            continue
        fields, real, columns = outputs[output], {}, None
        for name, x in fields.items():
            if name not in spec or not pictures.drawable(spec[name].kind):
                continue
            field, label = spec[name], source.label_of(name)
            n = min(len(x), pictures.of(field).N)
            like = [k for k in given.get(output, ()) if spec[k].kind == field.kind]
            if like or source.length_of(name) < n:
                columns = pictures.columns_of(n, 1 + len(like))
                columns = columns or pictures.row_of_classes(spec, fields)
                columns = columns or math.ceil(math.sqrt(n))
            examples = source.take(_rows(source, name, n, fields.get(label)))[name]
            examples = np.asarray(kinds.of(field).decode(examples))
            real[name] = (
                examples[:0] if getattr(pictures.of(field), "REAL", False) else examples
            )
            if label in fields:
                real[label] = np.asarray(fields[label])[: len(examples)]
        with origin.noted(source=origin.NONE):
            pictures.draw(stem, spec, {output: real}, source=source, columns=columns)


def _rows(source, field, n, classes):
    """At most n rows of the source in random order, the i-th of the i-th class."""
    rows = np.random.default_rng(0).permutation(source.length_of(field))
    if classes is None:
        return rows[:n]
    rows = rows[: 8 * n]  # classes that none of these has are shown by others
    left = dict(enumerate(source.take(rows)[source.label_of(field)].tolist()))
    chosen = []
    for wanted in np.asarray(classes)[: len(rows)].tolist():
        chosen.append(next((i for i, x in left.items() if x == wanted), None))
        chosen[-1] = next(iter(left)) if chosen[-1] is None else chosen[-1]
        del left[chosen[-1]]
    return rows[chosen]
