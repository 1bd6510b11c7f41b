"""Checkpoints: asynchronous, atomic, and verified before they are believed."""

from __future__ import annotations

import dataclasses
import errno
import json
import logging
import os
import shutil
import sys
import zlib
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp

from gans.core import State

_CHECKSUMS = "checksums.json"
_LATER = "_CHECKPOINT_METADATA"  # which orbax writes again, and need not read
_EXTRA = "extra"  # beside the fields of a State, JSON as uint8
# Errors of a full disk; orbax gives the system's text and not its number.
FULL = {
    "No space left on device": errno.ENOSPC,
    "Disk quota exceeded": errno.EDQUOT,
    "File too large": errno.EFBIG,
}

# Orbax logs each failure once per thread that hears of it, and raises it as well; of
# writes that fail together it awaits one, and asyncio reports the others when they are
# collected, which may be never.
logging.getLogger("absl").addFilter(lambda record: "orbax" not in record.pathname)
logging.getLogger("asyncio").addFilter(
    lambda record: "orbax" not in record.getMessage()
)


def _ignore_orphans(unraisable, before=sys.unraisablehook):
    """After one failure orbax closes its event loop, to which other writes report."""
    if str(unraisable.exc_value) != "Event loop is closed":
        before(unraisable)


sys.unraisablehook = _ignore_orphans


class CheckpointError(ValueError):
    """No checkpoint that could be restored, said in one line."""


class Checkpoints:
    """The newest `keep` (None: all) checkpoints of a run, `workdir`/checkpoints/STEP.

    A folder gets its name when it is complete, with the checksum of each of its files;
    so a run killed at any moment leaves the ones before as they were. The step `best`,
    where it is set, is kept however old it becomes.
    """

    def __init__(self, workdir: str | Path, keep: int | None):
        self.folder = Path(workdir).absolute() / "checkpoints"
        self.best: int | None = None
        self._keep = keep
        self._damaged = set()
        self._writes = False  # whoever only reads must not tidy up after a writer
        self._saver = ocp.AsyncCheckpointer(_Handler(use_compression=False))

    def steps(self) -> list[int]:
        """Returns the steps of all complete checkpoints, in order."""
        if not self.folder.is_dir():
            return []
        return sorted(int(p.name) for p in self.folder.iterdir() if p.name.isdigit())

    def latest(self) -> int | None:
        """Returns the newest step, if there is one."""
        return max(self.steps(), default=None)

    def save(self, step: int, state: State, extra: dict[str, Any]) -> None:
        """Copies the state to the host, and starts to write it with `extra`, JSON.

        Returns before it is written; the next call of `save`, `check` or `close` raises
        what went wrong: OSError, naming the path, where the disk is full.
        """
        arrays = {name: np.asarray(x) for name, x in _named(jax.device_get(state))}
        arrays[_EXTRA] = np.frombuffer(json.dumps(extra).encode(), np.uint8)
        self._writes = True
        try:
            self._saver.wait_until_finished()
            self._clean()
            path = self.folder / str(step)
            self._saver.save(path, args=_Save(arrays), force=True)
        except Exception as error:
            self._fail(error)

    def restore(
        self, template: State, step: int | None = None
    ) -> tuple[State, dict[str, Any]] | None:
        """Returns (state of numpy arrays, extra) of `step`, by default the newest good.

        `template` is a state of arrays or `jax.ShapeDtypeStruct`. Damaged checkpoints
        are named on stderr and passed over. Returns None where there are no
        checkpoints at all; raises CheckpointError where none is good, where `step` is
        not there, and where it holds the state of another model.
        """
        self.close()
        steps = self.steps()
        if step is not None and step not in steps:
            raise CheckpointError(
                f"{self.folder} has no checkpoint of step {step}; it has {steps}"
            )
        wanted = reversed(steps) if step is None else [step]
        for candidate in wanted:
            path = self.folder / str(candidate)
            try:
                _verify(path)
                arrays = self._saver.restore(path, args=_Restore())
            except Exception as error:
                reason = str(error).splitlines()[0]
                print(f"damaged checkpoint {path}: {reason}", file=sys.stderr)
                self._damaged.add(path)
                continue
            extra = json.loads(arrays.pop(_EXTRA).tobytes())
            return _fill(template, arrays, path), extra
        if steps:
            raise CheckpointError(
                f"no good checkpoint among {steps if step is None else [step]} in "
                f"{self.folder}; nothing was changed there. To begin anew, move that "
                "folder away or choose another workdir"
            )
        return None

    def check(self) -> None:
        """Raises what went wrong in the background, if anything has."""
        try:
            self._saver.check_for_errors()
        except Exception as error:
            self._fail(error)

    def close(self) -> None:
        """Waits until everything is written."""
        try:
            self._saver.wait_until_finished()
            if self._writes:
                self._clean()
        except Exception as error:
            self._fail(error)

    def _clean(self):
        """Removes what is over: the oldest, the damaged, and the never completed.

        Only while no write is under way; one that outlives its failure (orbax awaits
        the first that fails) may make its folder again, which goes at the next save.
        """
        if jax.process_index() == 0 and self.folder.is_dir():
            for path in [*self._damaged, *self.folder.glob("*.orbax-checkpoint-tmp*")]:
                shutil.rmtree(path, ignore_errors=True)
            for step in self.steps()[: -self._keep] if self._keep else []:
                if step != self.best:
                    shutil.rmtree(self.folder / str(step))
        self._damaged.clear()

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


class _Handler(ocp.PyTreeCheckpointHandler):
    """Adds the files' checksums while the folder still has its temporary name."""

    def finalize(self, directory):
        super().finalize(directory)
        directory = Path(directory)
        if jax.process_index() == 0:
            sums = {
                str(path.relative_to(directory)): _checksum(path)
                for path in sorted(directory.rglob("*"))
                if path.is_file() and path.name != _LATER
            }
            (directory / _CHECKSUMS).write_text(json.dumps(sums))


@ocp.args.register_with_handler(_Handler, for_save=True)
@dataclasses.dataclass
class _Save(ocp.args.PyTreeSave):
    pass


@ocp.args.register_with_handler(_Handler, for_restore=True)
@dataclasses.dataclass
class _Restore(ocp.args.PyTreeRestore):
    pass


def _checksum(path):
    total = 0
    with open(path, "rb") as file:
        while chunk := file.read(2**24):
            total = zlib.crc32(chunk, total)
    return total


def _verify(path):
    for name, expected in json.loads((path / _CHECKSUMS).read_text()).items():
        if _checksum(path / name) != expected:
            raise ValueError(f"{name} is not what was written")


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
