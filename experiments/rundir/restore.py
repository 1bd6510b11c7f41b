"""Opens what a run has left: its config, the steps it kept, its state."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from experiments import config as configs
from experiments.rundir import manifest
from experiments.rundir.checkpoint import Checkpoints
from experiments.rundir.folder import expect
from gans import averaging, core, data, stages
from gans.data import spec as specs


def config_of(folder: str | os.PathLike):
    """Returns the config of a run; raises FileNotFoundError if there is none."""
    expect(folder, "run")
    path = Path(folder) / "config.json"
    if not path.is_file():
        raise FileNotFoundError(f"workdir {folder}: no run there (no config.json)")
    config = configs.from_json(path.read_text())
    configs.check(config)
    return config


def spec_of(config: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the `gans.data.spec.Spec` of a config.

    Raises ValueError for a config that was not resolved with its data.
    """
    given = config.get("spec")
    if not given:
        raise ValueError("the config has no spec: it was not resolved with its data")
    return specs.from_json(given.to_dict() if hasattr(given, "to_dict") else given)


def load_test(config: Any, spec: Mapping[str, Any]) -> Any:
    """Returns the test set that belongs to a config's data, or None without one.

    spec: of the training set, whose image size and channels the test set gets, where
      all of its images have the same.
    """
    images = [field.shape for field in spec.values() if field.kind == "image"]
    sides = {side for shape in images for side in shape[:2]}
    depths = {shape[2] for shape in images}
    resolution = sides.pop() if len(sides) == 1 else None
    channels = depths.pop() if len(depths) == 1 else None
    return data.held_out(
        functools.partial(configs.load_data, config, resolution, channels=channels)
    )


def step_of(folder: str | os.PathLike, checkpoint: str | int | None) -> int | None:
    """Returns the step of "best", "last" (None), or a step; ValueError for the rest."""
    if checkpoint is None or isinstance(checkpoint, int):
        return checkpoint
    if checkpoint == "best":
        best = manifest.read(Path(folder)).get("best")
        if best is None:
            raise ValueError(
                f"checkpoint 'best': no evaluation chose one in {folder}; it has "
                f"checkpoints of steps {_listed(Checkpoints(folder, None).steps())}: "
                "take one of them, or 'last'"
            )
        return best["step"]
    if checkpoint != "last" and not checkpoint.isdigit():
        raise ValueError(f"checkpoint {checkpoint!r}: wanted last, best or a step")
    return None if checkpoint == "last" else int(checkpoint)


def _listed(steps):
    return ", ".join(map(str, sorted(steps))) or "none yet"


def restore(config: Any, folder: str | os.PathLike, step: int | None):
    """Returns (config of its stage, gan, state) of a run's checkpoint.

    Args:
      config: of the whole run, see `config_of`.
      folder: of the run.
      step: of the checkpoint; None: the last one that is good.

    Raises FileNotFoundError if there is none, CheckpointError if it cannot be read.
    """
    every = configs.stages(config)
    build = functools.cache(functools.partial(configs.build, config))

    def template(step):
        gan = build(stages.index_of(every, step))
        state = jax.eval_shape(functools.partial(core.init, gan), jax.random.key(0))
        return state.replace(frozen=core.frozen_variables(gan))

    restored = Checkpoints(folder, keep=None).restore(template, step)
    if restored is None:
        raise FileNotFoundError(f"workdir {folder}: no checkpoint there yet")
    state = jax.device_put(restored[0])
    index = stages.index_of(every, int(state.step))
    return configs.of_stage(config, index), build(index), state


def recalibrate(
    gan: Any,
    state: Any,
    *,
    examples: Callable[[Any, int], dict[str, Any]] | None = None,
    output: str = "sample",
    classes: Callable[[int], dict[str, Any]] | None = None,
):
    """Returns the state with batch statistics recomputed by the averaged networks.

    They are those of 100 passes of 256 samples of `output` (see `gans.averaging`). A
    conditional model needs `examples`: (pass, n) -> n decoded examples {field:
    [n, ...]}, traced. `classes`: n -> {input: [n]}, those that are asked for in all
    passes together; None: as the model chooses.
    """
    layers = [getattr(net.module, "layers", None) for net in gan.nets.values()]
    least = [getattr(found, "n_reference", 0) for found in layers]
    batch = max(256, *least)
    if examples is None:
        examples = lambda i, n: {"": jnp.zeros((n,))}  # noqa: E731
    n = 100
    asked = {
        name: jnp.asarray(x).reshape(n, batch)
        for name, x in (classes(n * batch) if classes else {}).items()
    }
    afresh = functools.partial(
        averaging.recalibrate,
        gan,
        n=n,
        labels=lambda i: {name: x[i] for name, x in asked.items()},
        examples=lambda i: examples(i, batch),
        output=output,
    )
    return jax.jit(afresh)(state, jax.random.key(0))
