"""A trained model, ready to be used: what `experiments.load` returns."""

from __future__ import annotations

import dataclasses
import functools
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from tqdm import tqdm

from experiments import config as configs
from experiments import origin, own_code
from experiments.rundir import manifest, restore
from experiments.sampling import recalibration, rows, schema, texts
from experiments.sampling.program import Program
from experiments.sampling.rows import Given, Rows
from experiments.sampling.sampler import Arrays, Sampler
from experiments.sampling.samplers import Samplers
from experiments.translation.translator import SQUASH, TRAINING, Translator, key_of
from gans import core
from gans.data import spec as specs
from gans.data.kinds.image import encode
from gans.data.spec import Field, Spec

Label = int | str  # a class, by its number or name


@dataclasses.dataclass(frozen=True, eq=False)
class Model:
    """A model and its state.

    Attributes:
      config: of its run, or of the stage of the run that it comes from.
      spec: of the data.
      gan: the `gans.core.GAN`.
      state: of the checkpoint.
      run: what its run.json says; {} if there is none.
      name: of the folder of the run.
    """

    config: Any
    spec: Spec
    gan: core.GAN
    state: core.State
    run: dict[str, Any] = dataclasses.field(default_factory=dict)
    name: str = ""

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
        run = manifest.read(Path(workdir))
        if changed := own_code.changed(run.get("code"), own_code.code(config)):
            text = f"{own_code.listed(changed)} changed since the training"
            print(f"warning: {text}", file=sys.stderr)
        with own_code.explained(config):
            config, gan, state = restore.restore(config, workdir, step)
        model = cls(
            config,
            restore.spec_of(config),
            gan,
            state,
            run,
            Path(workdir).resolve().name,
        )
        if not recalibrate:
            return model
        if not any(jax.tree.leaves(kept["stats"]) for kept in state.ema.values()):
            raise ValueError(
                f"recalibrate: {config.variant} has no batch statistics to recompute"
            )
        state = restore.recalibrate(gan, state, **recalibration.pool(model))
        return dataclasses.replace(model, state=state)

    def on(self, data: str) -> Model:
        """Returns the model with other data, named as in `config.data`."""
        config = self.config.copy_and_resolve_references()
        with config.unlocked():
            config.data = data
        return dataclasses.replace(self, config=config)

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

    def origin(self, output: str = "sample") -> dict[str, str]:
        """Returns what pictures of an output say of their origin; see `noted`."""
        made_of = self.sampler(output).depends_on
        return {
            **origin.of_run(self.config, self.name, int(self.state.step)),
            "output": output,
            "source": origin.EDITED if made_of else origin.MADE,
        }

    @property
    def data_options(self) -> dict[str, str]:
        """How pictures are read: {"fit": "squash"} of "pairs:x:fit=squash"."""
        parts = self.config.data.split(":")
        return dict(part.split("=", 1) for part in parts if "=" in part)

    @functools.cached_property
    def samplers(self) -> Samplers:
        """The samplers of all outputs."""
        return Samplers(self.gan, self.config, self.spec, lambda: self.data)

    def sampler(self, output: str = "sample") -> Sampler:
        """Returns the sampler of an output; ValueError for an unknown one."""
        return self.samplers(output)

    def schema(self, output: str = "sample") -> dict[str, Any]:
        """Returns what an output takes and makes, as JSON; see `schema.of`."""
        return schema.of(self.sampler(output))

    def program(self, output: str = "sample", size: int = 64) -> Program:
        """Returns an output, compiled for batches of one size. It is made only once."""
        if (output, size) not in self._programs:
            made = Program(self.sampler(output), self.state, size)
            self._programs[output, size] = made
        return self._programs[output, size]

    @functools.cached_property
    def _programs(self) -> dict[Any, Program]:
        return {}

    def sample(
        self,
        n: int | None = None,
        *,
        indices: Sequence[int] | None = None,
        seed: int | Sequence[int] = 0,
        label: Label | Sequence[Label] | None = None,
        text: str | Sequence[str] | None = None,
        truncation: float | None = None,
        output: str = "sample",
        given: Given | None = None,
        batch_size: int | None = None,
    ) -> Arrays:
        """Returns samples of the averaged networks, {field: numpy [n, ...]}.

        Images are float32 in [-1, 1]. Sample i is a function of `seed` and i (and of
        the class, the truncation and the example that are asked for), of the samples
        beside it not. Programs for different batch sizes round differently, by less
        than 1e-5 mostly: one level of grey here and there.

        Args:
          n: the samples 0 to n - 1; by default 64, or as many as examples are given.
          indices: the numbers of others, each from 0 to 2^32 - 1.
          seed: of all that is drawn; several: the samples of each, one after the other.
          label: the class of all samples, by its name or number; several: in turn.
            None: as the model chooses, often all in turn.
          text: what all samples should show, of a model that is given sentences;
            several: in turn.
          truncation: psi of the truncation trick (arXiv 1812.04948, appendix B), of
            models with a mapping network: w becomes w_avg + psi (w - w_avg). 0 is the
            mean image, 1 (None) the model as it was trained; 0.7 is usual.
          output: one of `outputs`.
          given: of an output made of examples, such as a translation of images: these,
            [n, ...] of the training's size, or {field: [n, ...]} of several fields;
            uint8 images, or floats as they are decoded, in [-1, 1]. None: those of the
            data, sample i of row i.
          batch_size: how many are made at once. The bits are those of
            `program(output, batch_size)`, also of fewer samples; None: 64, or as few as
            there are.

        Raises ValueError for an unknown output, for a label that does not exist, for a
        text with a word that was not learnt, for a truncation of a model without a
        mapping network, and for examples that do not fit.
        """
        asked = {"label": label, "truncation": truncation, "output": output}
        asked |= {"given": given, "indices": indices, "text": text}
        parts = []
        for one in [seed] if isinstance(seed, int | np.integer) else seed:
            inputs = self.inputs(n, seed=one, **asked)
            draws = rows.indices_of(core.length(inputs), indices)
            options = {"output": output, "size": batch_size, "draws": draws}
            parts += self.batches(inputs, seed=one, **options)
        if not parts:
            raise ValueError("seed: wanted at least one")
        return {name: np.concatenate([x[name] for x in parts]) for name in parts[0]}

    def translator(
        self,
        output: str | None = None,
        size: str | int | None = None,
        tile: int | None = None,
        already: bool = False,
    ) -> Translator:
        """Returns what translates pictures; see `translate`. It is made only once."""
        if size is None:
            squashed = self.data_options.get("fit") == "squash"
            size = SQUASH if squashed else TRAINING
        asked = output, size, tile, already
        if asked not in self._translators:
            self._translators[asked] = Translator(
                self.gan,
                self.spec,
                self.state,
                output,
                size=size,
                tile=tile,
                name=self.config.data,
                already=already,
                colourless=self.run.get("colourless", ()),
            )
        return self._translators[asked]

    @functools.cached_property
    def _translators(self) -> dict[Any, Translator]:
        return {}  # they keep their compiled programs

    def translate(
        self,
        images: Iterable[np.ndarray],
        *,
        output: str | None = None,
        seed: int = 0,
        size: str | int | None = None,
        tile: int | None = None,
        already: bool = False,
    ) -> list[np.ndarray]:
        """Returns what the averaged networks make of pictures, each of its own size.

        Picture i depends on the i-th and `seed` alone.

        Args:
          images: each uint8 [H, W, C], or floats in [-1, 1]. Results are of the same
            type, [H, W, C'].
          output: one of `outputs`; None: "sample", or else the first that makes one
            picture of one.
          seed: of what the output draws, such as dropout.
          size: the length of the shorter side at which the network sees a picture:
            "training", "full" or a number of pixels; "squash": all of it becomes a
            square, as in the training; None: whichever the training had. Results are
            as large as what they were made of in any case.
          tile: larger pictures are cut into tiles of so many pixels, which overlap.
          already: where the data are made of pictures, such as drawings: these are such
            drawings, and not to be drawn.

        Raises ValueError for an output that is no translation, and for pictures of
        another number of channels.
        """
        translator, made = self.translator(output, size, tile, already), []
        for i, image in enumerate(images):
            image = np.asarray(image)
            if image.ndim != 3 or image.shape[2] != translator.channels:
                raise ValueError(
                    f"images[{i}] is {image.dtype} {image.shape}; wanted "
                    f"[H, W, {translator.channels}]"
                )
            x = translator(image, key_of(seed, str(i)))
            made.append(encode(x) if image.dtype == np.uint8 else x)
        return made

    def inputs(
        self,
        n: int | None = None,
        *,
        indices: Sequence[int] | None = None,
        seed: int = 0,
        label: Label | Sequence[Label] | None = None,
        text: str | Sequence[str] | None = None,
        truncation: float | None = None,
        output: str = "sample",
        given: Given | None = None,
    ) -> Arrays:
        """Returns the inputs of samples, {name: numpy [n, ...]}; see `sample`."""
        if not -(2**31) <= seed < 2**32:
            raise ValueError(f"seed={seed}: wanted a number from -2^31 to 2^32 - 1")
        of = self._rows(output)
        if text is not None:
            if given is not None:
                raise ValueError("text and given: wanted one of them")
            said = [text] if isinstance(text, str) else text
            numbers = rows.indices_of(n, indices)
            given = texts.given(self.sampler(output), said, numbers)
        examples = None if given is None else of.given(given)
        n_given = None if examples is None else core.length(examples)
        numbers = rows.indices_of(n, indices, n_given)
        inputs = of.inputs(seed, numbers, examples)
        if label is not None:
            several = [label] if isinstance(label, int | np.integer | str) else label
            name, field = self._label(inputs, several)
            classes = np.array([specs.class_of(field, one) for one in several])
            turns = classes[numbers % len(classes)]
            inputs[name] = turns.astype(inputs[name].dtype)
        if truncation is not None:
            inputs["truncation"] = self._truncation(inputs, truncation)
        return inputs

    def keys(self, seed: int, indices: Sequence[int]) -> jax.Array:
        """Returns the keys [n] by which an output draws (dropout, noise) for samples.

        Those of several seeds may be put together into one batch of a `program`.
        """
        return rows.keys(seed, np.asarray(indices))

    def _rows(self, output: str) -> Rows:
        if output not in self._all_rows:
            self._all_rows[output] = Rows(self.sampler(output))
        return self._all_rows[output]

    @functools.cached_property
    def _all_rows(self) -> dict[str, Rows]:
        return {}  # they keep latents

    def _truncation(self, inputs: Arrays, psi: float) -> np.ndarray:
        """The input "truncation" [n] of models with a mapping network."""
        if "truncation" not in inputs:
            raise ValueError(
                f"truncation {psi:g}: {self.config.variant} has no mapping network, "
                "whose latents w could be moved towards their mean"
            )
        if not np.isfinite(psi):
            raise ValueError(f"truncation {psi}: wanted a number, often from 0 to 1")
        return np.full_like(inputs["truncation"], psi)

    def _label(self, inputs: Arrays, asked: Iterable[Label]) -> tuple[str, Field]:
        """The input that is a class, and its field."""
        for name, field in self.spec.items():
            if field.kind == "label" and name in inputs:
                return name, field
        named = ", ".join(map(str, asked))
        raise ValueError(f"class {named}: {self.config.variant} has no classes")

    def batches(
        self,
        inputs: Arrays,
        *,
        seed: int = 0,
        output: str = "sample",
        size: int | None = None,
        draws: np.ndarray | None = None,
    ) -> Iterator[Arrays]:
        """Yields an output of given inputs, {field: numpy [b, ...]}.

        One program makes all batches, the smaller last one too.

        size: of the batches; None: 64, or as few as there are.
        draws: [n], numbers of the inputs: those of one number draw alike (dropout,
          noise). By default each has its own.
        """
        with own_code.explained(self.config):
            yield from self._batches(inputs, seed, output, size, draws)

    def _batches(self, inputs, seed, output, size, draws):
        sampler, n = self.sampler(output), core.length(inputs)
        draws = np.arange(n) if draws is None else draws
        size = min(64, n) if size is None else size
        # disable=None: at a terminal only
        with tqdm(total=n, unit=" samples", disable=None) as bar:
            for start in range(0, n, size):
                taken = np.minimum(np.arange(start, start + size), n - 1)
                made = sampler.each(
                    self.state,
                    {name: x[taken] for name, x in inputs.items()},
                    rows.keys(seed, draws[taken]),
                )
                keep = min(size, n - start)
                yield {name: np.asarray(x)[:keep] for name, x in made.items()}
                bar.update(keep)
