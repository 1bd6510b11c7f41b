"""The stages of a run, each made ready in the background before it begins."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from experiments import config as configs
from experiments.evaluation import reports
from experiments.rundir.log import examples_until
from experiments.sampling import pictures
from experiments.sampling.samplers import Samplers
from experiments.training import floats
from experiments.training.floats import Place
from experiments.training.programs import Programs
from gans import core, stages
from gans.data import pipeline

_LATENTS = 2**31  # folded into the seed's key; the streams are 0, 1, ...


class Ready:
    """A stage that can be trained.

    Attributes:
      index: of the stage, from 0.
      first, last: the steps after which it begins and ends.
      first_row: how many examples come before it.
      batch_size: real examples in each step.
      reset_optimisers: whether it begins with new optimiser states.
      config: the run's, with the stage's resolution and batch size.
      source: its data.
      gan: what is trained.
      samplers: of the outputs; they have the test set, which is read once.
      evaluate: see `experiments.evaluation.reports.make_evaluate`. If its images have
        too few pixels for that, and those of the last stage have enough
        (`scores_of_last` raises ValueError otherwise), it only says so.
      drawing: what is drawn of it again and again.
      programs: what it compiles.
    """

    def __init__(
        self,
        config: ConfigDict,
        index: int,
        source: Any,
        gan: core.GAN,
        folder: Path | None = None,
        inputs: Iterable[Place] = (),
        scores_of_last: Callable[[], object] | None = None,
    ):
        every = configs.stages(config)
        stage, self.index = every[index], index
        self.first = stages.first_step(every, index)
        self.last = stages.first_step(every, index + 1)
        self.first_row = stages.first_row(every, index)
        self.batch_size = stage.batch_size
        self.reset_optimisers = stage.reset_optimisers
        self.config = configs.of_stage(config, index)
        self.source, self.gan = source, gan
        configs.check_pairs(config, gan, source)
        self.samplers = Samplers(gan, self.config, source.spec, lambda: source)
        try:
            self.evaluate = reports.make_evaluate(
                gan,
                self.config,
                source,
                baseline=True,
                equal_n=False,
                folder=folder,
                samplers=self.samplers,
            )
        except ValueError as error:
            if scores_of_last is None:
                raise
            scores_of_last()  # what is wrong there too is said now, not at the end
            self.evaluate = reports.failing(config.metrics, str(error))
        self.drawing = self.samplers.drawing(
            key=jax.random.fold_in(jax.random.key(config.seed), _LATENTS),
            n=pictures.count(source.spec),
        )
        batches = self.batches(stream=0)
        self.programs = Programs(
            gan,
            seed=config.seed,
            batch=batches[self.first],
            prepare=batches.prepare,
            per_call=config.steps_per_call,
            draw=self.drawing,
            **self._inputs(config, inputs),
        )

    def _inputs(self, config, places):
        """What `Programs` needs so that these numbers of the config are its inputs."""
        known = floats.leaves(config)
        places = [place for place in places if isinstance(known.get(place), float)]
        places = floats.traceable(config, places, self.index)
        if not places:
            return {}
        build = floats.build(config, places, self.index)
        return {
            "build": build,
            "values": {floats.spell(place): known[place] for place in places},
        }

    def batches(self, stream: int) -> pipeline.Batches:
        """Returns its batches by step; each stream of random numbers has another order.

        It continues the epoch in which the previous stage ended.
        """
        seed = self.config.seed
        if stream:
            seed = int(np.random.SeedSequence((seed, stream)).generate_state(1)[0])
        return pipeline.batches(
            self.source,
            self.batch_size,
            seed=seed,
            flip=self.config.flip,
            weights=self.config.data_weights or None,
            shard=(jax.process_index(), jax.process_count()),
            first_row=self.first_row,
            first_step=self.first,
        )


class Stages:
    """All stages of a run, made ready one after the other.

    While one is trained, the next is made ready by a thread in the background: its data
    are loaded and its programs compiled.

    Args:
      config: resolved.
      source: the data of `config`.
      folder: of the pictures that evaluations make; None: there are none.
      inputs: places of floats in the config that its programs take as inputs, if they
        can (see `experiments.training.floats`).

    Raises ValueError for stages, or a config, that cannot be run.
    """

    def __init__(
        self,
        config: ConfigDict,
        source: Any,
        folder: Path | None = None,
        inputs: Iterable[Place] = (),
    ):
        self._config, self._source, self._folder = config, source, folder
        self._inputs = tuple(inputs)
        self._stages = configs.stages(config)
        self._check()
        # Errors of any stage are raised before the first one begins.
        self._gans = [configs.build(config, i) for i in range(len(self))]
        self._pool = ThreadPoolExecutor(1)
        self._others = 0  # examples that these stages do not account for
        self._ready: dict[int, Ready] = {}
        self._calls: dict[int, Future] = {}  # (call, seconds of compilation)
        self._next: tuple[int, Future] | None = None  # made in the background

    def __len__(self) -> int:
        return len(self._stages)

    @property
    def n_steps(self) -> int:
        """Of all stages together."""
        return stages.first_step(self._stages, len(self))

    @property
    def updates(self) -> dict[str, tuple[str, ...]]:
        """The networks that each update of any stage trains."""
        return {u.name: u.trains for gan in self._gans for u in gan.updates}

    def examples(self, step: int) -> int:
        """Returns how many real examples the run has taken after `step` steps."""
        return self._others + stages.examples(self._stages, step)

    def count(self, step: int, examples: int | None, log: Path) -> None:
        """Says how many there were until then, by other batches perhaps.

        What None is given for, as older checkpoints do not say it, the log has.
        """
        examples = examples or examples_until(log, step)
        own = stages.examples(self._stages, step)
        self._others = 0 if examples is None else examples - own

    def after(self, step: int) -> int:
        """Returns the stage that trains on after `step` steps; at the end, the last."""
        return stages.index_of(self._stages, step + 1)

    def of(self, step: int) -> int:
        """Returns the stage that has made the state after `step` steps."""
        return stages.index_of(self._stages, step)

    def template(self, step: int) -> core.State:
        """Returns what `Checkpoints.restore` needs for the checkpoint of `step`."""
        index = self.of(step)
        if index == self.after(step):
            template = self.get(index).programs.template
        else:  # of a stage that has ended, no program is needed any more
            init = functools.partial(core.init, self._gans[index])
            template = jax.eval_shape(init, jax.random.key(0))
        return template.replace(frozen=core.frozen_variables(self._gans[index]))

    def get(self, index: int) -> Ready:
        """Returns a stage; waits for it if it is being made ready."""
        if index not in self._ready:
            if self._next is not None and self._next[0] == index:
                self._ready[index] = self._next[1].result()
                self._next = None
            else:
                self._ready[index] = self._make(index)
        for other in [i for i in self._ready if i < index]:
            del self._ready[other]
            self._calls.pop(other, None)
        return self._ready[index]

    def start(self, index: int) -> Future:
        """Starts to compile a stage's call, and then to make the next stage ready.

        Returns the future (call, seconds of compilation) of `Programs.compile`.
        """
        programs = self.get(index).programs
        if index not in self._calls:
            self._calls[index] = programs.start_compiling(self._pool)
        following = index + 1
        if following < len(self) and following not in self._ready:
            if self._next is None:
                future = self._pool.submit(self._make_whole, following)
                self._next = following, future
        return self._calls[index]

    def coming(self) -> Future | None:
        """Returns the future of the stage that is made in the background, if any."""
        return self._next and self._next[1]

    def check(self) -> None:
        """Raises the error of the work in the background, if it has failed."""
        if self._next is not None and self._next[1].done():
            self._next[1].result()

    def close(self) -> None:
        """Starts nothing more in the background; what has begun there continues."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _check(self):
        n_devices, per_call = jax.device_count(), self._config.steps_per_call
        for index, stage in enumerate(self._stages):
            end = stages.first_step(self._stages, index + 1)
            size, last = f"batch_size={stage.batch_size}", f"step {end}, its last,"
            if len(self) > 1:
                size, last = (f"stage {index + 1}: {x}" for x in (size, last))
            else:
                size, last = f"config.{size}", f"config.steps={end}"
            if stage.batch_size % n_devices:
                raise ValueError(
                    f"{size} cannot be split evenly among {n_devices} devices"
                )
            if end % per_call:
                raise ValueError(
                    f"{last} must be a multiple of config.steps_per_call={per_call}"
                )

    def _make(self, index):
        try:
            return Ready(
                self._config,
                index,
                self._source_of(index),
                self._gans[index],
                self._folder,
                self._inputs,
                self._scores_of_last if index < len(self) - 1 else None,
            )
        except (ValueError, RuntimeError, OSError) as error:
            if len(self) == 1:
                raise
            raise configs.ConfigError(f"stage {index + 1}: {error}") from error

    def _source_of(self, index):
        """The data of a stage, at its resolution."""
        spec, source = self._stages[index].spec, self._source
        if _form(spec) != _form(source.spec):
            source = configs.load_data(self._config, configs.resolution(spec))
        if _form(spec) != _form(source.spec):
            raise ValueError(
                f"config.data={self._config.data!r} holds {_form(source.spec)} "
                f"where {_form(spec)} is wanted"
            )
        return source

    def _scores_of_last(self):
        """Raises ValueError if the last stage cannot be scored as the config says."""
        last = len(self) - 1
        config = configs.of_stage(self._config, last)
        reports.make_evaluate(self._gans[last], config, self._source_of(last))

    def _make_whole(self, index):
        """Makes a stage ready and compiles all that it needs."""
        ready = self._make(index)
        done = Future()
        done.set_result(ready.programs.compile())
        ready.programs.compile_others()
        self._calls[index] = done
        return ready


def _form(spec):
    """{field: (kind, shape, dtype)}; classes are for the config to say."""
    return {name: (f.kind, f.shape, f.dtype) for name, f in spec.items()}
