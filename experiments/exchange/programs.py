"""Outputs of a model as programs of StableHLO, with their weights, in one file."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import export
from safetensors.numpy import save

from experiments.exchange.plain import plain
from experiments.files import replacing
from experiments.sampling import weights
from experiments.sampling.model import Model
from experiments.sampling.sampler import Sampler

PLATFORMS = ("cpu", "cuda", "tpu")
ANY = "n"  # names the program for batches of any size
KEY = "key"  # the input of an output that draws: [n, 2] uint32


def function(sampler: Sampler, state: Any):
    """Returns (function, weights) of an output: (weights, inputs) -> {field: [n, ...]}.

    weights: {name: array}, those on which it depends. inputs: {name: [n, ...]} as
    `schema` has them, and KEY if it draws. Sample i depends on row i alone.
    """
    shapes = sampler.input_shapes()
    of_state = jax.eval_shape(lambda x: x, state)

    def one(found, inputs):
        given = dict(inputs)
        bits = given.pop(KEY, np.zeros(2, np.uint32))
        key = jax.random.wrap_key_data(jnp.asarray(bits), impl="threefry2x32")
        # The output does not depend on what is not given.
        blank = {k: jnp.zeros(x.shape[1:], x.dtype) for k, x in shapes.items()}
        alone = {name: x[None] for name, x in {**blank, **given}.items()}
        filled = weights.put(of_state, found)
        made = sampler.traced_outputs(filled, alone, key)
        return {name: x[0] for name, x in made.items()}

    def whole(found, inputs):
        return jax.vmap(one, (None, 0))(found, inputs)

    def together(found, inputs):
        n = next(iter(inputs.values())).shape[0]
        given = {k: jnp.zeros((n, *x.shape[1:]), x.dtype) for k, x in shapes.items()}
        filled = weights.put(of_state, found)
        return sampler.traced_outputs(filled, {**given, **inputs}, jax.random.key(0))

    found = {k: np.asarray(x) for k, x in weights.of(sampler, state).items()}
    return (whole if sampler.draws else together), whole, found


def inputs_of(schema: dict[str, Any], n: Any) -> dict[str, jax.ShapeDtypeStruct]:
    """Returns the shapes of n inputs, of a number or a symbolic one."""
    found = {
        name: jax.ShapeDtypeStruct((n, *x["shape"][1:]), jnp.dtype(x["dtype"]))
        for name, x in schema["inputs"].items()
    }
    if schema["draws"]:
        found[KEY] = jax.ShapeDtypeStruct((n, 2), jnp.uint32)
    return found


def write(
    model: Model,
    out: str | os.PathLike,
    output: str = "sample",
    sizes: Sequence[int] = (),
) -> list[str]:
    """Writes an output as a file of safetensors; returns what is in it, in lines.

    Its arrays are the weights, and "program/n", bytes that `jax.export.deserialize`
    reads: a function (weights, inputs) -> {field: [n, ...]} for any n, on PLATFORMS.
    Its metadata have, as JSON, `schema` with the names of the weights, and `origin`.

    sizes: batch sizes that get a program of their own, "program/64", whose convolutions
      have the forms that are fastest on a CPU.

    Raises ValueError for an output that cannot be exported.
    """
    sampler, schema = model.sampler(output), model.schema(output)
    fixed, free, found = function(sampler, model.state)
    shapes = {k: jax.ShapeDtypeStruct(x.shape, x.dtype) for k, x in found.items()}
    (n,) = export.symbolic_shape("n")
    symbolic = plain(free, shapes, inputs_of(schema, n))
    wanted = {ANY: (symbolic, n), **{str(x): (fixed, x) for x in sizes}}
    arrays, said = dict(found), []
    for name, (call, size) in wanted.items():
        try:
            made = export.export(jax.jit(call), platforms=PLATFORMS)(
                shapes, inputs_of(schema, size)
            )
            content = made.serialize()
        except (ValueError, TypeError, NotImplementedError) as error:
            reason = str(error).strip().splitlines()[0]
            raise ValueError(
                f"output {output!r} cannot be exported: {reason}"
            ) from error
        arrays[f"program/{name}"] = np.frombuffer(content, np.uint8)
        said.append(f"program for {name} samples: {len(content):,} bytes")
    schema |= {"weights": sorted(found), "platforms": list(PLATFORMS)}
    schema["programs"] = [*wanted]
    metadata = {
        "schema": json.dumps(schema),
        "origin": json.dumps(model.origin(output)),
    }
    with replacing(out) as path:
        Path(path).write_bytes(save(arrays, metadata))
    n_weights = sum(x.size for x in found.values())
    return [f"{output}: {len(found)} arrays, {n_weights:,} weights", *said]
