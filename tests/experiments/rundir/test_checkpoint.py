import contextlib
import errno
import logging
import os
import resource
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from experiments.rundir.checkpoint import CheckpointError, Checkpoints
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


def test_a_damaged_checkpoint_goes_when_a_good_one_is_written(three):
    flip(three / "checkpoints" / "3" / "_METADATA")
    checkpoints = Checkpoints(three, keep=3)
    checkpoints.restore(make_state())
    assert checkpoints.steps() == [1, 2, 3]
    checkpoints.save(3, make_state(33), {})
    checkpoints.close()
    equal(Checkpoints(three, keep=3).restore(make_state())[0], make_state(33))


def test_none_good_is_an_error_that_names_the_folder(three):
    for step in (1, 2, 3):
        flip(three / "checkpoints" / str(step) / "_METADATA")
    with pytest.raises(CheckpointError, match=f"no good .*{three / 'checkpoints'}"):
        Checkpoints(three, keep=3).restore(make_state())
    with pytest.raises(CheckpointError, match=r"no good checkpoint among \[2\]"):
        Checkpoints(three, keep=3).restore(make_state(), 2)


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


def test_a_refusing_disk_is_one_clear_error(three, capfd):
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


def test_failures_of_orbax_are_raised_not_logged(caplog):
    """Those of the writes that nobody awaited would look like a traceback of ours."""
    task = "Task exception was never retrieved\nfuture: <Task coro=<f() at {}/x.py:1>>"
    for folder in ("orbax/checkpoint", "elsewhere"):
        logging.getLogger("asyncio").error(task.format(folder))
    (record,) = caplog.records
    assert "elsewhere" in record.getMessage()
