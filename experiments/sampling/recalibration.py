"""The samples by which the batch statistics of a model are computed afresh."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from experiments.sampling.classes import counts, in_shares
from experiments.sampling.sampler import Sampler
from gans import core
from gans.data import kinds

N_EXAMPLES = 2560  # of the data, of which a conditional model is recalibrated


def pool(model: Any) -> dict[str, Any]:
    """Returns what `restore.recalibrate` needs to know of a `Model`."""
    first = model.samplers.drawable()
    options = {"output": first[0]} if first else {}
    labels = model.sampler(*first[:1]).label_inputs
    if labels:
        weights = {name: counts(model.data, name) for name in labels}
        options["classes"] = lambda n: {
            name: in_shares(x, n) for name, x in weights.items()
        }
    if not model.gan.conditioned_on:
        return options
    stored = Sampler(model.gan, model.spec, model.data, *first[:1]).examples(
        min(N_EXAMPLES, len(model.data))
    )
    pool = {
        name: kinds.of(model.spec[name]).decode(jnp.asarray(x))
        for name, x in stored.items()
    }

    def examples(i, n):
        rows = (i * n + jnp.arange(n)) % core.length(pool)
        return {name: x[rows] for name, x in pool.items()}

    return {**options, "examples": examples}
