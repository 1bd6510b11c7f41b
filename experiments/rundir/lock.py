"""One writer for each workdir: a run, an ablation or a sweep."""

from __future__ import annotations

import contextlib
import datetime
import errno
import fcntl
import json
import os
import platform
import time
from pathlib import Path

from experiments.files import replacing
from experiments.rundir import folder as folders

LOCK = f"{folders.MARK}.lock"
# What flock raises where the file system has no locks.
_UNSUPPORTED = {errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL}
_TRIES, _PAUSE = 5, 0.1  # seconds: someone may be looking whether it is locked


class LockedError(folders.WorkdirError):
    """Another process writes to the workdir. The message is one line."""


class Lock:
    """Keeps other processes from writing to a workdir, and marks it as of its kind.

    The lock is on the file WORKDIR/.jax-gans.lock, which is there as long as the lock
    is held. The system gives it back when the process ends, however that is. Where the
    file system has no locks, the process that the file names counts while it lives.
    A folder that receives no files meanwhile is left as it was before.

    Raises WorkdirError, when it is made and when it is entered, for a folder that
    `claim` refuses, and LockedError for one that is locked. Only entering it writes.
    """

    def __init__(self, workdir: str | os.PathLike, kind: str, data: str = ""):
        self._folder, self._kind, self._file = Path(workdir), kind, None
        self._path, self._mark = self._folder / LOCK, self._folder / folders.MARK
        folders.claim(workdir, kind, data)
        if self._path.exists():
            with open(self._path, "rb") as file:
                self._lock(file.fileno(), fcntl.LOCK_SH)

    def __enter__(self) -> Lock:
        for left in reversed(range(_TRIES)):
            try:
                self._open()
                break
            except LockedError:
                if not left:
                    raise
                time.sleep(_PAUSE)
        try:
            folders.claim(self._folder, self._kind)  # nobody was faster
            os.register_at_fork(after_in_child=self._close)
            since = datetime.datetime.now().astimezone().isoformat(timespec="seconds")
            owner = {"pid": os.getpid(), "host": platform.node(), "since": since}
            self._marked = self._mark.exists()
            if not self._marked:
                with replacing(self._mark) as path:
                    Path(path).write_text(json.dumps({"kind": self._kind}) + "\n")
            text = (json.dumps({"kind": self._kind, **owner}) + "\n").encode()
            os.pwrite(self._file, text, 0)
            os.ftruncate(self._file, len(text))
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *error) -> None:
        if self._file is None:  # in a forked child
            return
        with contextlib.suppress(OSError):  # someone may have removed the folder
            self._path.unlink()
            if not self._marked and {*os.listdir(self._folder)} == {
                *self._before,
                folders.MARK,
            }:
                self._mark.unlink()
                if self._made:
                    self._folder.rmdir()
        self._close()

    def _open(self):
        """Opens and locks the file; LockedError if another process has the lock."""
        self._marked, self._made = True, not self._folder.exists()
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._before = {*os.listdir(self._folder)} - {LOCK}
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise folders.WorkdirError(
                f"workdir {self._folder}: cannot write {error.filename} "
                f"({error.strerror})"
            ) from error
        try:
            self._lock(self._file, fcntl.LOCK_EX)
            now = os.stat(self._path) if self._path.exists() else None
            if now is None or not os.path.samestat(now, os.fstat(self._file)):
                raise LockedError(self._said())  # it has just been removed
        except BaseException:
            self._close()
            raise

    def _lock(self, file, how):
        """Raises LockedError if another process has the lock."""
        try:
            fcntl.flock(file, how | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LockedError(self._said()) from None
        except OSError as error:
            if error.errno not in _UNSUPPORTED:
                raise
            owner = folders.read_json(self._path)
            if owner.get("pid") not in (None, os.getpid()) and _lives(owner):
                raise LockedError(self._said()) from None

    def _said(self):
        owner = folders.read_json(self._path)
        what = folders.KINDS.get(owner.get("kind"), "another process")
        words = {"pid": ", process", "host": " on", "since": " since"}
        process = "".join(f"{words[x]} {owner[x]}" for x in words if x in owner)
        return (
            f"workdir {self._folder} is in use by {what}{process}; wait until it has "
            "ended, stop it, or choose another --workdir"
        )

    def _close(self):
        if self._file is not None:
            os.close(self._file)
            self._file = None


def of_process(workdir: Path, index: int, data: str):
    """Returns (folder, lock) of a run's process, the first of which has index 0.

    Others, on other hosts, have logs of their own, the same checkpoints, and no lock.
    """
    if index == 0:
        return workdir, Lock(workdir, "run", data)
    folders.claim(workdir, "run", data)
    return workdir / f"process_{index}", contextlib.nullcontext()


def _lives(owner):
    """Whether a process may still run; those of other machines may."""
    if owner.get("host") != platform.node():
        return True
    try:
        os.kill(owner["pid"], 0)
    except ProcessLookupError:
        return False
    except OSError:  # of another user
        return True
    return True
