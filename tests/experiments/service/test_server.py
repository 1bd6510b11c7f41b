"""The service as a process: sockets, signals, newer checkpoints, many clients."""

import asyncio
import json
import signal
import socket
import subprocess
import sys
import time

import pytest

pytest.importorskip("granian", reason="extra serve")
from . import load  # noqa: E402
from .conftest import begun, save  # noqa: E402

pytestmark = pytest.mark.slow
POST = (
    b"POST /v1/models/%s/sample HTTP/1.1\r\nhost: localhost\r\n"
    b"content-type: application/json\r\n"
)


@pytest.fixture(scope="module")
def classes_run(tiny, tmp_path_factory):
    """One of our own: the tests here add checkpoints, as others do to theirs."""
    return begun(tiny, tmp_path_factory.mktemp("server"))


@pytest.fixture(scope="module")
def running(classes_run):
    flags = ["--buckets=1,4", "--reload_s=0.2", "--n_max=12", "--queue=64"]
    with load.Running(classes_run, flags=flags) as found:
        yield found
    assert found.code == 0


def sent(port, *parts, wait=0.0, seconds=15):
    """Sends bytes as they are; returns what comes back before the end, or a while."""
    with socket.create_connection(("127.0.0.1", port), timeout=seconds) as connection:
        try:
            for part in parts:
                connection.sendall(part)
                time.sleep(wait)
            return connection.recv(65536)
        except ConnectionError:
            return b""


def good(running):
    body = b'{"seed": 1}'
    request = POST % b"digits" + b"content-length: %d\r\n\r\n%s" % (len(body), body)
    answer = sent(running.port, request)
    assert answer.startswith(b"HTTP/1.1 200") and b"\x89PNG" in answer
    return answer


SOCKETS = {
    "no HTTP": ([b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03" * 9], b"400"),
    "a bad version": ([b"GET / HTTP/9.9\r\n\r\n"], b"400"),
    "a bad method": ([b"G\0T / HTTP/1.1\r\nhost: localhost\r\n\r\n"], b"400"),
    "no host": ([b"GET /ready HTTP/1.1\r\n\r\n"], b"403"),
    "a path out of the root": (
        [b"GET /../../etc/passwd HTTP/1.1\r\nhost: localhost\r\n\r\n"],
        b"404",
    ),
    "a flood of headers": (
        [b"GET /ready HTTP/1.1\r\nhost: localhost\r\n" + b"x: y\r\n" * 20_000],
        b"431",
    ),
    "a long header": (
        [b"GET /ready HTTP/1.1\r\nhost: localhost\r\nx: " + b"y" * 200_000],
        b"431",
    ),
    "two lengths": (
        [POST % b"digits" + b"content-length: 2\r\ncontent-length: 3\r\n\r\n{}x"],
        b"400",
    ),
    "a length and chunks": (
        [
            POST % b"digits"
            + b"content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n"
            + b"2\r\n{}\r\n0\r\n\r\n"
        ],
        b"",
    ),
    "chunks": (
        [POST % b"digits" + b"transfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"],
        b"200",
    ),
    "a bad chunk": (
        [POST % b"digits" + b"transfer-encoding: chunked\r\n\r\nzz\r\n{}"],
        b"",
    ),
    "a body that is too large": (
        [POST % b"digits" + b"content-length: 99999999\r\n\r\n"],
        b"413",
    ),
}


@pytest.mark.parametrize("case", SOCKETS)
def test_what_is_sent_as_it_should_not_be(running, case):
    parts, status = SOCKETS[case]
    answer = sent(running.port, *parts)
    assert answer.split(b" ")[1:2] == [status] or not status or not answer, answer[:99]
    if status == b"200":
        assert answer.startswith(b"HTTP/1.1 200")
    good(running)


def test_slow_and_cut_connections(running):
    """Half a head, half a body, and clients that leave hold up nobody."""
    head = POST % b"digits" + b"content-length: 50\r\n\r\n"
    open_ones = []
    for part in (b"GET / HT", POST % b"digits", head, head + b'{"n": ') * 15:
        connection = socket.create_connection(("127.0.0.1", running.port), timeout=30)
        connection.sendall(part)
        open_ones.append(connection)
    begun = time.monotonic()
    good(running)
    assert time.monotonic() - begun < 8
    late = open_ones[2].recv(999)  # the body's time is over
    assert late.startswith(b"HTTP/1.1 408")
    closed = open_ones[0].recv(999)  # and the head's
    assert closed == b"" or closed.startswith(b"HTTP/1.1 408")
    for connection in open_ones:
        connection.close()
    body = b'{"n": 12}'
    request = POST % b"digits" + b"content-length: %d\r\n\r\n%s" % (len(body), body)
    for _ in range(30):
        with socket.create_connection(("127.0.0.1", running.port)) as connection:
            connection.sendall(request)
    good(running)
    for _ in range(100):
        text = running.get("/metrics")[1].decode()
        if "gans_queue_rows 0.0" in text and "requests_active 1.0" in text:
            return
        time.sleep(0.1)
    raise AssertionError(text)


def test_a_newer_checkpoint_loses_no_request(running, classes_run):
    async def work():
        crowd = asyncio.ensure_future(load.crowd(running.port, "digits", 8, 6))
        await asyncio.sleep(1)
        await asyncio.to_thread(save, classes_run, 9)
        return await crowd

    report, answers = asyncio.run(work())
    assert {*report["statuses"]} == {200} and not report["lost"], report
    for _ in range(100):
        if b'gans_model_step{model="digits"} 9.0' in running.get("/metrics")[1]:
            break
        time.sleep(0.1)
    assert json.loads(running.get("/v1/models")[1])["models"][0]["step"] == 9
    import experiments

    wanted = [experiments.load(classes_run, x) for x in (7, 9)]
    for seed in sorted(answers)[:6]:
        for answer in answers[seed]:  # of one checkpoint, or of both
            bad = [load.wrong({seed: {answer}}, x, False, 4)[0] for x in wanted]
            assert min(bad) == 0


def test_many_clients_and_its_memory(running):
    """A short form of tests/experiments/service/load.py."""
    asyncio.run(load.crowd(running.port, "digits", 64, 60, requests=500))
    before, _ = running.memory()
    report, _ = asyncio.run(load.crowd(running.port, "digits", 64, 60, requests=1500))
    after, _ = running.memory()
    assert report["statuses"] == {200: 1500} and not report["lost"]
    assert after - before < 30, (before, after)


def test_it_stops_when_what_is_there_is_answered(classes_run):
    with load.Running(classes_run, flags=["--buckets=4"]) as running:
        body = b'{"n": 60}'
        request = POST % b"digits" + b"content-length: %d\r\n\r\n%s" % (len(body), body)
        connections = [
            socket.create_connection(("127.0.0.1", running.port)) for _ in range(4)
        ]
        for connection in connections:
            connection.sendall(request)
        time.sleep(0.05)
        running.process.send_signal(signal.SIGTERM)
        for connection in connections:
            with connection:
                connection.settimeout(20)
                answer = connection.recv(999)
            assert answer.split(b" ")[1] in (b"200", b"503"), answer
    assert running.code == 0
    with pytest.raises(OSError):
        running.get("/ready")


@pytest.mark.parametrize(
    "flags, said",
    [
        (["--workdir={empty}"], "no run there"),
        (["--workdir={run}", "--port=70000"], "--port=70000: wanted"),
        (["--workdir={run}", "--buckets=1,x"], "--buckets: got 'x'"),
        (["--workdir={run}", "--queue=2"], "--queue: got 2; wanted at least 64"),
        (["--workdir={run}", "--workdir={run}"], "is called 'digits', too"),
        (["--workdir={run}", "--checkpoint=3"], "no checkpoint of step 3"),
        (["--workdir={run}", "--api_key_file={empty}"], "directory"),
    ],
)
def test_what_the_user_can_correct(classes_run, tmp_path, flags, said):
    given = [x.format(run=classes_run, empty=tmp_path) for x in flags]
    if not any("port" in x for x in given):
        given.append("--port=8199")
    command = [sys.executable, "-m", "experiments.serve", *given]
    done = subprocess.run(command, capture_output=True, text=True, timeout=400)
    assert done.returncode == 1 and done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.startswith("error: ") and said.lower() in done.stderr.lower()


def test_a_port_that_is_taken(running, classes_run):
    command = [sys.executable, "-m", "experiments.serve", f"--workdir={classes_run}"]
    command += [f"--port={running.port}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=400)
    assert done.returncode == 1 and str(running.port) in done.stderr, done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
