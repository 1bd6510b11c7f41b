"""Inputs of single samples: each a function of a seed and an index alone."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jax import Array

from experiments.sampling.sampler import Arrays, Sampler
from gans.data import kinds

# Latents are drawn for so many indices at a time, and of these the first 64, the first
# 1024 or all: each draws the same, as random numbers in JAX have it.
_DRAWN = (64, 1024, 10_000)
BLOCK = _DRAWN[-1]
_OUTPUT, _INPUTS = 1, 2  # folded into the key of a seed
Given = np.ndarray | Mapping[str, np.ndarray]


def indices_of(
    n: int | None, indices: Sequence[int] | None, given: int | None = None
) -> np.ndarray:
    """Returns the numbers of samples, [n] int64: those asked for, or the first n.

    given: how many examples they are made of, if these were given; they are n, then.

    Raises ValueError for none, for a number that is none of a sample, and if the
    examples are not as many.
    """
    if indices is None:
        n = (given or 64) if n is None else n
        if n < 1:
            raise ValueError(f"n={n}: wanted at least 1 sample")
        found = np.arange(n)
    else:
        found = np.asarray(indices)
        whole = found.ndim == 1 and found.size and found.dtype.kind in "iu"
        if not whole or found.min() < 0 or found.max() >= 2**32:
            raise ValueError("indices: wanted numbers of samples, from 0 to 2^32 - 1")
        found = found.astype(np.int64)
        if n not in (None, len(found)):
            raise ValueError(f"n={n}, and {len(found)} indices: wanted one of them")
    if given not in (None, len(found)):
        raise ValueError(f"given: {given} examples for {len(found)} samples")
    return found


def keys(seed: int, indices: np.ndarray) -> Array:
    """Returns the keys [n] by which an output draws for samples of a seed."""
    return _folded(_key(seed, _OUTPUT), np.asarray(indices, np.uint32))


class Rows:
    """The inputs of an output of a model.

    Args:
      sampler: of the output.
    """

    def __init__(self, sampler: Sampler):
        self._sampler = sampler
        self._each = jax.jit(jax.vmap(self._one))
        self._block = functools.lru_cache(maxsize=2)(self._drawn)

    def inputs(
        self, seed: int, indices: np.ndarray, given: Arrays | None = None
    ) -> Arrays:
        """Returns the inputs of samples, {name: numpy [n, ...]}.

        indices: [n], see `indices_of`. given: examples as `given` returns them; None:
        those of the data, sample i the i-th row, again and again.
        """
        if not self._sampler.gan.conditioned_on:
            return self._latents(seed, indices)
        n = len(indices)
        rows = np.minimum(np.arange(1 << (n - 1).bit_length()), n - 1)  # few programs
        folded = _folded(_key(seed, _INPUTS), indices[rows].astype(np.uint32))
        if given is None:
            examples = self._sampler.examples_at(indices[rows])
        else:
            examples = {name: x[rows] for name, x in given.items()}
        made = self._each(folded, examples)
        return {name: np.asarray(x)[:n] for name, x in made.items()}

    def given(self, given: Given) -> Arrays:
        """Returns examples {field: [n, ...]} for all fields that the model is given.

        given: of the fields on which the output depends; an array, of the only one.
          Integers are as the data store them, floats decoded.

        Raises ValueError, naming the field, for others.
        """
        sampler = self._sampler
        wanted, named = sampler.depends_on, f"output {sampler.output!r}"
        if not wanted:
            raise ValueError(f"given: {named} is made of no examples")
        if not isinstance(given, Mapping):
            if len(wanted) > 1:
                raise ValueError(f"given: {named} is made of {', '.join(wanted)}")
            given = {wanted[0]: given}
        if {*given} != {*wanted}:
            raise ValueError(
                f"given: {named} is made of {', '.join(wanted)}, not of "
                f"{', '.join(given) or 'nothing'}"
            )
        arrays = {name: self._checked(name, x) for name, x in given.items()}
        lengths = {len(x) for x in arrays.values()}
        if len(lengths) > 1:
            raise ValueError(f"given: of different lengths {sorted(lengths)}")
        n = lengths.pop()
        for name in sampler.gan.conditioned_on:
            field = sampler.spec[name]
            if name not in arrays:  # what the output does not depend on
                arrays[name] = np.zeros((n, *field.shape), field.dtype)
        return arrays

    def _checked(self, name: str, x: Any) -> np.ndarray:
        field, x = self._sampler.spec[name], np.asarray(x)
        kind = kinds.of(field)
        if x.ndim != len(field.shape) + 1 or x.shape[1:] != field.shape or not len(x):
            wanted = ", ".join(map(str, field.shape))
            raise ValueError(f"given: {name} is {[*x.shape]}; wanted [n, {wanted}]")
        stored = x.dtype == np.dtype(field.dtype)
        if not stored and x.dtype.kind != ("i" if kind.CLASSES else "f"):
            raise ValueError(
                f"given: {name} is {x.dtype}; wanted {field.dtype} or floats"
            )
        if x.dtype.kind == "f" and not np.isfinite(x).all():
            raise ValueError(f"given: {name} is not finite")
        if kind.CLASSES and not 0 <= x.min() <= x.max() < field.n_classes:
            raise ValueError(f"given: {name}: classes are 0 to {field.n_classes - 1}")
        return x if stored else x.astype(np.int32 if kind.CLASSES else np.float32)

    def _one(self, key, example):
        alone = {name: x[None] for name, x in example.items()}
        made = self._sampler.traced_inputs(key, 1, alone)
        return {name: x[0] for name, x in made.items()}

    def _latents(self, seed, indices):
        blocks, places = np.divmod(indices, BLOCK)
        found: Arrays = {}
        for block in np.unique(blocks).tolist():
            here = blocks == block
            n = next(n for n in _DRAWN if places[here].max() < n)
            for name, x in self._block(int(seed), block, n).items():
                if name not in found:
                    found[name] = np.empty((len(indices), *x.shape[1:]), x.dtype)
                found[name][here] = x[places[here]]
        return found

    def _drawn(self, seed, block, n):
        key = jax.random.key(seed)
        if block:
            key = jax.random.fold_in(_key(seed, _INPUTS), block)
        made = self._sampler.inputs(key, n)
        return {name: np.asarray(x) for name, x in made.items()}


def _key(seed: int, part: int) -> Array:
    return jax.random.fold_in(jax.random.key(seed), part)


@jax.jit
def _folded(key, numbers):
    return jax.vmap(jax.random.fold_in, in_axes=(None, 0))(key, numbers)
