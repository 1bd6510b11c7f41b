"""Folders of shards: which are finished, which are being made, and what is in each."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import io
import json
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from experiments.files import remove_left, replacing
from experiments.rundir.folder import read_json

SETTINGS, MANIFEST, _LOCKS = "generation.json", "manifest.jsonl", ".shards.lock"
_HELD = {errno.EACCES, errno.EAGAIN}  # by another process
_UNSUPPORTED = {errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL}
Record = dict[str, Any]


class Folder:
    """A folder of shards, which several processes may fill side by side.

    It has generation.json, what was asked for; NUMBER.jsonl for each finished shard,
    and its files; and manifest.jsonl once all are finished.

    Args:
      path: of the folder; it is made.
      settings: what was asked for. A folder with others, or with files that are not of
        shards, is refused.

    Raises FileExistsError for such a folder.
    """

    def __init__(self, path: str | os.PathLike, settings: dict[str, Any]):
        self.path = Path(path)
        found = read_json(self.path / SETTINGS)
        if not found and self.path.exists() and [*_visible(self.path)]:
            raise FileExistsError(f"--out={path}: this folder holds something else")
        wrong = [x for x in settings if found and found.get(x) != settings[x]]
        if wrong:
            was = found.get(wrong[0])
            raise FileExistsError(
                f"--out={path}: its shards have {wrong[0]} {was}, not "
                f"{settings[wrong[0]]}; choose another folder"
            )
        self.path.mkdir(parents=True, exist_ok=True)
        remove_left(self.path)
        if not found:
            with replacing(self.path / SETTINGS) as temporary:
                Path(temporary).write_text(json.dumps(settings, indent=2) + "\n")

    def finished(self, number: int) -> bool:
        """Whether a shard is whole."""
        return self._records(number).exists()

    @contextlib.contextmanager
    def held(self, number: int) -> Iterator[bool]:
        """Yields whether this process is to make a shard: no other one does.

        The system gives a shard back when its process ends, however that is. Where the
        file system has no locks, two processes may make the same shard, of equal bytes.
        """
        with open(self.path / _LOCKS, "ab") as file:
            try:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, number)
            except OSError as error:
                if error.errno in _HELD:
                    yield False
                    return
                if error.errno not in _UNSUPPORTED:
                    raise
            yield not self.finished(number)

    def finish(self, number: int, records: list[Record]) -> None:
        """Says that a shard is whole, and what is in it."""
        with replacing(self._records(number)) as temporary:
            Path(temporary).write_text("".join(json.dumps(x) + "\n" for x in records))

    def join(self, n: int) -> bool:
        """Writes manifest.jsonl if all of n shards are finished; returns whether."""
        if not all(map(self.finished, range(n))):
            return False
        with replacing(self.path / MANIFEST) as temporary:
            with open(temporary, "wb") as file:
                for number in range(n):
                    file.write(self._records(number).read_bytes())
        return True

    def _records(self, number):
        return self.path / f"{number:05d}.jsonl"


def _visible(path):
    return (x for x in path.iterdir() if not x.name.startswith("."))


class Files:
    """A shard as a folder of single files."""

    def __init__(self, folder: Path, number: int):
        self._folder, self._name = folder, f"{number:05d}"
        (folder / self._name).mkdir(exist_ok=True)
        remove_left(folder / self._name)

    def __enter__(self) -> Files:
        return self

    def __exit__(self, *error) -> None:
        pass

    def add(self, name: str, content: bytes) -> Record:
        """Adds a file; returns where it is, and its digest."""
        path = self._folder / self._name / name
        with replacing(path) as temporary:
            Path(temporary).write_bytes(content)
        return _record(f"{self._name}/{name}", content)


class Tar:
    """A shard as a tar file, as WebDataset reads them; whole, or not there."""

    def __init__(self, folder: Path, number: int):
        self._path = folder / f"{number:05d}.tar"

    def __enter__(self) -> Tar:
        self._stack = contextlib.ExitStack()
        temporary = self._stack.enter_context(replacing(self._path))
        tar = tarfile.open(temporary, "w", format=tarfile.USTAR_FORMAT)
        self._tar = self._stack.enter_context(tar)
        return self

    def __exit__(self, *error) -> None:
        self._stack.__exit__(*error)

    def add(self, name: str, content: bytes) -> Record:
        """Adds a file; returns where it is, and its digest."""
        info = tarfile.TarInfo(name)  # of 1970, of no user
        info.size = len(content)
        self._tar.addfile(info, io.BytesIO(content))
        return _record(f"{self._path.name}/{name}", content)


FORMS = {"files": Files, "tar": Tar}


def _record(file, content) -> Record:
    return {"file": file, "sha256": hashlib.sha256(content).hexdigest()}
