"""The weights of a run as one file of safetensors."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from experiments import config as configs
from experiments.exchange import arrays, files
from experiments.exchange.importing import AVERAGE
from experiments.exchange.recognition import exporter, options_of
from experiments.files import replacing
from experiments.rundir import restore


def weights(
    workdir: str | os.PathLike,
    out: str | os.PathLike,
    checkpoint: str | int | None = "last",
) -> list[str]:
    """Writes the weights of a checkpoint of a run, and of their averages.

    A network that others know (whose file has `to_torch`) has the names of their state
    dict after its own: G/..., G_ema/..., D/.... The arrays of others have the names
    that they have in checkpoints: params/g/..., stats/g/..., ema/g/.... The metadata
    have the config, as JSON, and the step.

    Returns what was written, in lines. Raises ValueError for a name that does not end
    in .safetensors, FileExistsError if there is another kind of file by that name.
    """
    if Path(out).suffix != ".safetensors":
        raise ValueError(f"--out={out}: the name must end in .safetensors")
    config = restore.config_of(workdir)
    step = restore.step_of(workdir, checkpoint)
    _, gan, state = restore.restore(config, workdir, step)
    found, said = {}, []
    for name in state.params:
        module = gan.nets[name].module
        own = {"params": state.params[name], **state.stats[name]}
        average = state.ema.get(name)
        if average is not None:
            average = {"params": average["params"], **average["stats"]}
        file = exporter(module)
        if file is None:
            made = arrays.of_network(name, own)
            made |= arrays.of_average(name, average) if average is not None else {}
            named = f"params/{name}/..."
        else:
            named = f"{name.upper()}/..."
            versions = {name.upper(): own, f"{name.upper()}{AVERAGE}": average}
            made = {
                f"{prefix}/{x}": y
                for prefix, variables in versions.items()
                if variables is not None
                for x, y in file.to_torch(options_of(module), variables).items()
            }
        found |= made
        said.append(f"{name}: {len(made)} arrays, {named}")
    found = {name: np.asarray(x, order="C") for name, x in found.items()}
    metadata = {
        files.CONFIG: configs.to_json(config),
        files.STEP: str(int(state.step)),
    }
    with replacing(out) as path:
        save_file(found, path, metadata)
    return said
