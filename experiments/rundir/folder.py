"""Workdirs: of which kind a folder is, and that nothing of someone else's is lost.

A workdir belongs to a run, an ablation or a sweep. Its file `.jax-gans` says which; in
folders that have none (older ones, and copies without hidden files) it is seen from
what they hold. A folder that is none of the three can become a workdir if it holds no
file by a name that we write: an empty folder, or one with notes and a `.git`. What else
is there is left alone.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
from pathlib import Path
from typing import Any
from urllib.parse import quote

MARK = ".jax-gans"
KINDS = {"run": "a run", "ablation": "an ablation", "sweep": "a sweep"}
# What we write, in all kinds together: files, folders, and patterns of names.
OURS = (
    "config.json run.json metrics.jsonl evaluations.jsonl report.html report.md "
    "samples checkpoints events.out.tfevents.* process_* results.json results.csv "
    "programs curves.png values.png samples.png sweep.db sweep.json sweep.csv "
    "sweep.png trials"
).split()
# Keys that the config of a run has always had, and results.json.
_CONFIG = {"variant", "data", "steps", "batch_size"}
_RESULTS = {"arms", "baseline"}
_SWEEP = {"objective", "trials"}
_STUDIES = "SELECT name FROM sqlite_master WHERE name = 'studies'"


class WorkdirError(ValueError):
    """A folder cannot be the workdir. The message is one line."""


def kind_of(workdir: str | os.PathLike) -> str | None:
    """Returns "run", "ablation" or "sweep"; None for any other folder, or none.

    Raises OSError if what the folder holds cannot be read.
    """
    folder = Path(workdir)
    marked = read_json(folder / MARK).get("kind")
    if marked in KINDS:
        return marked
    if _CONFIG <= read_json(folder / "config.json").keys() or _checkpoint(folder):
        return "run"
    if _RESULTS <= read_json(folder / "results.json").keys():
        return "ablation"
    swept = _SWEEP <= read_json(folder / "sweep.json").keys()
    if swept or _is_study(folder / "sweep.db"):
        return "sweep"
    return None


def claim(workdir: str | os.PathLike, kind: str, data: str = "") -> None:
    """Raises WorkdirError unless the folder is of this kind, or can become so.

    Nothing is written. A folder that does not exist can be made; one that is not ours
    must hold nothing by a name that we would write. None lies within the folder of the
    training images, if `data`, as config.data, is "folder:PATH".
    """
    folder = Path(workdir)
    _check_apart(folder, data)
    if _exists(folder) and not folder.is_dir():
        raise WorkdirError(f"workdir {folder}: this is not a folder")
    try:
        found = kind_of(folder)
        foreign = [] if found else _foreign(folder)
    except OSError as error:
        raise WorkdirError(f"workdir {folder}: {_said(error)}") from error
    if found not in (None, kind):
        raise WorkdirError(
            f"workdir {folder} holds {KINDS[found]}, not {KINDS[kind]}; choose another "
            "--workdir"
        )
    if foreign:
        raise WorkdirError(
            f"workdir {folder} holds what is not of {KINDS[kind]} and would be "
            f"overwritten: {', '.join(foreign)}; choose another --workdir"
        )
    _check_writable(folder)


def expect(workdir: str | os.PathLike, *kinds: str) -> str:
    """Returns the kind of a folder, which must be one of `kinds`.

    Raises FileNotFoundError, saying what is there, if it is not.
    """
    folder = Path(workdir)
    found = kind_of(folder)
    if found in kinds:
        return found
    if not found:
        there = f"no {' or '.join(kinds)} there"
        if not folder.is_dir():
            there += " (not a folder)" if _exists(folder) else " (no such folder)"
    else:
        there = f"it holds {KINDS[found]}, not {' or '.join(KINDS[k] for k in kinds)}"
        if found == "sweep":
            there += f"; the runs of its trials are in {folder / 'trials'}"
    raise FileNotFoundError(f"workdir {folder}: {there}")


def _check_apart(workdir, data):
    kind, _, path = data.partition(":")
    if kind != "folder":
        return
    place = Path(path).expanduser().resolve()
    if place in (here := workdir.resolve(), *here.parents):
        raise WorkdirError(
            f"workdir {workdir} lies in config.data={data!r}: its pictures would "
            "become training images; choose another --workdir"
        )


def _exists(path):
    return os.path.lexists(path)


def _foreign(folder):
    """Names in the folder, sorted, that a workdir's files would have."""
    if not folder.is_dir():
        return []
    found = {path for pattern in OURS for path in folder.glob(pattern)}
    found = [path for path in found if not (path.is_dir() and not [*path.iterdir()])]
    return sorted(f"{x.name}/" if x.is_dir() else x.name for x in found)


def _check_writable(folder):
    """Raises WorkdirError if the folder, or one that it is to be made in, is not."""
    there = folder.absolute()
    while not _exists(there):
        there = there.parent
    if not there.is_dir():
        raise WorkdirError(f"workdir {folder}: {there} is not a folder")
    if not os.access(there, os.W_OK | os.X_OK):
        raise WorkdirError(f"workdir {folder}: {there} cannot be written to")


def _said(error):
    return f"cannot read {error.filename} ({error.strerror})"


def read_json(path: Path) -> dict[str, Any]:
    """Returns the dict in a file; {} if there is none, or something else."""
    try:
        found = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _is_study(path):
    """Whether a file is a data base of Optuna's."""
    uri = f"file:{quote(os.fsencode(path.absolute()))}?mode=ro&immutable=1"
    try:
        with contextlib.closing(sqlite3.connect(uri, uri=True)) as base:
            return bool(base.execute(_STUDIES).fetchall())
    except sqlite3.Error:  # also if there is no such file
        return False


def _checkpoint(folder):
    """Whether one of checkpoints/STEP is of our making."""
    for path in (folder / "checkpoints").glob("[0-9]*/checksums.json"):
        if read_json(path):
            return True
    return False
