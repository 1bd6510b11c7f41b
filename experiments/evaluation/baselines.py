"""What a model of examples has to beat: the mean picture, the nearest one, the input.

They are outputs like the model's own, measured by the same evaluators on the same rows.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np

from experiments.evaluation.image_sets import LUMA
from experiments.sampling.sampler import Arrays, Sampler
from experiments.sampling.samplers import Samplers
from gans.data import bicubic, kinds
from gans.data.kinds.image import opaque

N_TRAINING = 10_000  # rows at most that are averaged, or looked through
SIDE = 32  # pixels, at which inputs are compared
BATCH = 64  # rows read at a time

Make = Callable[[Arrays], np.ndarray]


class Baseline:
    """An output of the model's, made without the model.

    It has of a `Sampler` what evaluators ask for.

    Args:
      sampler: of the model's output.
      make: {field: [n, ...]}, decoded examples -> the output's only field [n, ...].
    """

    label_inputs = ()

    def __init__(self, sampler: Sampler, field: str, make: Make):
        self._sampler, self._field, self._make = sampler, field, make
        self.fields = {field: sampler.fields[field]}
        self.depends_on, self.n_examples = sampler.depends_on, sampler.n_examples
        self.finishes = sampler.finishes

    def batches(
        self,
        state: Any,
        n: int,
        *,
        size: int,
        rows: np.ndarray | None = None,
        whole: bool = False,
        **_options: Any,
    ) -> Iterator[Arrays]:
        """Yields n of them, {field: numpy [b, ...]}; see `Sampler.batches`."""
        for start in range(0, n, size):
            examples = self._sampler.examples(min(size, n - start), start, rows, whole)
            given = self._sampler.given(examples)
            made = {self._field: np.asarray(self._make(given), np.float32)}
            yield self._sampler.finished(given, made)


class Baselines:
    """The outputs of a model that one kind of baseline can replace.

    Args:
      samplers: the model's.
      source: the training set.
      of: one of KINDS' functions.
    """

    def __init__(self, samplers: Samplers, source: Any, of: Callable[..., Make]):
        self._samplers, self._source, self._of = samplers, source, of
        self.conditions, self.test = samplers.conditions, samplers.test

    @functools.cache  # noqa: B019 -- it lives as long as its few outputs
    def __call__(self, output: str = "sample") -> Baseline:
        """Returns a baseline; ValueError for an output that it cannot replace."""
        sampler = self._samplers(output)
        made = [x for x in sampler.fields if x in self._source.spec]
        given = sampler.depends_on
        if len(made) != 1 or not given or made[0] in given:
            raise ValueError(f"output {output!r} is no field of examples of another")
        for name in (*made, *given):
            if self._source.spec[name].kind != "image":
                raise ValueError(f"output {output!r}: {name} is not an image")
        return Baseline(sampler, made[0], self._of(self._source, given, made[0]))


def untranslated(source: Any, given: tuple[str, ...], field: str) -> Make:
    """Returns the input itself: repeated to RGB, or its luma, if channels differ."""
    shape = source.spec[field].shape
    _check_size(source, given, field)
    if len(given) != 1:
        raise ValueError(f"{field} is made of {', '.join(given)}")

    def make(examples):
        x = opaque(examples[given[0]])
        if x.shape[-1] == shape[-1]:
            return x
        if shape[-1] == 1:
            return x @ (LUMA[:, None] / 2**16)
        return np.repeat(x[..., :1], shape[-1], axis=-1)

    return make


def enlarged(source: Any, given: tuple[str, ...], field: str) -> Make:
    """Returns the input, as large as the output, by MATLAB's bicubic, rounded.

    Raises ValueError unless outputs are whole times larger, with the same channels.
    """
    *small, channels = source.spec[given[0]].shape
    *large, out = source.spec[field].shape
    scale = large[0] // small[0]
    if len(given) != 1 or scale < 2 or large != [scale * n for n in small]:
        raise ValueError(f"{field} is not whole times larger than {', '.join(given)}")
    if channels != out:
        raise ValueError(f"{field} has other channels than {', '.join(given)}")

    def make(examples):
        x = kinds.of(source.spec[given[0]]).encode(examples[given[0]])
        made = np.stack([bicubic.resize(np.asarray(one), scale) for one in x])
        return np.asarray(kinds.of(source.spec[field]).decode(made))

    return make


def mean_picture(source: Any, given: tuple[str, ...], field: str) -> Make:
    """Returns the mean of the training images, whatever the input."""

    _check_size(source, given, field)

    @functools.cache
    def mean():
        rows = _rows(source.length_of(field))
        total = sum(x.sum(0, dtype=np.float64) for x in _decoded(source, field, rows))
        return total / len(rows)

    def make(examples):
        n = len(next(iter(examples.values())))
        return np.broadcast_to(mean(), (n, *mean().shape))

    return make


def nearest(source: Any, given: tuple[str, ...], field: str) -> Make:
    """Returns the training image whose input is the nearest, at 32x32 pixels.

    Raises ValueError if inputs and outputs do not correspond.
    """
    if not any({field, *given} <= {*group} for group in source.groups):
        raise ValueError(f"{', '.join(given)} and {field} are not in pairs")

    _check_size(source, given, field)

    @functools.cache
    def known():
        rows = _rows(source.length_of(field))
        parts = [
            np.concatenate([_small(x) for x in _decoded(source, name, rows)])
            for name in given
        ]
        return rows, np.concatenate(parts, axis=1)

    def make(examples):
        rows, inputs = known()
        x = np.concatenate([_small(examples[name]) for name in given], axis=1)
        # |x|^2 is the same for all of them.
        far = (inputs**2).sum(1) - 2 * x @ inputs.T
        return np.concatenate([*_decoded(source, field, rows[far.argmin(1)])])

    return make


KINDS = {
    "nearest training neighbour, by the input": nearest,
    "mean training picture": mean_picture,
    "input, as it is": untranslated,
    "input, enlarged by bicubic": enlarged,
}


def _check_size(source, given, field):
    """Raises ValueError if inputs are not as large as what is made of them."""
    shape = source.spec[field].shape
    if any(source.spec[name].shape[:2] != shape[:2] for name in given):
        raise ValueError(f"{field} is not of the size of {', '.join(given)}")


def _rows(length):
    """All rows of the training set, or N_TRAINING of them."""
    return np.sort(np.random.default_rng(0).permutation(length)[:N_TRAINING])


def _decoded(source, field, rows):
    """Yields the images of rows, [b, H, W, C] in [-1, 1]."""
    decode = kinds.of(source.spec[field]).decode
    for start in range(0, len(rows), BATCH):
        chosen = rows[start : start + BATCH]
        taken = source.take(*(chosen % n for n in source.lengths))[field]
        yield np.asarray(decode(taken))


@functools.partial(jax.jit, static_argnums=1)
def _resized(x, side):
    shape = (x.shape[0], min(side, x.shape[1]), min(side, x.shape[2]), x.shape[3])
    return jax.image.resize(x, shape, "linear").reshape(len(x), -1)


def _small(x):
    """Images [b, H, W, C] at SIDE pixels, flat: [b, D]."""
    return np.asarray(_resized(x, SIDE), np.float64)
