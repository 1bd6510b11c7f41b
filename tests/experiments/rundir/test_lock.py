"""One writer for each workdir, in processes that are killed and forked."""

import errno
import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from experiments.rundir import lock as locks
from experiments.rundir.lock import LOCK, Lock, LockedError

ROOT = Path(__file__).parents[3]
HOLD = """
import sys, time
from experiments.rundir.lock import Lock
with Lock(sys.argv[1], "run"):
    open(sys.argv[1] + "/config.json", "w").close()
    print("locked", flush=True)
    time.sleep(60)
"""


def hold(place, code=HOLD):
    process = subprocess.Popen(
        [sys.executable, "-c", code, place], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert process.stdout.readline() == "locked\n"
    return process


def test_the_second_is_refused_and_a_killed_one_leaves_no_lock(tmp_path):
    process = hold(tmp_path / "w")
    try:
        with pytest.raises(LockedError) as caught:
            Lock(tmp_path / "w", "run")
        said = str(caught.value)
        assert f"is in use by a run, process {process.pid} on " in said
        assert f"since {time.localtime().tm_year}-" in said and "\n" not in said
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert json.loads((tmp_path / "w" / LOCK).read_text())["pid"] == process.pid
    with Lock(tmp_path / "w", "run"):
        pass
    assert json.loads((tmp_path / "w/.jax-gans").read_text()) == {"kind": "run"}
    assert sorted(os.listdir(tmp_path / "w")) == [".jax-gans", "config.json"]


def test_one_at_a_time_in_one_process(tmp_path):
    first, second = Lock(tmp_path, "sweep"), Lock(tmp_path, "sweep")
    with first:
        with pytest.raises(LockedError), second:
            pass
        with pytest.raises(LockedError):
            Lock(tmp_path, "sweep")
    with second:
        pass


def test_an_error_gives_the_lock_back_and_leaves_nothing(tmp_path):
    with pytest.raises(KeyError), Lock(tmp_path / "a/b", "run"):
        raise KeyError
    assert not (tmp_path / "a/b").exists()
    with pytest.raises(KeyError), Lock(tmp_path / "a", "run"):
        (tmp_path / "a/config.json").write_text("{}")
        raise KeyError
    with Lock(tmp_path / "a", "run"):
        pass


FORK = HOLD.replace(
    '    print("locked"',
    "    import os\n    if os.fork() == 0:\n        os.close(1)\n"
    "        time.sleep(20)\n        os._exit(0)\n    "
    'print("locked"',
)


def test_a_forked_child_does_not_keep_it(tmp_path):
    process = hold(tmp_path / "w", FORK)
    process.kill()
    process.wait()
    for _ in range(100):  # the child may not have run yet
        try:
            with Lock(tmp_path / "w", "run"):
                return
        except LockedError:
            time.sleep(0.05)
    raise AssertionError("the child keeps the lock")


@pytest.mark.parametrize(
    "owner, free",
    [
        ({}, True),
        ({"pid": 2**22 + 1, "host": locks.platform.node()}, True),
        ({"pid": 1, "host": locks.platform.node()}, False),
        ({"pid": 2**22 + 1, "host": "another"}, False),
        ({"pid": os.getpid(), "host": locks.platform.node()}, True),
    ],
)
def test_where_there_is_no_flock_living_processes_count(
    tmp_path, monkeypatch, owner, free
):
    def refuse(file, how):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    (tmp_path / LOCK).write_text(json.dumps({"kind": "run", **owner}))
    if free:
        with Lock(tmp_path, "run"):
            mark = json.loads((tmp_path / LOCK).read_text())
            assert mark["pid"] == os.getpid()
        return
    with pytest.raises(LockedError, match=f"process {owner['pid']} on"):
        Lock(tmp_path, "run")
