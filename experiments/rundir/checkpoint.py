"""Checkpoints of a run: written in the background, and checked before they are used."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np

from experiments.rundir.writer import Writer, find_damage
from gans.core import State

_EXTRA = "extra"  # JSON as uint8, beside the fields of a State
_FROZEN = "frozen"  # in `extra`: the digests of the frozen networks
# Errors of a full disk. Orbax reports the system's text, but not its number.
FULL = {
    "No space left on device": errno.ENOSPC,
    "Disk quota exceeded": errno.EDQUOT,
    "File too large": errno.EFBIG,
}


class CheckpointError(ValueError):
    """No checkpoint can be restored. The message is one line."""


class Checkpoints:
    """The newest `keep` checkpoints of a run (None: all), in WORKDIR/checkpoints/STEP.

    A folder gets its name when it is complete, with the checksums of its files. So a
    run that is killed, at any moment, leaves the earlier ones as they were. If `best`
    is set, that step is kept however old it becomes.

    A checkpoint is damaged if a file is missing or has the wrong content; being unable
    to read it is not damage. Damaged checkpoints are passed over. The next `save`
    renames them to STEP.damaged-1 (or -2, ...); they are never deleted. An object that
    only restores changes nothing on disk.

    Frozen networks (`State.frozen`) are not saved, only their digests. They must stay
    the same for the lifetime of the object.
    """

    def __init__(self, workdir: str | Path, keep: int | None):
        self.folder = Path(workdir).absolute() / "checkpoints"
        self.best: int | None = None
        self._keep = keep
        self._damaged = set()  # steps
        # Frozen networks, and their digests once they are known.
        self._frozen, self._digests = None, {}
        self._saves = False  # an object that only reads must not tidy up
        self._writer = Writer()

    def steps(self) -> list[int]:
        """Returns the steps of all complete checkpoints, in order.

        Those that `restore` has found to be damaged are not counted. Raises OSError if
        the folder cannot be read.
        """
        names = self._names()
        return sorted({int(x) for x in names if x.isdecimal()} - self._damaged)

    def latest(self) -> int | None:
        """Returns the newest step, or None if there is none."""
        return max(self.steps(), default=None)

    def save(self, step: int, state: State, extra: dict[str, Any]) -> None:
        """Copies the state to the host, and starts to write it with `extra`, JSON.

        Returns before it is written. If writing fails, the next call of `save`, `check`
        or `close` raises the error: OSError, naming the folder, if the disk is full.
        """
        if state.frozen is not self._frozen:
            self._frozen, self._digests = state.frozen, digests(state)
        extra = {**extra, _FROZEN: self._digests}
        kept = jax.device_get(state.replace(frozen={}))
        arrays = {name: np.asarray(x) for name, x in _named(kept)}
        arrays[_EXTRA] = np.frombuffer(json.dumps(extra).encode(), np.uint8)
        self._saves = True
        try:
            self._writer.wait()
            self._clean()
            self._writer.start(self.folder / str(step), arrays)
        except Exception as error:
            self._fail(error)

    def restore(
        self, template: State | Callable[[int], State], step: int | None = None
    ) -> tuple[State, dict[str, Any]] | None:
        """Returns (state of numpy arrays, extra) of `step`, by default the newest good.

        `template` is a state of arrays or `jax.ShapeDtypeStruct`, but `template.frozen`
        holds the arrays themselves (`core.frozen_variables`): they are compared with
        those that the run was trained with, and returned as they are. It may also be a
        function of the step that returns such a state.

        Damaged checkpoints are reported on stderr and passed over. Returns None if
        there are no checkpoints at all. Raises CheckpointError if none is good, if
        `step` is not there, if it cannot be read, and if it belongs to another model or
        to other frozen networks. Nothing is changed on disk.
        """
        self.close()
        try:
            steps, damaged = self.steps(), self._all_damaged()
            if step is not None and step not in steps:
                raise CheckpointError(
                    f"{self.folder} has no checkpoint of step {step}; it has {steps}"
                )
            for candidate in reversed(steps) if step is None else [step]:
                restored = self._restore(template, candidate)
                if restored is not None:
                    return restored
        except OSError as error:
            raise CheckpointError(
                f"cannot read {error.filename or self.folder} "
                f"({error.strerror or error}); nothing was changed there"
            ) from error
        if steps or damaged:
            tried = [*steps, *damaged] if step is None else [step]
            raise CheckpointError(
                f"no good checkpoint among [{', '.join(map(str, tried))}] in "
                f"{self.folder}; nothing was changed there. To start again, move that "
                "folder away or choose another workdir"
            )
        return None

    def check(self) -> None:
        """Raises the error of a write that has failed in the background."""
        try:
            self._writer.check()
        except Exception as error:
            self._fail(error)

    def close(self) -> None:
        """Waits until everything is written."""
        try:
            self._writer.wait()
            if self._saves:
                self._clean()
        except Exception as error:
            self._fail(error)

    def _restore(self, template, step):
        """(state, extra); None if the checkpoint is damaged or was just removed."""
        path = self.folder / str(step)
        damage = find_damage(path)
        if damage and path.is_dir():
            print(f"damaged checkpoint {path}: {damage}", file=sys.stderr)
            self._damaged.add(step)
        if damage:
            return None
        try:
            arrays = self._writer.read(path)
        except ValueError as error:  # Orbax has no better name for an error of the disk
            raise CheckpointError(
                f"cannot read {path} ({str(error).splitlines()[0]}); nothing was "
                "changed there"
            ) from error
        if callable(template):
            template = template(step)
        extra = json.loads(arrays.pop(_EXTRA).tobytes())
        found = digests(template)
        _compare(extra.pop(_FROZEN, {}), found, path)
        self._frozen, self._digests = template.frozen, found
        state = _fill(template.replace(frozen={}), arrays, path)
        return state.replace(frozen=template.frozen), extra

    def _names(self):
        try:
            return os.listdir(self.folder)
        except FileNotFoundError:
            return []

    def _all_damaged(self):
        """The damaged checkpoints, renamed already or not."""
        renamed = [name for name in self._names() if ".damaged-" in name]
        return sorted([*map(str, self._damaged), *renamed])

    def _clean(self):
        """Renames damaged checkpoints; removes the oldest and those never completed.

        Only called while no write is under way.
        """
        if jax.process_index() == 0:
            for step in sorted(self._damaged):
                self._set_aside(self.folder / str(step))
            for path in self.folder.glob("*.orbax-checkpoint-tmp*"):
                shutil.rmtree(path, ignore_errors=True)
            for step in self.steps()[: -self._keep] if self._keep else []:
                if step != self.best:
                    shutil.rmtree(self.folder / str(step))
        self._damaged.clear()

    def _set_aside(self, path):
        number = 1
        while (aside := path.with_name(f"{path.name}.damaged-{number}")).exists():
            number += 1
        if path.exists():
            path.rename(aside)

    def _fail(self, error):
        number = getattr(error, "errno", None)
        for text, known in FULL.items():
            number = known if text in str(error) else number
        if number is None:
            raise error
        self._clean()
        raise OSError(
            number,
            f"cannot write a checkpoint ({os.strerror(number)})",
            str(self.folder),
        ) from error


def digests(state: State) -> dict[str, str]:
    """Returns {network: SHA-256} of the frozen networks, in hexadecimal.

    A digest covers each array's name, type, shape and bytes, in the order of the names.
    """
    found = {}
    for network, tree in sorted(state.frozen.items()):
        digest = hashlib.sha256()
        for name, x in sorted(_named(tree), key=lambda pair: pair[0]):
            if isinstance(x, jax.ShapeDtypeStruct):
                raise TypeError(
                    f"the state's frozen network {network!r} has shapes only; its "
                    "arrays are needed, see core.frozen_variables"
                )
            x = np.asarray(jax.device_get(x))
            digest.update(f"{name} {x.dtype} {x.shape}\n".encode())
            digest.update(np.ascontiguousarray(x).tobytes())
        found[network] = digest.hexdigest()
    return found


def _compare(saved, found, path):
    """Raises CheckpointError unless the frozen networks are those of the checkpoint."""
    for network in sorted({*saved, *found}):
        before, now = saved.get(network), found.get(network)
        if before != now:
            raise CheckpointError(
                f"{path} belongs to another frozen network {network!r}: SHA-256 "
                f"{(before or 'none')[:16]} when it was saved, "
                f"{(now or 'none')[:16]} now; was it given from another file?"
            )


def _named(tree):
    """Returns [("params/g/Dense_0/kernel", leaf), ...]."""
    leaves = jax.tree_util.tree_flatten_with_path(tree)[0]
    return [
        (jax.tree_util.keystr(path, simple=True, separator="/"), leaf)
        for path, leaf in leaves
    ]


def _fill(template, arrays, path):
    """Returns `template` with the arrays as leaves, if they are those it wants."""
    wanted = {name: (tuple(x.shape), np.dtype(x.dtype)) for name, x in _named(template)}
    found = {name: (x.shape, x.dtype) for name, x in arrays.items()}
    wrong = sorted(n for n in {*wanted, *found} if wanted.get(n) != found.get(n))
    if wrong:
        shown = "; ".join(
            f"{name}: {_spell(found.get(name))} -> {_spell(wanted.get(name))}"
            for name in wrong[:3]
        )
        raise CheckpointError(
            f"{path} holds another model than the config describes, in {len(wrong)} "
            f"arrays: {shown}"
        )
    treedef = jax.tree.structure(template)
    return jax.tree.unflatten(treedef, [arrays[name] for name in wanted])


def _spell(kind):
    return "(absent)" if kind is None else f"{kind[1]}{list(kind[0])}"
