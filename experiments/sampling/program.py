"""An output of a model as one compiled program for batches of a fixed size."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
from jax import Array

from experiments.sampling.sampler import Arrays, Sampler
from gans import core


class Program:
    """An output, compiled when this is made, for batches of one size.

    Sample i of a batch depends on its own inputs and key alone. The values are, bit for
    bit, those of `Model.sample` with that `batch_size`.

    Args:
      sampler: of the output.
      state: that it uses, unless a call has another one of the same shapes.
      size: of the batches.

    Attributes:
      size: of the batches.
      inputs: {name: shape [size, ...] and type}.
    """

    def __init__(self, sampler: Sampler, state: core.State, size: int):
        if size < 1:
            raise ValueError(f"size={size}: wanted at least 1")
        self.size, self._state = size, state
        self.inputs = {
            name: jax.ShapeDtypeStruct((size, *x.shape[1:]), x.dtype)
            for name, x in sampler.input_shapes().items()
        }
        keys = jax.eval_shape(lambda: jax.random.split(jax.random.key(0), size))
        jitted = jax.jit(sampler.traced_each)
        self._compiled = jitted.lower(state, self.inputs, keys).compile()

    def __call__(
        self, inputs: Arrays, keys: Array, state: core.State | None = None
    ) -> Arrays:
        """Returns {field: numpy [n, ...]} of n <= `size` inputs.

        inputs: {name: [n, ...]}, see `Model.inputs`. keys: [n], see `Model.keys`.
        state: of another checkpoint of the run. It may be called by several threads.
        """
        n = core.length(inputs)
        if not 1 <= n <= self.size:
            raise ValueError(f"{n} inputs for a program of {self.size}")
        rows = np.minimum(np.arange(self.size), n - 1)
        given: dict[str, Any] = {
            name: np.asarray(inputs[name], x.dtype)[rows]
            for name, x in self.inputs.items()
        }
        state = self._state if state is None else state
        made = self._compiled(state, given, keys[rows])
        return {name: np.asarray(x)[:n] for name, x in made.items()}
