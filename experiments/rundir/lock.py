"""One writer for each workdir: a run, an ablation or a sweep."""

from __future__ import annotations

import datetime
import errno
import fcntl
import json
import os
import platform
import time
from pathlib import Path

from experiments.rundir import folder as folders

# What flock raises where the file system has no locks.
_UNSUPPORTED = {errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL}
_TRIES, _PAUSE = 5, 0.1  # seconds: someone may be looking whether it is locked


class LockedError(folders.WorkdirError):
    """Another process writes to the workdir. The message is one line."""


class Lock:
    """Keeps other processes from writing to a workdir, and marks it as of its kind.

    The lock is on the file WORKDIR/.jax-gans, and the system removes it when the
    process ends, however that is. Where the file system has no locks, the file's number
    of a process counts as long as that process lives.

    Raises WorkdirError, when it is made and when it is entered, for a folder that
    `claim` refuses, and LockedError for one that is locked. Only entering it writes.
    """

    def __init__(self, workdir: str | os.PathLike, kind: str):
        self._folder, self._kind, self._file = Path(workdir), kind, None
        self._path = self._folder / folders.MARK
        folders.claim(workdir, kind)
        if self._path.exists():
            with open(self._path, "rb") as file:
                self._lock(file.fileno(), fcntl.LOCK_SH)

    def __enter__(self) -> Lock:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise folders.WorkdirError(
                f"workdir {self._folder}: cannot write {error.filename} "
                f"({error.strerror})"
            ) from error
        try:
            for left in reversed(range(_TRIES)):
                try:
                    self._lock(self._file, fcntl.LOCK_EX)
                    break
                except LockedError:
                    if not left:
                        raise
                    time.sleep(_PAUSE)
            folders.claim(self._folder, self._kind)  # nobody was faster
            os.register_at_fork(after_in_child=self._close)
            since = datetime.datetime.now().astimezone().isoformat(timespec="seconds")
            self._write(pid=os.getpid(), host=platform.node(), since=since)
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(self, *error) -> None:
        try:
            self._write()
        finally:
            self._close()

    def _lock(self, file, how):
        """Raises LockedError if another process has the lock."""
        try:
            fcntl.flock(file, how | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LockedError(self._said()) from None
        except OSError as error:
            if error.errno not in _UNSUPPORTED:
                raise
            owner = folders.read_mark(self._folder)
            if owner.get("pid") not in (None, os.getpid()) and _lives(owner):
                raise LockedError(self._said()) from None

    def _said(self):
        owner = folders.read_mark(self._folder)
        what = folders.KINDS.get(owner.get("kind"), "another process")
        process = "".join(
            f"{word} {owner[key]}"
            for word, key in ((", process", "pid"), (" on", "host"), (" since", "since"))
            if key in owner
        )
        return (
            f"workdir {self._folder} is in use by {what}{process}; wait until it has "
            "ended, stop it, or choose another --workdir"
        )

    def _write(self, **owner):
        text = (json.dumps({"kind": self._kind, **owner}) + "\n").encode()
        os.pwrite(self._file, text, 0)
        os.ftruncate(self._file, len(text))

    def _close(self):
        if self._file is not None:
            os.close(self._file)
            self._file = None


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
