"""A workdir opened to be trained in: all is checked before anything is written."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import jax
from ml_collections import ConfigDict

from experiments import config as configs
from experiments.files import replacing
from experiments.rundir import manifest
from experiments.rundir.checkpoint import Checkpoints
from experiments.rundir.lock import of_process
from experiments.training import init_from as weights
from experiments.training import longer
from experiments.training.floats import Place
from experiments.training.stage import Stages


@dataclasses.dataclass
class Opened:
    """A run that can be trained, in a workdir that this process has locked.

    Attributes:
      config: resolved.
      source: the training set.
      folder: of this process: the workdir, or one in it.
      checkpoints: of the run.
      stages: of the run.
      given: the weights that it starts from, until it has them; or None.
      before: run.json as it was found; {} if there was none.
    """

    config: ConfigDict
    source: Any
    folder: Path
    checkpoints: Checkpoints
    stages: Stages
    given: weights.Given | None
    before: dict[str, Any]


@contextlib.contextmanager
def opened(
    config: ConfigDict,
    workdir: str | Path,
    *,
    allow_config_change: bool = False,
    init_from: str | None = None,
    inputs: Iterable[Place] = (),
) -> Iterator[Opened]:
    """Yields an `Opened` workdir, which is locked while the block runs.

    The arguments are those of `experiments.training.loop.train`. Values are checked
    before they are compared with those that the run has had, so that a wrong one is
    called wrong, not different.

    Raises ConfigError for what cannot be run, WorkdirError for where.
    """
    checkpoints = Checkpoints(workdir, config.keep_checkpoints)
    folder, lock = of_process(Path(workdir), jax.process_index(), config.data)
    with contextlib.ExitStack() as held:
        try:
            done = checkpoints.latest()
            if done is not None:
                config = _as_begun(config, folder / "config.json")
            source = configs.load_data(config)
            config = configs.resolve(config, source)
            stages = Stages(config, source, folder, inputs)
            held.callback(stages.close)
            stage = stages.get(stages.after(done or 0))
            if done is not None and not allow_config_change:
                longer.compare(folder / "config.json", config, done)
            given = None
            if init_from and done is not None:
                weights.check_resumed(init_from, folder)
            elif init_from:
                given = weights.Given(init_from, stage.programs.template)
            before = manifest.read(Path(workdir))
            held.enter_context(lock)
            folder.mkdir(parents=True, exist_ok=True)
            with replacing(folder / "config.json") as path:
                Path(path).write_text(configs.to_json(config))
        except (ValueError, RuntimeError, OSError) as error:
            raise configs.ConfigError(str(error)) from error
        yield Opened(config, source, folder, checkpoints, stages, given, before)


def _as_begun(config, path):
    """The config with the channels that the run has, if they are left to the data.

    Presets once had channels for other data than their own, too.
    """
    if config.channels is not None or not path.is_file():
        return config
    kept = configs.from_json(path.read_text())
    return configs.override(config, {"channels": kept.channels})
