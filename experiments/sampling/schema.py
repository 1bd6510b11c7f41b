"""What an output of a model takes and makes, as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax

from experiments.sampling.sampler import Sampler
from gans.data import kinds


def of(sampler: Sampler) -> dict[str, Any]:
    """Returns the schema of an output:

        {"output": "sample",
         "inputs": {"z": {"shape": ["n", 64], "dtype": "float32"},
                    "label": {..., "kind": "label", "classes": 2, "names": [...]}},
         "makes": {"image": {"shape": ["n", 32, 32, 3], "dtype": "float32",
                             "kind": "image", "range": [-1, 1]}},
         "made_of": [],         # the inputs that are examples of the data
         "classes": "label",    # the input that is a class to be asked for, or None
         "truncation": False,   # whether the truncation trick applies
         "random": True,        # whether it depends on a seed
         "draws": False}        # whether it also draws numbers itself, by a key

    Inputs on which the output does not depend are left out.
    """
    used = sampler.used_inputs
    labels = [name for name in sampler.label_inputs if name in used]
    shapes = sampler.input_shapes()
    return {
        "output": sampler.output,
        "inputs": _described(sampler, {name: shapes[name] for name in used}),
        "makes": _described(sampler, sampler.fields),
        "made_of": list(sampler.depends_on),
        "classes": labels[0] if labels else None,
        "truncation": "truncation" in used,
        "random": sampler.random,
        "draws": sampler.draws,
    }


def _described(
    sampler: Sampler, shapes: Mapping[str, jax.ShapeDtypeStruct]
) -> dict[str, dict[str, Any]]:
    found = {}
    for name, x in shapes.items():
        found[name] = {"shape": ["n", *x.shape[1:]], "dtype": str(x.dtype)}
        field = sampler.spec.get(name)
        if field is None:
            continue
        kind = kinds.of(field)
        found[name]["kind"] = field.kind
        if kind.RANGE:
            found[name]["range"] = list(kind.RANGE)
        if kind.CLASSES:
            found[name] |= {"classes": field.n_classes}
            found[name] |= {"names": list(field.names)} if field.names else {}
    return found
