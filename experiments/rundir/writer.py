"""Folders of arrays, by Orbax: written in the background, complete or not at all."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
import os
import re
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import jax
import numpy as np
import orbax.checkpoint as ocp

_CHECKSUMS = "checksums.json"
# Orbax rewrites this file after the folder is complete, and can restore without it.
_UNCHECKED = "_CHECKPOINT_METADATA"
# Taken for a pattern, for a slash, or not taken at all (bytes that are not UTF-8).
_ODD = re.compile(r"[\[\]\\\ud800-\udfff]")


class Writer:
    """Writes one folder of arrays at a time.

    A folder gets its name when it is complete, together with the checksums of its
    files. While a folder is being written, Orbax's log records are dropped (see
    `_quiet`); nothing else in the process is touched, and nothing outlasts the write.
    """

    def __init__(self):
        arrays, handlers = _Arrays(), ocp.type_handlers
        registry = handlers.create_type_handler_registry(
            (np.ndarray, arrays),
            (jax.Array, handlers.ArrayHandler()),  # unused; Orbax warns if it is absent
        )
        handler = _Handler(use_compression=False, type_handler_registry=registry)
        handler.failures = arrays.failures
        self._orbax = ocp.AsyncCheckpointer(handler)
        self._scope = contextlib.ExitStack()
        self._links = {}  # {folder: a temporary one with a link to it}

    def start(self, folder: Path, arrays: dict[str, np.ndarray]) -> None:
        """Starts to write a folder, replacing one of the same name."""
        self.wait()
        with contextlib.ExitStack() as scope:
            scope.enter_context(_quiet())
            self._orbax.save(self._plain(folder), args=_Save(arrays), force=True)
            self._scope = scope.pop_all()  # until the write ends

    def check(self) -> None:
        """Raises the error of a write that has failed, when all of it has ended."""
        try:
            self._orbax.check_for_errors()
        except Exception:
            with contextlib.suppress(Exception):  # more of the same failure
                self.wait()
            raise

    def wait(self) -> None:
        """Waits until the folder is written; raises the error if that fails."""
        with self._scope:  # ended, as the write is, also by an error
            try:
                self._orbax.wait_until_finished()
            except Exception:
                # Orbax writes arrays and metadata side by side, and awaits the second
                # only if the first succeeded.
                with contextlib.suppress(Exception):
                    self._orbax.wait_until_finished()
                raise

    def read(self, folder: Path) -> dict[str, np.ndarray]:
        """Returns the arrays of a folder."""
        return self._orbax.restore(self._plain(folder), args=_Restore())

    def _plain(self, folder):
        """The same folder, by a path that Orbax and TensorStore read as it is."""
        parent = folder.parent
        if not _ODD.search(str(parent)):
            return folder
        if parent not in self._links:
            parent.mkdir(parents=True, exist_ok=True)
            self._links[parent] = tempfile.TemporaryDirectory(prefix="jax-gans-")
            os.symlink(parent, Path(self._links[parent].name, "checkpoints"))
        return Path(self._links[parent].name, "checkpoints", folder.name)


def find_damage(folder: Path) -> str | None:
    """Compares a folder with its checksums, and returns what is wrong with it.

    Only a missing file and wrong content are damage. A read error says nothing
    about the content and is raised: OSError.
    """
    try:
        sums = json.loads((folder / _CHECKSUMS).read_bytes())
    except FileNotFoundError:
        return f"{_CHECKSUMS} is missing"
    except ValueError:
        sums = None
    if not isinstance(sums, dict):
        return f"{_CHECKSUMS} is not what was written"
    for name, expected in sums.items():
        try:
            if _checksum(folder / name) != expected:
                return f"{name} is not what was written"
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return f"{name} is missing"
    return None


def _checksum(path):
    total = 0
    with open(path, "rb") as file:
        while chunk := file.read(2**24):
            total = zlib.crc32(chunk, total)
    return total


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Drops Orbax's log records for as long as the block runs.

    Orbax logs a failed write in every thread that hears of it. We raise it instead,
    once.
    """

    def keep(record):
        return "orbax" not in record.pathname

    logger = logging.getLogger("absl")
    logger.addFilter(keep)
    try:
        yield
    finally:
        logger.removeFilter(keep)


class _Arrays(ocp.type_handlers.NumpyHandler):
    """Waits for every array, also when writing one of them has failed.

    Orbax waits for the first failure only. The other writes would go on behind our
    back: they recreate a folder that has been removed, and report their own failures to
    an event loop that has been closed.
    """

    def __init__(self):
        super().__init__()
        self.failures: list[Exception] = []

    async def _open_and_write(self, *args, **kwargs):
        try:
            await super()._open_and_write(*args, **kwargs)
        except Exception as error:
            self.failures.append(error)


class _Handler(ocp.PyTreeCheckpointHandler):
    """Adds the files' checksums while the folder still has its temporary name."""

    failures: list[Exception]  # shared with _Arrays

    async def async_save(self, *args, **kwargs):
        self.failures.clear()
        futures = await super().async_save(*args, **kwargs)
        return [_All(futures or [], self.failures)]

    def finalize(self, directory):
        super().finalize(directory)
        directory = Path(directory)
        if jax.process_index() == 0:
            sums = {
                str(path.relative_to(directory)): _checksum(path)
                for path in sorted(directory.rglob("*"))
                if path.is_file() and path.name != _UNCHECKED
            }
            (directory / _CHECKSUMS).write_text(json.dumps(sums))


class _All(ocp.future.Future):
    """Waits for all futures, then raises the first failure."""

    def __init__(self, futures, failures):
        self._futures, self._failures = futures, failures

    def result(self, timeout=None):
        later = []
        for future in self._futures:
            try:
                future.result(timeout=timeout)
            except Exception as error:
                later.append(error)
        for error in [*self._failures, *later]:
            raise error

    def cancel(self):
        for future in self._futures:
            future.cancel()


@ocp.args.register_with_handler(_Handler, for_save=True)
@dataclasses.dataclass
class _Save(ocp.args.PyTreeSave):
    pass


@ocp.args.register_with_handler(_Handler, for_restore=True)
@dataclasses.dataclass
class _Restore(ocp.args.PyTreeRestore):
    pass
