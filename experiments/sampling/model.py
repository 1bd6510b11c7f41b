"""A trained model, ready to be used: what `experiments.load` returns."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from tqdm import tqdm

from experiments import config as configs
from experiments.rundir import restore
from experiments.sampling.classes import counts, in_shares
from experiments.sampling.sampler import Arrays, Sampler, Samplers
from gans import core
from gans.data import kinds
from gans.data.spec import Field, Spec

N_EXAMPLES = 2560  # of the data, of which a conditional model is recalibrated


@dataclasses.dataclass(frozen=True, eq=False)
class Model:
    """A model and its state.

    Attributes:
      config: of its run, or of the stage of the run that it comes from.
      spec: of the data.
      gan: the `gans.core.GAN`.
      state: of the checkpoint.
    """

    config: Any
    spec: Spec
    gan: core.GAN
    state: core.State

    @classmethod
    def load(
        cls,
        workdir: str | os.PathLike,
        checkpoint: str | int | None = "last",
        *,
        recalibrate: bool = False,
    ) -> Model:
        """Opens a run; see `experiments.load`."""
        config = restore.config_of(workdir)
        step = restore.step_of(workdir, checkpoint)
        config, gan, state = restore.restore(config, workdir, step)
        model = cls(config, restore.spec_of(config), gan, state)
        if not recalibrate:
            return model
        state = restore.recalibrate(gan, state, **model._pool())
        return dataclasses.replace(model, state=state)

    @property
    def outputs(self) -> tuple[str, ...]:
        """What the model can do: names that `sample` takes as `output`."""
        return tuple(self.gan.outputs)

    @property
    def main_output(self) -> str:
        """The output "sample"; without one the first that can be drawn, or any."""
        if "sample" in self.outputs:
            return "sample"
        return [*self.samplers.drawable(), *self.outputs][0]

    @functools.cached_property
    def data(self) -> Any:
        """The training set."""
        return configs.load_data(self.config)

    @functools.cached_property
    def samplers(self) -> Samplers:
        """The samplers of all outputs."""
        return Samplers(self.gan, self.config, self.spec, lambda: self.data)

    def sampler(self, output: str = "sample") -> Sampler:
        """Returns the sampler of an output; ValueError for an unknown one."""
        return self.samplers(output)

    def sample(
        self,
        n: int = 64,
        *,
        seed: int = 0,
        label: int | None = None,
        output: str = "sample",
        batch_size: int = 64,
    ) -> Arrays:
        """Returns n samples of the averaged networks, {field: numpy [n, ...]}.

        Images are float32 in [-1, 1]. Latents depend on `seed` and n, not on
        `batch_size`; what an output draws on its way (dropout, noise) depends on both.

        Args:
          label: the class of all samples; None: as the model chooses, often in turn.
          output: one of `outputs`.

        Raises ValueError for an unknown output, and for a label that does not exist.
        """
        inputs = self.inputs(n, seed=seed, label=label, output=output)
        parts = list(self.batches(inputs, seed=seed, output=output, size=batch_size))
        return {name: np.concatenate([x[name] for x in parts]) for name in parts[0]}

    def inputs(
        self,
        n: int,
        *,
        seed: int = 0,
        label: int | None = None,
        output: str = "sample",
    ) -> Arrays:
        """Returns n inputs of an output, {name: numpy [n, ...]}; see `sample`."""
        if n < 1:
            raise ValueError(f"n={n}: wanted at least 1 sample")
        sampler = self.sampler(output)
        found = sampler.inputs(jax.random.key(seed), n)
        inputs = {name: np.asarray(x) for name, x in found.items()}
        if label is not None:
            name, field = self._label(inputs, label)
            if not 0 <= label < field.n_classes:
                raise ValueError(
                    f"class {label}: {self.config.data} has 0 to {field.n_classes - 1}"
                )
            inputs[name] = np.full_like(inputs[name], label)
        return inputs

    def _label(self, inputs: Mapping[str, Any], label: int) -> tuple[str, Field]:
        """The input that is a class, and its field."""
        for name, field in self.spec.items():
            if field.kind == "label" and name in inputs:
                return name, field
        raise ValueError(f"class {label}: {self.config.variant} has no classes")

    def batches(
        self,
        inputs: Arrays,
        *,
        seed: int = 0,
        output: str = "sample",
        size: int = 64,
    ) -> Iterator[Arrays]:
        """Yields an output of given inputs, {field: numpy [b, ...]}.

        One program makes all batches, the smaller last one too.
        """
        sampler, n = self.sampler(output), core.length(inputs)
        size = min(size, n)
        key = jax.random.fold_in(jax.random.key(seed), 1)
        # disable=None: at a terminal only
        with tqdm(total=n, unit=" samples", disable=None) as bar:
            for start in range(0, n, size):
                rows = np.minimum(np.arange(start, start + size), n - 1)
                made = sampler(
                    self.state,
                    {name: x[rows] for name, x in inputs.items()},
                    jax.random.fold_in(key, start),
                )
                keep = min(size, n - start)
                yield {name: np.asarray(x)[:keep] for name, x in made.items()}
                bar.update(keep)

    def _pool(self) -> dict[str, Any]:
        """What `restore.recalibrate` needs to know of the model."""
        first = self.samplers.drawable()
        options = {"output": first[0]} if first else {}
        labels = self.sampler(*first[:1]).label_inputs
        if labels:
            weights = {name: counts(self.data, name) for name in labels}
            options["classes"] = lambda n: {
                name: in_shares(x, n) for name, x in weights.items()
            }
        if not self.gan.conditioned_on:
            return options
        stored = Sampler(self.gan, self.spec, self.data, *first[:1]).examples(
            min(N_EXAMPLES, len(self.data))
        )
        pool = {
            name: kinds.of(self.spec[name]).decode(jnp.asarray(x))
            for name, x in stored.items()
        }

        def examples(i, n):
            rows = (i * n + jnp.arange(n)) % core.length(pool)
            return {name: x[rows] for name, x in pool.items()}

        return {**options, "examples": examples}
