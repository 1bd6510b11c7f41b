"""Files that are never half written: replaced in one step, or extended line by line."""

from __future__ import annotations

import contextlib
import fcntl
import json
import math
import os
import re
import secrets
from collections.abc import Iterator


def expanded(path: str) -> str:
    """Returns a path as a shell reads it: `~`, `~user`, $VAR and ${VAR} are replaced.

    Shells leave these in `--workdir=~/x` and in quotes. `./~` is a folder of that name.
    Raises ValueError for an empty path, an unknown user, and a variable that is not
    set.
    """
    found = os.path.expandvars(os.path.expanduser(path))
    if not found or "\0" in found:
        raise ValueError("wanted a path")
    if found.startswith("~"):
        raise ValueError(f"there is no user {found.split('/')[0][1:]!r}")
    for name in re.findall(r"\$(\w+)|\$\{(\w+)\}", path):
        if "".join(name) not in os.environ:
            raise ValueError(f"the variable ${''.join(name)} is not set")
    return found


def check_json(flag: str, path: str | os.PathLike, key: str) -> None:
    """Raises FileExistsError for a file that is not JSON of ours, which has `key`.

    A flag names where results go: a slip in it must not cost a file of another kind.
    """
    if not os.path.exists(path):
        return
    try:
        with open(path, "rb") as file:
            found = json.load(file)
    except ValueError:
        found = None
    if not isinstance(found, dict) or key not in found:
        raise FileExistsError(
            f"{flag}={path}: this file holds something else than such results; remove "
            "it, or choose another name"
        )


@contextlib.contextmanager
def replacing(path: str | os.PathLike) -> Iterator[str]:
    """Yields the path of a temporary file, which replaces `path` if the block succeeds.

    A reader of `path` finds either the old file or the new one, complete, also if
    several processes write it: each has a temporary file of its own, beside `path`. An
    OSError that does not name its file is raised again with the name `path`.
    """
    name = f".{os.getpid()}-{secrets.token_hex(4)}.tmp"
    temporary = os.path.join(os.path.dirname(path), name)
    try:
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        if error.filename is None:  # as is the case for a full disk
            error.filename = os.fspath(path)
        raise
    finally:
        if os.path.exists(temporary):
            os.remove(temporary)


def remove_left(folder: str | os.PathLike) -> None:
    """Removes what killed processes have left of `replacing` in a folder.

    Files of processes that still run are kept.
    """
    for entry in os.scandir(folder) if os.path.isdir(folder) else ():
        named = re.fullmatch(r"\.(\d+)-[0-9a-f]{8}\.tmp", entry.name)
        if named and not _runs(int(named[1])):
            with contextlib.suppress(FileNotFoundError):
                os.remove(entry.path)


def _runs(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # of another user
        pass
    return True


class Lines:
    """A file of JSON lines, to which complete lines are appended."""

    def __init__(self, path):
        self._path = path
        self._file = self._open()

    def _open(self):
        return os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def append(self, record: dict) -> None:
        """Writes a line. Numbers that are not finite become null.

        Several processes may append to a file, and one may replace it (`drop_lines`).
        Raises OSError, after removing what was written of the line.
        """
        line = (json.dumps(_finite(record), allow_nan=False) + "\n").encode()
        with _alone(self._file):
            if _is_at(self._file, self._path):
                return self._write(line, record)
        os.close(self._file)
        self._file = self._open()
        with _alone(self._file):
            self._write(line, record)

    def _write(self, line, record):
        length = os.fstat(self._file).st_size
        try:
            # A nearly full disk takes a part of it, and raises at the next write.
            written = 0
            while written < len(line):
                written += os.write(self._file, line[written:])
        except OSError as error:
            os.ftruncate(self._file, length)
            raise OSError(
                error.errno,
                f"cannot write step {record['step']} ({error.strerror}); "
                "the lines before it are intact",
                self._path,
            ) from error

    def close(self) -> None:
        """Closes the file. Can be called twice."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


def drop_lines(path: str | os.PathLike, last: int, scored: int | None = None) -> None:
    """Removes the incomplete lines, and those of steps after `last`, from a file.

    scored: lines with scores ("eval/NAME") are removed after this step already.
    """
    if not os.path.exists(path):
        return
    with open(path, "rb") as before, _alone(before):
        lines = before.readlines()
        scored = last if scored is None else scored
        kept = [
            line
            for line in lines
            if line.endswith(b"\n")
            and _step(line) <= (scored if b'"eval/' in line else last)
        ]
        if kept == lines:
            return
        with replacing(path) as temporary, open(temporary, "wb") as file:
            file.writelines(kept)


@contextlib.contextmanager
def _alone(file):
    """Keeps other processes from appending meanwhile, where there are locks."""
    with contextlib.suppress(OSError):
        fcntl.flock(file, fcntl.LOCK_EX)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_UN)


def _is_at(file, path):
    try:
        return os.path.samestat(os.fstat(file), os.stat(path))
    except FileNotFoundError:
        return False


def _step(line):
    """Returns the step of a JSON line; infinity if it is not one."""
    try:
        return json.loads(line)["step"]
    except (ValueError, KeyError, TypeError):
        return math.inf


def _finite(value):
    if isinstance(value, dict):
        return {name: _finite(x) for name, x in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value
