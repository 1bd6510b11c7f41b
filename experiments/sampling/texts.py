"""Samples of what a text says, of models that are given sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from gans.data import kinds
from gans.data.spec import Spec

if TYPE_CHECKING:
    from experiments.sampling.sampler import Arrays, Sampler


def given(sampler: Sampler, texts: Sequence[str], numbers: np.ndarray) -> Arrays:
    """Returns the examples {field: [n, ...]} that texts stand for, which take turns.

    numbers: [n], of the samples.

    Raises ValueError for an output that is made of no sentences, and for a text that
    it cannot be made of, with the nearest known word.
    """
    fields = {x: sampler.spec[x] for x in sampler.depends_on}
    said = [x for x, field in fields.items() if hasattr(kinds.of(field), "of_text")]
    if len(said) != 1:
        made_of = ", ".join(f"{x} ({field.kind})" for x, field in fields.items())
        raise ValueError(
            f"text {', '.join(map(repr, texts))}: output {sampler.output!r} is made of "
            f"no sentences, but of {made_of or 'latents alone'}"
        )
    field = fields[said[0]]
    rows = np.stack([kinds.of(field).of_text(field, text) for text in texts])
    return {said[0]: rows[numbers % len(rows)]}


def of(spec: Spec, examples: Mapping[str, np.ndarray]) -> list[str]:
    """Returns the texts of examples {field: [n, ...]}; [] if none of them is text."""
    for name, x in examples.items():
        kind = kinds.of(spec[name]) if name in spec else None
        if hasattr(kind, "text_of"):
            return [kind.text_of(spec[name], one) for one in x]
    return []
