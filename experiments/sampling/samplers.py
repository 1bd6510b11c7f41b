"""All outputs of a model together: their samplers, and what a run draws of them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np
from jax import Array

from experiments.rundir import restore
from experiments.sampling.sampler import Arrays, Sampler
from gans import core, data, names
from gans.data.spec import Spec

N_ROWS = 12  # examples in the pictures of a run


class Drawing:
    """What a run draws again and again: every output that has a picture.

    Calling it with a state is pure, and returns {output: {field: [n, ...]}}. Latents
    are always the same, and so are the examples that outputs are made of: N_ROWS at
    most, chosen at random once.

    Args:
      samplers: of the outputs, by name.
      key: of latents and of what outputs draw.
      n: samples of each output.
    """

    def __init__(self, samplers: Mapping[str, Sampler], *, key: Array, n: int):
        self._samplers = samplers
        self._key, self._rows, self._examples = key, {}, {}
        for name, sampler in self._samplers.items():
            rows = np.arange(n)
            if sampler.n_examples is not None:
                rows = np.random.default_rng(0).permutation(sampler.n_examples)
                rows = np.sort(rows[: min(n, N_ROWS)])
            self._rows[name] = rows
            self._examples[name] = sampler.examples(len(rows), rows=rows)

    def __call__(self, state: core.State) -> dict[str, dict[str, Array]]:
        made = {}
        for i, (name, sampler) in enumerate(self._samplers.items()):
            n, examples = len(self._rows[name]), self._examples[name]
            inputs = sampler.traced_inputs(self._key, n, examples)
            key = jax.random.fold_in(self._key, i)
            made[name] = sampler.traced_outputs(state, inputs, key)
        return made

    @functools.cached_property
    def given(self) -> dict[str, Arrays]:
        """{output: {field: [n, ...]}}: the examples that it is made of, decoded."""
        return {x: s.given(self._examples[x]) for x, s in self._samplers.items()}

    @functools.cached_property
    def targets(self) -> dict[str, Arrays]:
        """{output: {field: [n, ...]}}: what it should be, see `Sampler.targets`."""
        return {
            x: s.targets(len(self._rows[x]), self._rows[x])
            for x, s in self._samplers.items()
        }


def drawable(gan: core.GAN, spec: Spec, source: Any = None) -> list[str]:
    """Returns the outputs with a field of the data that is not a label: "sample" first.

    An only output is taken to have one, as tracing the model to see takes a while.
    """
    if len(gan.outputs) == 1:
        return list(gan.outputs)
    found = []
    for name in sorted(gan.outputs, key=lambda name: name != "sample"):
        fields = Sampler(gan, spec, source, name).fields
        if any(x in spec and spec[x].kind != "label" for x in fields):
            found.append(name)
    return found


class Samplers:
    """The samplers of a model's outputs, each made when it is first asked for.

    Args:
      gan: the model.
      config: of its run.
      spec: of the data.
      load: () -> the training set. It is called only for a model that is given
        examples, if the data have no test set.
    """

    def __init__(self, gan: core.GAN, config: Any, spec: Spec, load: Callable[[], Any]):
        self.gan, self.spec = gan, spec
        self._config, self._load = config, load
        self._made: dict[str, Sampler] = {}  # they keep their compiled programs

    @functools.cached_property
    def test(self) -> Any:
        """The test set, or None without one."""
        return restore.load_test(self._config, self.spec)

    @functools.cached_property
    def conditions(self) -> Any:
        """The source of the examples that the model is given: test images if any.

        None for a model that is given none: nothing is loaded.
        """
        if not self.gan.conditioned_on:
            return None
        return self._load() if self.test is None else self.test

    def __call__(self, output: str = "sample") -> Sampler:
        """Returns the sampler of an output; ValueError for an unknown one."""
        names.check(output, self.gan.outputs, "output")
        if output not in self._made:
            made_of = self.gan.conditioned_on
            finish = data.finished(self._config.data) if made_of else None
            self._made[output] = Sampler(
                self.gan, self.spec, lambda: self.conditions, output, finish
            )
        return self._made[output]

    def drawable(self) -> list[str]:
        """Returns the outputs that have a picture; see `drawable`."""
        return drawable(self.gan, self.spec, lambda: self.conditions)

    def drawing(self, *, key: Array, n: int) -> Drawing:
        """Returns the `Drawing` of these outputs."""
        return Drawing({x: self(x) for x in self.drawable()}, key=key, n=n)
