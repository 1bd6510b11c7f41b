import asyncio
import contextlib
import errno
import hashlib
import logging
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from experiments.rundir import writer
from experiments.rundir.checkpoint import CheckpointError, Checkpoints, digests
from gans.core import State


def make_state(seed=0, width=8):
    """A state with what may be in one: optax's tuples, several types, empty trees."""
    key = jax.random.key(seed)
    params = {"dense": {"kernel": jax.random.normal(key, (4, width))}}
    return State(
        step=jnp.int32(seed),
        params={"g": params},
        stats={"g": {}},
        opt={"g": optax.adam(1e-3).init(params)},
        ema={},
        aux={"pool": jnp.arange(6, dtype=jnp.bfloat16), "full": jnp.array(True)},
    )


def equal(a, b):
    assert jax.tree.structure(a) == jax.tree.structure(b)
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        x, y = np.asarray(x), np.asarray(y)
        assert x.dtype == y.dtype and x.shape == y.shape
        assert x.tobytes() == y.tobytes()


@pytest.fixture
def three(tmp_path):
    """A workdir with checkpoints of steps 1, 2 and 3."""
    checkpoints = Checkpoints(tmp_path, keep=3)
    for step in (1, 2, 3):
        checkpoints.save(step, make_state(step), {"stream": step})
    checkpoints.close()
    return tmp_path


def test_gives_back_every_bit(three):
    checkpoints = Checkpoints(three, keep=3)
    template = jax.eval_shape(make_state)
    assert checkpoints.steps() == [1, 2, 3] and checkpoints.latest() == 3
    for step, wanted in ((None, 3), (2, 2)):
        state, extra = checkpoints.restore(template, step)
        equal(state, make_state(wanted))
        assert extra == {"stream": wanted}


def test_nothing_there(tmp_path):
    checkpoints = Checkpoints(tmp_path, keep=3)
    assert checkpoints.restore(make_state()) is None
    assert checkpoints.steps() == [] and checkpoints.latest() is None
    with pytest.raises(CheckpointError, match="no checkpoint of step 5"):
        checkpoints.restore(make_state(), 5)


def test_keeps_the_newest(three):
    checkpoints = Checkpoints(three, keep=2)
    checkpoints.save(4, make_state(4), {})
    checkpoints.close()
    assert checkpoints.steps() == [3, 4]


def test_keeps_the_best_however_old(three):
    checkpoints = Checkpoints(three, keep=2)
    checkpoints.best = 1
    for step in (4, 5):
        checkpoints.save(step, make_state(step), {})
    checkpoints.close()
    assert checkpoints.steps() == [1, 4, 5]
    equal(checkpoints.restore(jax.eval_shape(make_state), 1)[0], make_state(1))


def test_a_reader_leaves_all_as_it_is(three):
    unfinished = three / "checkpoints" / "9.orbax-checkpoint-tmp"
    unfinished.mkdir()
    reader = Checkpoints(three, keep=1)
    reader.restore(make_state())
    reader.close()
    assert reader.steps() == [1, 2, 3] and unfinished.exists()
    reader.save(10, make_state(), {})
    reader.close()
    assert reader.steps() == [10] and not unfinished.exists()


def test_the_state_may_be_donated_while_it_is_written(tmp_path):
    step = jax.jit(lambda s: jax.tree.map(lambda x: x * 0, s), donate_argnums=0)
    state = make_state(3, width=100_000)
    checkpoints = Checkpoints(tmp_path, keep=1)
    checkpoints.save(1, state, {})
    step(state)
    checkpoints.close()
    equal(checkpoints.restore(make_state(3, 100_000))[0], make_state(3, 100_000))


def files(folder):
    return sorted(
        path.relative_to(folder)
        for path in folder.rglob("*")
        # Orbax's marks of completeness: nobody reads them, as the renaming is atomic.
        if path.is_file()
        and path.name not in ("_CHECKPOINT_METADATA", "commit_success.txt")
    )


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)


@pytest.mark.parametrize(
    "damage",
    [flip, lambda path: os.truncate(path, path.stat().st_size // 2), os.unlink],
    ids=["bit flip", "truncated", "missing"],
)
def test_any_damage_is_seen_and_passed_over(three, damage, capfd):
    folder = three / "checkpoints" / "3"
    intact = three / "intact"
    shutil.copytree(folder, intact)
    names = files(folder)
    assert len(names) > 5
    for name in names:
        damage(folder / name)
        checkpoints = Checkpoints(three, keep=3)
        state, extra = checkpoints.restore(make_state())
        assert extra == {"stream": 2}, name
        equal(state, make_state(2))
        said = capfd.readouterr().err
        assert said.count("\n") == 1 and said.startswith(f"damaged checkpoint {folder}")
        shutil.rmtree(folder)
        shutil.copytree(intact, folder)


def names(workdir):
    return sorted(path.name for path in (workdir / "checkpoints").iterdir())


@pytest.mark.parametrize("damage", [flip, os.unlink], ids=["bit flip", "missing"])
def test_a_writer_renames_a_damaged_checkpoint(three, damage, capfd):
    for number in (1, 2):
        damaged = three / "checkpoints" / "3"
        damage(damaged / "_METADATA")
        content = {path: (damaged / path).read_bytes() for path in files(damaged)}
        checkpoints = Checkpoints(three, keep=3)
        for _ in range(2):  # in a run that goes back to it, and only said once
            equal(checkpoints.restore(make_state())[0], make_state(2))
            assert checkpoints.steps() == [1, 2] and checkpoints.latest() == 2
        assert capfd.readouterr().err.count("damaged checkpoint") == 1
        assert "3" in names(three)  # nothing was written yet
        checkpoints.save(3, make_state(33), {})
        checkpoints.close()
        aside = three / "checkpoints" / f"3.damaged-{number}"
        assert {path: (aside / path).read_bytes() for path in files(aside)} == content
        equal(Checkpoints(three, keep=3).restore(make_state())[0], make_state(33))
    # It takes no good one's place among `keep`, and stays long after its step.
    assert checkpoints.steps() == [1, 2, 3]
    for step in (4, 5, 6):
        checkpoints.save(step, make_state(step), {})
    checkpoints.close()
    assert names(three) == ["3.damaged-1", "3.damaged-2", "4", "5", "6"]


def test_none_good_is_an_error_that_names_the_folder(three):
    for step in (1, 2, 3):
        flip(three / "checkpoints" / str(step) / "_METADATA")
    checkpoints = Checkpoints(three, keep=3)
    for _ in range(2):
        with pytest.raises(CheckpointError, match=f"no good .*{three / 'checkpoints'}"):
            checkpoints.restore(make_state())
    with pytest.raises(CheckpointError, match=r"no good checkpoint among \[2\]"):
        Checkpoints(three, keep=3).restore(make_state(), 2)
    assert names(three) == ["1", "2", "3"]


def test_damage_alone_is_not_an_empty_folder(three):
    """A run must not begin anew because all that it had is damaged."""
    for step in (1, 2, 3):
        folder = three / "checkpoints" / str(step)
        folder.rename(folder.with_name(f"{step}.damaged-1"))
    with pytest.raises(CheckpointError, match=r"among \[1.damaged-1, 2.damaged-1, 3"):
        Checkpoints(three, keep=3).restore(make_state())


@pytest.mark.parametrize(
    "error, raised",
    [
        (OSError(errno.EIO, "Input/output error", "a/file"), CheckpointError),
        (PermissionError(errno.EACCES, "Permission denied", "a/file"), CheckpointError),
        (MemoryError("no room"), MemoryError),
        (KeyboardInterrupt(), KeyboardInterrupt),
    ],
    ids=lambda x: type(x).__name__ if isinstance(x, BaseException) else "",
)
@pytest.mark.parametrize("where", ["checksums", "arrays"])
def test_a_passing_error_of_reading_is_not_damage(
    three, where, error, raised, monkeypatch, capfd
):
    def fail(*args):
        raise error

    checkpoints = Checkpoints(three, keep=1)
    with monkeypatch.context() as once:
        if where == "checksums":
            once.setattr(writer, "_checksum", fail)
        else:
            once.setattr(checkpoints._writer, "read", fail)
        with pytest.raises(raised) as caught:
            checkpoints.restore(make_state())
    if raised is CheckpointError:
        said = f"cannot read a/file ({error.strerror}); nothing was changed there"
        assert str(caught.value) == said
    assert capfd.readouterr().err == ""
    assert names(three) == ["1", "2", "3"] and checkpoints.steps() == [1, 2, 3]
    # The next try restores it, and a save does not rename it.
    equal(checkpoints.restore(make_state())[0], make_state(3))
    checkpoints.best = 3
    checkpoints.save(4, make_state(4), {})
    checkpoints.close()
    assert names(three) == ["3", "4"]


def test_an_error_of_orbax_is_not_damage(three, monkeypatch):
    def fail(*args, **kwargs):
        raise ValueError("INTERNAL: Error reading\nmore lines")

    with monkeypatch.context() as once:
        once.setattr(writer._Handler, "restore", fail)
        with pytest.raises(CheckpointError) as caught:
            Checkpoints(three, keep=3).restore(make_state())
    assert str(caught.value) == (
        f"cannot read {three / 'checkpoints' / '3'} (INTERNAL: Error reading); "
        "nothing was changed there"
    )
    equal(Checkpoints(three, keep=3).restore(make_state())[0], make_state(3))


@pytest.mark.parametrize("relative", [False, True])
@pytest.mark.parametrize(
    "name",
    ["a?b%20:c#d", "[1]", "a\\b", "a*", "x" * 200, "../w", os.fsdecode(b"lat\xff")],
)
def test_any_name_of_a_workdir(tmp_path, monkeypatch, name, relative, capfd):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    workdir = Path(name) if relative else tmp_path / "here" / name
    for step in (1, 2):
        checkpoints = Checkpoints(workdir, keep=2)
        checkpoints.save(step, make_state(step), {"step": step})
        checkpoints.close()
    state, extra = Checkpoints(workdir, keep=2).restore(make_state())
    equal(state, make_state(2))
    assert extra == {"step": 2} and capfd.readouterr().err == ""
    assert names(workdir) == ["1", "2"]
    assert len(os.listdir(tmp_path)) == 1 + name.startswith("..")


def test_a_folder_that_cannot_be_listed_is_not_an_empty_one(three, monkeypatch):
    def fail(path):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(os, "listdir", fail)
    with pytest.raises(CheckpointError, match="cannot read .*Permission denied"):
        Checkpoints(three, keep=3).restore(make_state())


# --- frozen networks ------------------------------------------------------------------


def frozen_state(seed=0, value=1.5):
    """A state with a frozen network, `vgg`, of 400 kB."""
    vgg = {"conv": {"kernel": np.full((100, 1000), value, np.float32)}}
    return make_state(seed).replace(frozen={"vgg": {"params": vgg, "stats": {}}})


def size(folder):
    return sum((folder / path).stat().st_size for path in files(folder))


def test_a_frozen_network_is_not_in_the_files(tmp_path):
    sizes, arrays = [], []
    for i, state in enumerate((make_state(3), frozen_state(3))):
        checkpoints = Checkpoints(tmp_path / str(i), keep=1)
        checkpoints.save(3, state, {})
        checkpoints.close()
        folder = tmp_path / str(i) / "checkpoints" / "3"
        sizes.append(size(folder))
        arrays.append(checkpoints._writer.read(folder))
    assert arrays[0].keys() == arrays[1].keys()
    assert not any("frozen" in name for name in arrays[1])
    # Its digest, and what orbax writes in one block or in two; the network has 400 kB.
    assert abs(sizes[1] - sizes[0]) < 20_000
    # It comes from the template, as does a number of it that no file holds.
    template = jax.eval_shape(make_state).replace(frozen=frozen_state().frozen)
    state, extra = Checkpoints(tmp_path / "1", keep=1).restore(template)
    equal(state, frozen_state(3))
    assert extra == {}


@pytest.mark.parametrize(
    "change, network",
    [
        (lambda s: frozen_state(value=1.25), "vgg"),
        (lambda s: s.replace(frozen={}), "vgg"),
        (lambda s: s.replace(frozen={**s.frozen, "new": s.frozen["vgg"]}), "new"),
    ],
    ids=["another file", "none", "one more"],
)
def test_another_frozen_network_is_rejected(tmp_path, change, network):
    checkpoints = Checkpoints(tmp_path, keep=1)
    checkpoints.save(1, frozen_state(1), {})
    checkpoints.close()
    with pytest.raises(CheckpointError, match=f"another frozen network '{network}'"):
        Checkpoints(tmp_path, keep=1).restore(change(frozen_state()))
    equal(Checkpoints(tmp_path, keep=1).restore(frozen_state())[0], frozen_state(1))
    with pytest.raises(TypeError, match="'vgg' has shapes only"):
        Checkpoints(tmp_path, keep=1).restore(jax.eval_shape(frozen_state))


def test_the_digest_covers_names_types_shapes_and_bytes():
    def digest(**arrays):
        state = make_state().replace(frozen={"f": {"params": arrays, "stats": {}}})
        return digests(state)["f"]

    x = np.arange(6, dtype=np.float32)
    first = digest(a=x, b=x + 1)
    assert first == digest(b=jnp.asarray(x + 1), a=x)
    others = [
        digest(a=x, b=x),
        digest(a=x, c=x + 1),
        digest(a=x.reshape(2, 3), b=x + 1),
        digest(a=x.view(np.int32), b=x + 1),
    ]
    assert len({first, *others}) == 5
    # By hand: one array, in the order name, type, shape, bytes.
    text = b"params/a float32 (6,)\n" + x.tobytes()
    assert digest(a=x) == hashlib.sha256(text).hexdigest()


def test_another_model_is_not_called_damage(three):
    with pytest.raises(CheckpointError) as caught:
        Checkpoints(three, keep=3).restore(make_state(width=9))
    said = str(caught.value)
    assert "another model" in said and "in 3 arrays" in said
    assert "params/g/dense/kernel: float32[4, 8] -> float32[4, 9]" in said


@contextlib.contextmanager
def largest_file(n_bytes):
    """Makes the system refuse to let any file grow beyond `n_bytes`."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_is_one_clear_error(three, capfd):
    checkpoints = Checkpoints(three, keep=3)
    with pytest.raises(OSError) as caught, largest_file(50_000):
        checkpoints.save(4, make_state(width=100_000), {})
        checkpoints.close()
    assert caught.value.errno == errno.EFBIG
    assert caught.value.filename == str(three / "checkpoints")
    assert "cannot write a checkpoint (File too large)" in str(caught.value)
    assert capfd.readouterr().err == ""
    assert sorted(p.name for p in (three / "checkpoints").iterdir()) == ["1", "2", "3"]
    equal(Checkpoints(three, keep=3).restore(make_state())[0], make_state(3))
    checkpoints.save(5, make_state(5), {})  # there is room again
    checkpoints.close()
    equal(checkpoints.restore(make_state())[0], make_state(5))


# --- the process is left as it was ----------------------------------------------------

FRESH = """
import asyncio, logging, sys

def process():
    loggers = [logging.getLogger(x) for x in ("", "absl", "asyncio", "orbax")]
    return sys.unraisablehook, sys.excepthook, [list(x.filters) for x in loggers]

import orbax.checkpoint
before = process()
from experiments.rundir import checkpoint
assert process() == before
"""


def test_importing_changes_nothing_in_the_process():
    subprocess.run([sys.executable, "-c", FRESH], check=True)


@pytest.mark.parametrize("fails", [False, True], ids=["written", "full disk"])
def test_the_log_is_filtered_only_while_a_write_is_under_way(three, fails):
    logger, hook = logging.getLogger("absl"), sys.unraisablehook
    before = list(logger.filters)
    checkpoints = Checkpoints(three, keep=3)
    assert logger.filters == before
    with largest_file(50_000 if fails else 2**30):
        checkpoints.save(4, make_state(width=100_000), {})
        assert len(logger.filters) == len(before) + 1 and sys.unraisablehook is hook
        with pytest.raises(OSError) if fails else contextlib.nullcontext():
            checkpoints.close()
    assert logger.filters == before


def test_a_failure_that_is_seen_early_stays_quiet(tmp_path, monkeypatch, capfd):
    """Metadata fails at once, the arrays a moment later: both by the same full disk."""

    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    async def slowly(*args, **kwargs):
        await asyncio.sleep(0.3)
        full()

    checkpoints = Checkpoints(tmp_path, keep=3)
    orbax = checkpoints._writer._orbax
    monkeypatch.setattr("orbax.checkpoint._src.path.async_path.write_text", slowly)
    checkpoints.save(1, make_state(), {})
    monkeypatch.setattr(orbax._metadata_store, "wait_until_finished", full)
    with pytest.raises(OSError, match="No space left"):
        checkpoints.check()
    assert not orbax._async_manager._thread
    assert capfd.readouterr().err == "" and checkpoints.steps() == []


FULL_DISK = """
import resource, sys
import numpy as np
from experiments.rundir.checkpoint import Checkpoints
from gans.core import State

params = {"g": {f"layer{i}": np.ones((4, 500), np.float32) for i in range(30)}}
state = State(0, params=params, stats={}, opt={}, ema={}, aux={})
limit = int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
checkpoints = Checkpoints(sys.argv[1], keep=3)
for step in (1, 2):
    try:
        checkpoints.save(step, state, {})
        checkpoints.close()
    except OSError:
        print("rejected")
"""


@pytest.mark.slow
@pytest.mark.parametrize("limit", [300, 4000, 20_000])
def test_a_full_disk_is_quiet_to_the_end_of_the_process(tmp_path, limit):
    """Wherever it strikes: nothing is logged later by writes that nobody awaited."""
    command = [sys.executable, "-c", FULL_DISK, str(tmp_path), str(limit)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert done.stdout == "rejected\n" * 2 and done.stderr == ""
    assert list((tmp_path / "checkpoints").iterdir()) == []
