import contextlib
import errno
import fcntl
import json
import math
import os
import pty
import resource
import struct
import sys
import termios
import types

import numpy as np
import pytest

from experiments.files import replacing
from experiments.rundir import log as log_module
from experiments.rundir.log import Log


def make(workdir, *, start=0, steps=1000, resume=False, **more):
    return Log(workdir, start=start, steps=steps, batch_size=64, resume=resume, **more)


def read(workdir):
    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    text = (workdir / "metrics.jsonl").read_text()
    assert text.endswith("\n") or not text
    return [json.loads(x, parse_constant=refuse) for x in text.splitlines()]


def events(workdir):
    """The events of all files, in the order in which TensorBoard reads them."""
    from tensorboardX.proto.event_pb2 import Event

    found = []
    for path in sorted(workdir.glob("events.out.tfevents.*")):
        data = path.read_bytes()
        while data:
            (length,) = struct.unpack("<Q", data[:8])
            found.append(Event.FromString(data[12 : 12 + length]))
            data = data[12 + length + 4 :]
    return found


def scalars(workdir):
    return [
        (event.step, value.tag, value.simple_value)
        for event in events(workdir)
        for value in event.summary.value
        if value.WhichOneof("value") == "simple_value"
    ]


@contextlib.contextmanager
def largest_file(n_bytes):
    """Makes the system refuse to let any file grow beyond `n_bytes`."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_lines_are_json_and_there_at_once(tmp_path):
    log = make(tmp_path)
    log.write(100, {"d/loss": np.float32(0.5), "g/loss": math.nan, "n": 3})
    log.write(200, {"d/loss": -math.inf})
    assert read(tmp_path) == [
        {"step": 100, "d/loss": 0.5, "g/loss": None, "n": 3},
        {"step": 200, "d/loss": None},
    ]
    log.close()
    log.close()


def test_resume_keeps_whole_lines_up_to_its_step(tmp_path):
    (tmp_path / "metrics.jsonl").write_text(
        '{"step": 100, "a": 1}\n{"step": 200}\n{"step": 200, "eval/x": 2}\n'
        'not json\n{"step": 300}\n{"step": 20'
    )
    make(tmp_path, start=200, resume=True).close()
    assert read(tmp_path) == [
        {"step": 100, "a": 1},
        {"step": 200},
        {"step": 200, "eval/x": 2},
    ]
    assert os.listdir(tmp_path) == ["metrics.jsonl"]


def test_resume_drops_a_torn_line_that_is_json(tmp_path):
    # Without its newline, "step": 30 may be the beginning of "step": 300}.
    (tmp_path / "metrics.jsonl").write_text('{"step": 10}\n{"step": 20}')
    log = make(tmp_path, start=50, resume=True)
    log.write(60, {})
    log.close()
    assert read(tmp_path) == [{"step": 10}, {"step": 60}]


def test_a_new_run_begins_anew(tmp_path):
    (tmp_path / "metrics.jsonl").write_text('{"step": 0}\n{"step": 100}\n')
    make(tmp_path).close()
    assert read(tmp_path) == []


def test_a_full_disk_tears_no_line(tmp_path):
    log = make(tmp_path)
    log.write(100, {"d/loss": 1.0})
    size = (tmp_path / "metrics.jsonl").stat().st_size

    # Control: here the system does take a part of a write.
    other = tmp_path / "other"
    other.write_bytes(b"x" * size)
    file = os.open(other, os.O_WRONLY | os.O_APPEND)
    with largest_file(size + 10):
        assert os.write(file, b"y" * 30) == 10
        with pytest.raises(OSError, match="cannot write step 200.*intact") as raised:
            log.write(200, {"d/loss": 2.0, "g/loss": 3.0})
    os.close(file)
    assert raised.value.errno == errno.EFBIG
    assert raised.value.filename == str(tmp_path / "metrics.jsonl")
    assert read(tmp_path) == [{"step": 100, "d/loss": 1.0}]

    log.write(200, {"d/loss": 2.0})  # there is room again
    assert [line["step"] for line in read(tmp_path)] == [100, 200]
    log.close()


def test_a_disk_full_of_events_neither_hangs_nor_raises_on_close(tmp_path):
    log = make(tmp_path)
    log.image(0, "samples", noise())
    (path,) = tmp_path.glob("events.*")
    with largest_file(path.stat().st_size + 10):
        for step in range(100, 2000, 100):  # longer than any queue
            with pytest.raises(OSError, match="TensorBoard events of step"):
                log.write(step, {"d/loss": 1.0})
        log.close()
    assert len(read(tmp_path)) == 19


def noise():
    return np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)


def test_tensorboard_gets_scalars_and_pictures(tmp_path):
    log = make(tmp_path)
    log.write(100, {"d/loss": 0.5, "g/loss": math.nan})
    log.image(100, "samples", np.zeros((6, 8, 1), np.uint8))
    log.image(100, "plot", noise())
    # Read before the log is closed: a killed run has lost nothing.
    assert scalars(tmp_path) == [(100, "d/loss", 0.5)]
    shown = [value.image for e in events(tmp_path) for value in e.summary.value][1:]
    assert [(x.height, x.width, x.colorspace) for x in shown] == [
        (6, 8, 3),
        (40, 40, 3),
    ]
    log.close()


@pytest.mark.parametrize("resume, purged", [(True, 201), (False, 0)])
def test_tensorboard_hides_what_will_be_written_again(tmp_path, resume, purged):
    from tensorboardX.proto.event_pb2 import SessionLog

    log = make(tmp_path, start=200, resume=resume)
    log.write(300, {"d/loss": 0.5})
    log.close()
    starts = [e.step for e in events(tmp_path) if e.session_log.status]
    assert SessionLog.START and starts == [purged]


@pytest.fixture
def at(monkeypatch):
    """at(seconds) sets the clock."""
    now = [0.0]
    clock = types.SimpleNamespace(monotonic=lambda: now[0], time=lambda: 0.0)
    monkeypatch.setattr(log_module, "time", clock)
    return lambda seconds: now.__setitem__(0, seconds)


def shown(capsys):
    return capsys.readouterr().err.splitlines()


def test_lines_when_not_at_a_terminal(tmp_path, capsys, at):
    log = make(tmp_path, steps=2000)
    at(100)
    log.progress(50)  # only now: compilation does not count
    at(105)
    log.progress(60)
    at(110)
    log.progress(100, {"d/loss": -1.23456, "d/gp": 7.0, "g/loss": 1e-9})
    at(115)
    log.progress(200, {"d/loss": 1.0})
    log.message("hello")
    log.close()
    # 50 steps in 10 s: 5 a second, 320 images, 1900 steps are left: 380 s.
    # Then 100 steps in 5 s: 20 a second, 1280 images, 1800 steps are left: 90 s.
    assert shown(capsys) == [
        "  50/2000   2%",
        " 100/2000   5%  5 steps/s  320 images/s  0:06:20 left  d -1.235  g 1e-09",
        " 200/2000  10%  20 steps/s  1280 images/s  0:01:30 left  d 1",
        "hello",
    ]


def test_points_are_called_points(tmp_path, capsys, at):
    log = make(tmp_path, things="points")
    log.progress(1)
    at(1)
    log.progress(11, {"d/loss": 1.0})
    log.close()
    assert "10 steps/s  640 points/s" in shown(capsys)[-1]


def test_the_first_lines_come_after_1_10_and_100_steps(tmp_path, capsys, at):
    log = make(tmp_path, start=500, steps=1000, resume=True)
    for step in range(501, 700):  # 10 a second, so 12 s: no line because of the time
        at(step / 10)
        log.progress(step)
    log.close()
    assert shown(capsys) == [
        " 501/1000  50%",
        " 510/1000  51%  10 steps/s  640 images/s  0:00:49 left",
        " 600/1000  60%  10 steps/s  640 images/s  0:00:40 left",
    ]


def test_slow_steps_get_lines_by_time_ever_more_rarely(tmp_path, capsys, at):
    log = make(tmp_path, steps=1000)
    log.progress(1)
    assert shown(capsys) == ["   1/1000   0%"]
    times = []
    for second in range(1, 1800):
        at(second)
        log.progress(2 + second // 300)  # 300 seconds a step
        if shown(capsys):
            times.append(second)
    # 30 s after the first line, then 45 s, 67.5 s, 101.25 s ... after the one before.
    assert times[:6] == [30, 75, 143, 245, 397, 625]
    assert len(times) == 8


def test_lines_by_time_repeat_the_losses_and_wait_for_others(tmp_path, capsys, at):
    log = make(tmp_path, start=500, steps=1000, resume=True)
    for step in (501, 510, 600):
        log.progress(step)
    shown(capsys)
    at(20)
    log.progress(620, {"d/loss": 0.5})
    at(45)  # 25 s after that line
    log.progress(640)
    assert len(shown(capsys)) == 1
    at(51)
    log.progress(682)
    (line,) = shown(capsys)
    assert line == " 682/1000  68%  2 steps/s  128 images/s  0:02:39 left  d 0.5"
    log.close()


@pytest.mark.parametrize("width", [80, 120])
def test_a_bar_at_a_terminal(tmp_path, monkeypatch, width):
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 30, width, 0, 0))
    with os.fdopen(theirs, "w") as terminal, monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", terminal)
        log = make(tmp_path, start=500)
        log.progress(600, {"d/loss": -1.23456, "g/loss": 0.5})
        log.message("hello")
        log.progress(1000)
        log.close()
    raw = b""
    with contextlib.suppress(OSError), os.fdopen(ours, "rb", buffering=0) as screen:
        while chunk := screen.read(2**16):
            raw += chunk
    shown = raw.decode().replace("\r", "\n").splitlines()
    assert "hello" in shown
    bars = [line for line in shown if "/1000" in line]
    assert "500/1000" in bars[0] and "0 steps/s" in bars[0]
    assert bars[-1].startswith("100% |") and " 1000/1000 " in bars[-1]
    assert max(map(len, shown)) < width
    assert "images/s" in bars[-1] and (width < 120 or "d -1.235  g 0.5" in bars[-1])


def test_replacing_is_all_or_nothing(tmp_path):
    path = tmp_path / "x"
    path.write_text("old")
    with pytest.raises(KeyError), replacing(path) as temporary:
        with open(temporary, "w") as file:
            file.write("new")
        raise KeyError
    with (
        pytest.raises(OSError) as raised,
        largest_file(10),
        replacing(path) as temporary,
    ):
        with open(temporary, "w") as file:
            file.write("much too long")
    assert raised.value.filename == str(path)
    assert path.read_text() == "old"
    with replacing(path) as temporary, open(temporary, "w") as file:
        file.write("new")
    assert path.read_text() == "new"
    assert os.listdir(tmp_path) == ["x"]
