"""The models of a service: opened from their runs, replaced by newer checkpoints."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experiments.rundir.checkpoint import Checkpoints
from experiments.sampling.model import Model
from experiments.service import drift
from experiments.service.asked import Limits
from experiments.service.outputs import Output, formats, outputs_of


@dataclasses.dataclass(frozen=True, eq=False)
class Served:
    """A model that is served: one checkpoint of one run.

    Attributes:
      name: in URLs.
      workdir: of its run.
      model: what `experiments.load` returns.
      step: of the checkpoint.
      outputs: what it does, compiled.
      scored: whether its run has statistics, by which samples can be scored.
      origins: {output: what its pictures say of their origin}.
    """

    name: str
    workdir: Path
    model: Model
    step: int
    outputs: dict[str, Output]
    scored: bool
    origins: dict[str, dict[str, str]]

    def described(self) -> dict[str, Any]:
        """Returns what a client should know of it, as JSON."""
        return {
            "name": self.name,
            "variant": str(self.model.config.variant),
            "data": str(self.model.config.data),
            "step": self.step,
            "outputs": {
                name: output.schema() | {"formats": list(formats(output))}
                for name, output in self.outputs.items()
            },
        }


def named(workdirs: Sequence[str | os.PathLike]) -> dict[str, Path]:
    """Returns {name: folder}: the last parts of paths name the models.

    Raises ValueError if two have the same name.
    """
    found: dict[str, Path] = {}
    for workdir in workdirs:
        name = Path(workdir).resolve().name
        if name in found:
            raise ValueError(
                f"--workdir={workdir}: another model is called {name!r}, too; a link "
                "with another name can stand for one of them"
            )
        found[name] = Path(workdir)
    return found


def opened(
    name: str,
    workdir: Path,
    checkpoint: str | int,
    sizes: Sequence[int],
    limits: Limits,
    before: Served | None = None,
) -> Served:
    """Opens a run, and compiles its outputs for batches of some sizes.

    before: the same model at another checkpoint. Its programs are used again, unless
    the run is in another stage now.

    Raises what `experiments.load` raises.
    """
    model = Model.load(workdir, checkpoint)
    same = before is not None and before.model.config == model.config
    outputs = outputs_of(model, sizes, limits, before.outputs if same else None)
    origins = {output: model.origin(output) | {"run": name} for output in outputs}
    step, scored = int(model.state.step), drift.scored(workdir)
    return Served(name, workdir, model, step, outputs, scored, origins)


def newer(served: Served) -> bool:
    """Whether the run of a model has a checkpoint of a later step."""
    latest = Checkpoints(served.workdir, keep=None).latest()
    return latest is not None and latest > served.step
