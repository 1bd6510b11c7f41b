"""Outputs of a model as ONNX (extra `onnx`), for onnxruntime and others."""

from __future__ import annotations

import json
import os

import jax
import jax.numpy as jnp
from jax import export

from experiments.exchange import programs
from experiments.exchange.plain import plain
from experiments.files import replacing
from experiments.sampling.model import Model


def write(model: Model, out: str | os.PathLike, output: str = "sample") -> list[str]:
    """Writes an output as an ONNX model for any number of samples; returns lines.

    Its inputs and outputs have the names of the schema, which is in its metadata with
    the origin.

    Raises ValueError for an output that draws numbers itself, and for one with an
    operation that has no form in ONNX; ModuleNotFoundError without jax2onnx.
    """
    import jax2onnx
    import onnx

    sampler, schema = model.sampler(output), model.schema(output)
    if sampler.draws:
        raise ValueError(
            f"output {output!r} draws numbers itself (noise, dropout), and ONNX has no "
            "random numbers that depend on a key; --out=x.stablehlo holds it"
        )
    _, free, found = programs.function(sampler, model.state)
    names, found = list(schema["inputs"]), jax.tree.map(jnp.asarray, found)

    def call(*arrays):
        made = free(found, dict(zip(names, arrays, strict=True)))
        return tuple(made[name] for name in schema["makes"])

    (n,) = export.symbolic_shape("n")
    inputs = programs.inputs_of(schema, n)
    shapes = [inputs[name] for name in names]
    try:
        made = jax2onnx.to_onnx(
            plain(call, *shapes),
            inputs=shapes,
            model_name=model.config.variant,
            input_names=names,
            output_names=[_free(x, names) for x in schema["makes"]],
        )
    except Exception as error:  # it has a dozen kinds for what it does not know
        reason = str(error).strip().splitlines()[0]
        raise ValueError(f"output {output!r} has no form in ONNX: {reason}") from error
    for key, value in (("schema", schema), ("origin", model.origin(output))):
        made.metadata_props.add(key=key, value=json.dumps(value))
    with replacing(out) as path:
        onnx.save(made, path)
    return [f"{output}: opset {made.opset_import[0].version}, any number of samples"]


def _free(name: str, taken: list[str]) -> str:
    return f"{name}_made" if name in taken else name
