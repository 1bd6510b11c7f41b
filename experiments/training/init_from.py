"""A new run that starts from the weights of another one: `--init-from`.

Taken are parameters, statistics (of batch and of spectral normalisation) and their
averages, wherever name, shape and type agree. All else starts anew: optimisers, whose
moments belong to another loss and other data, the step, the random numbers, and what a
variant keeps beside its networks (`State.aux`).
"""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import jax
import numpy as np

from experiments.rundir import manifest, restore
from gans import core

SHOWN = 10  # arrays in the log

Record = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Match:
    """Which arrays of a state another one can give.

    Attributes:
      taken, wanted: numbers in the parameters that it gives, and in all parameters.
      rest: {"params/g/out/kernel": (shape there, shape here)} of the other parameters
        and statistics; None where an array is absent.
    """

    taken: int
    wanted: int
    rest: dict[str, tuple[tuple[int, ...] | None, tuple[int, ...] | None]]

    def lines(self) -> list[str]:
        """Returns what the log says of it."""
        said = [f"taken: {self.taken:,} of {self.wanted:,} parameters"]
        if self.rest:
            said.append(f"not taken: {len(self.rest)} arrays (shape there, shape here)")
        for name, (there, here) in [*self.rest.items()][:SHOWN]:
            said.append(f"  {name}: {_shape(there)}, {_shape(here)}")
        if len(self.rest) > SHOWN:
            said.append(f"  and {len(self.rest) - SHOWN} more, see run.json")
        return said


class Given:
    """The weights that --init-from=WORKDIR[:CHECKPOINT] names.

    CHECKPOINT is last, best or a step. `template` is a first state of the run, or its
    shapes. `record` says in run.json where they come from.

    Raises ValueError if they cannot be read, or if none of them fits.
    """

    def __init__(self, given: str, template: core.State):
        self.record = record_of(given)
        folder = self.record["workdir"]
        try:
            step = restore.step_of(folder, self.record["checkpoint"])
            _, _, state = restore.restore(restore.config_of(folder), folder, step)
            self._match = match(state, template)
        except (ValueError, OSError) as error:
            raise ValueError(f"--init-from={given}: {error}") from error
        self._state = jax.device_get(state)
        self.record |= {"step": int(state.step), **dataclasses.asdict(self._match)}

    def into(self, gan: core.GAN, new: core.State) -> core.State:
        """Returns the first state `new` with these weights; see `take`."""
        return take(gan, self._state, jax.device_get(new))

    def lines(self) -> list[str]:
        """Returns what the log says."""
        where = f"{self.record['workdir']}, step {self.record['step']}"
        return [f"starts from the weights of {where}", *self._match.lines()]


def record_of(given: str) -> Record:
    """Returns {"workdir": absolute, "checkpoint"} of WORKDIR[:CHECKPOINT]."""
    folder, colon, checkpoint = given.rpartition(":")
    if Path(given).is_dir() or not colon:
        folder, checkpoint = given, "last"
    return {"workdir": str(Path(folder).absolute()), "checkpoint": checkpoint}


def check_resumed(given: str, workdir: Path) -> None:
    """Raises ValueError unless the run in `workdir` has started from the same weights.

    A run that is continued has its own; the same command may be given again.
    """
    before = manifest.read(workdir).get("init_from") or {}
    if any(before.get(key) != value for key, value in record_of(given).items()):
        raise ValueError(
            f"--init-from={given}: {workdir} has checkpoints of its own already; leave "
            "the flag out to continue them, or name a new --workdir"
        )


def match(source: core.State, template: core.State) -> Match:
    """Compares two states, of which `template` may have shapes only.

    Raises ValueError if no parameter agrees.
    """
    there, here = _weights(source), _weights(template)
    agree = {name for name, x in here.items() if _same(there.get(name), x)}
    rest = {
        name: tuple(x[name].shape if name in x else None for x in (there, here))
        for name in sorted({*there, *here} - agree)
    }
    of_params = {n: math.prod(x.shape) for n, x in here.items() if n[:7] == "params/"}
    taken = sum(size for name, size in of_params.items() if name in agree)
    if not taken:
        networks = (", ".join(sorted(x.params)) for x in (source, template))
        raise ValueError(
            "no parameter has the name and the shape of one of this run (networks "
            "there: {}; here: {})".format(*networks)
        )
    return Match(taken, sum(of_params.values()), rest)


def take(gan: core.GAN, source: core.State, new: core.State) -> core.State:
    """Returns the first state `new` of numpy arrays with the weights of `source`.

    An average that `source` does not have begins at the weights that are taken.
    """
    there, averages = _weights(source), _named(source.ema)

    def weight(path, leaf):
        x = there.get(_name(path))
        return x if _same(x, leaf) else leaf

    weights = {"params": new.params, "stats": new.stats}
    weights = jax.tree_util.tree_map_with_path(weight, weights)
    now = _named(weights)

    def average(path, leaf):
        name = _name(path)
        network, part, rest = name.split("/", 2)
        x = averages.get(name)
        # A copy: a donated state must not hold one buffer twice.
        return np.array(x if _same(x, leaf) else now[f"{part}/{network}/{rest}"])

    params = weights["params"]
    return new.replace(
        **weights,
        ema=jax.tree_util.tree_map_with_path(average, new.ema),
        opt={name: gan.nets[name].tx.init(params[name]) for name in new.opt},
        aux={
            name: first(params) if callable(first) else first
            for name, first in gan.aux.items()
        },
    )


def _weights(state):
    return _named({"params": state.params, "stats": state.stats})


def _named(tree):
    """{"params/g/out/kernel": leaf}."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {_name(path): leaf for path, leaf in leaves}


def _name(path):
    return jax.tree_util.keystr(path, simple=True, separator="/")


def _same(x, leaf):
    return x is not None and (x.shape, x.dtype) == (leaf.shape, leaf.dtype)


def _shape(shape):
    return "absent" if shape is None else "x".join(map(str, shape)) or "one number"
