"""Many clients at a service: what it answers, how fast, and what that costs.

    python tests/experiments/service/load.py --workdir=DIR [--seconds=60]
        [--clients=64] [--requests=10000] [--exact]

Runs the service as users do, in a process of its own, and prints JSON:

- `batched`: the service, for `--seconds`; or `--requests` in all, for its memory
- `single`: the same without batches (`--buckets=1 --wait_ms=0`)
- `alone`: generation in the largest bucket and encoding, in one process, without HTTP

Each answer is compared with `experiments.load(workdir).sample`; `--exact` has one
bucket, and compares bit for bit.
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import io
import itertools
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request

import numpy as np

SEEDS = 512
PYTHON = [sys.executable, "-m", "experiments.serve"]


class Running:
    """A service in a process of its own; a context manager.

    Attributes:
      port: where it listens.
      process: its `subprocess.Popen`.
    """

    def __init__(self, *workdirs, flags=()):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        given = [f"--workdir={x}" for x in workdirs]
        self.process = subprocess.Popen(
            [*PYTHON, *given, f"--port={self.port}", "--drift_s=0", *flags],
            stderr=subprocess.PIPE,
            text=True,
        )

    def get(self, path):
        """Returns status and body of a GET."""
        url = f"http://127.0.0.1:{self.port}{path}"
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def __enter__(self):
        for _ in range(1200):
            if self.process.poll() is not None:
                raise RuntimeError(self.process.stderr.read())
            try:
                if self.get("/ready")[0] == 200:
                    return self
            except OSError:
                pass
            time.sleep(0.1)
        raise RuntimeError("the service is not ready after 120 s")

    def __exit__(self, *error):
        self.process.terminate()
        self.code = self.process.wait(40)
        self.process.stderr.close()

    def memory(self):
        """Returns its resident memory in MB, and its processor time in seconds."""
        with open(f"/proc/{self.process.pid}/status") as file:
            rss = next(x for x in file if x.startswith("VmRSS:"))
        with open(f"/proc/{self.process.pid}/stat") as file:
            fields = file.read().rpartition(")")[2].split()
        ticks = int(fields[11]) + int(fields[12])
        return int(rss.split()[1]) / 1024, ticks / os.sysconf("SC_CLK_TCK")


class _Client(asyncio.Protocol):
    """Asks for one sample after the other; as little work as can be beside a service.

    ended: is called once, with the error if an answer is missing.
    """

    def __init__(self, name, numbers, answered, ended):
        self._name, self._numbers = name.encode(), numbers
        self._answered, self._ended = answered, ended
        self._seed, self._got = None, b""

    def connection_made(self, transport):
        self._transport = transport
        self._ask()

    def _ask(self):
        self._seed = next(self._numbers, None)
        if self._seed is None:
            return self._transport.close()
        self._begun, self._got = time.perf_counter(), b""
        body = b'{"seed": %d, "format": "png"}' % self._seed
        self._transport.write(
            b"POST /v1/models/%s/sample HTTP/1.1\r\nhost: localhost\r\n"
            b"content-type: application/json\r\ncontent-length: %d\r\n\r\n%s"
            % (self._name, len(body), body)
        )

    def data_received(self, data):
        self._got += data
        head, end, body = self._got.partition(b"\r\n\r\n")
        if not end:
            return
        length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
        if len(body) == int(length):
            seconds = time.perf_counter() - self._begun
            self._answered(self._seed, int(head.split()[1]), body, seconds)
            self._ask()

    def connection_lost(self, error):
        lost = self._seed is not None
        self._ended(repr(error or "the connection was closed") if lost else None)


async def crowd(port, name, clients, seconds, requests=None):
    """Has clients ask one request after the other; returns what they got."""
    loop = asyncio.get_running_loop()
    statuses, latencies, answers, lost = collections.Counter(), [], {}, []
    left, done = [clients], loop.create_future()
    begun = time.monotonic()

    def seeds():
        for number in itertools.count():
            if time.monotonic() >= begun + seconds or number == requests:
                return
            yield number % SEEDS

    def answered(seed, status, body, took):
        latencies.append(took)
        statuses[status] += 1
        if status == 200:
            answers.setdefault(seed, set()).add(body)

    def ended(error):
        lost.extend([error] if error else [])
        left[0] -= 1
        if not left[0]:
            done.set_result(None)

    numbers = seeds()
    for _ in range(clients):
        await loop.create_connection(
            lambda: _Client(name, numbers, answered, ended), "127.0.0.1", port
        )
    await done
    took = time.monotonic() - begun
    p50, p99 = np.percentile(latencies, [50, 99])
    report = {
        "statuses": dict(statuses),
        "lost": lost,
        "per_second": round(len(latencies) / took, 1),
        "p50_ms": round(1000 * p50, 1),
        "p99_ms": round(1000 * p99, 1),
    }
    return report, answers


def wrong(answers, model, exact, size):
    """Returns how many answers differ from `sample`'s, and by how many levels."""
    from PIL import Image

    from gans.data.kinds.image import encode

    seeds = sorted(answers)
    made = model.sample(1, seed=seeds, batch_size=size)["image"]
    bad, most = 0, 0
    for seed, x in zip(seeds, encode(made), strict=True):
        for body in answers[seed]:
            found = np.asarray(Image.open(io.BytesIO(body))).reshape(x.shape)
            levels = int(np.abs(found.astype(int) - x).max())
            most, bad = max(most, levels), bad + (levels > (0 if exact else 1))
    return bad, most


def alone(workdir, size, seconds):
    """Returns samples a second of generation and encoding, without a service."""
    import experiments
    from experiments.service.encoding import picture
    from gans.data.kinds.image import encode

    model = experiments.load(workdir)
    program, keys = model.program("sample", size), model.keys(0, range(size))
    n, end = -size, None
    while end is None or time.monotonic() < end:  # the first one is not counted
        made = program(model.inputs(size, seed=max(n, 0)), keys)
        for x in made["image"]:
            picture(encode(x), "png")
        n += size
        if end is None:
            begun = time.monotonic()
            end = begun + seconds
    return n / (time.monotonic() - begun)


def main():
    """Prints a report as JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--workdir", required=True)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--requests", type=int)
    parser.add_argument("--bucket", type=int, default=16)
    parser.add_argument("--exact", action="store_true")
    parser.add_argument("--alone", type=float, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.alone:
        return print(alone(given.workdir, given.bucket, given.alone))
    name = os.path.basename(os.path.realpath(given.workdir))
    report = {"load": os.getloadavg()[0], "cores": os.cpu_count()}

    def generation():
        again = [sys.executable, __file__, f"--workdir={given.workdir}", "--alone=8"]
        again += [f"--bucket={given.bucket}"]
        return float(subprocess.run(again, capture_output=True, text=True).stdout)

    def service(flags, seconds):
        with Running(given.workdir, flags=flags) as running:
            asyncio.run(crowd(running.port, name, 4, 2))  # warm
            before = running.memory()
            found, answers = asyncio.run(
                crowd(running.port, name, given.clients, seconds, given.requests)
            )
            after = running.memory()
        served = sum(found["statuses"].values())
        found["server_cpu_ms"] = round(1000 * (after[1] - before[1]) / served, 2)
        found["memory_mb"] = [round(before[0]), round(after[0])]
        found["exit"] = running.code
        return found, answers

    sizes = [given.bucket] if given.exact else [1, 4, given.bucket]
    batched = [f"--buckets={','.join(map(str, sizes))}"]
    rates = [generation()]
    report["batched"], answers = service(batched, given.seconds)
    rates.append(generation())
    report["single"], _ = service(["--buckets=1", "--wait_ms=0"], given.seconds / 4)
    rates.append(generation())
    report["alone_per_second"] = round(float(np.median(rates)), 1)
    import experiments

    model = experiments.load(given.workdir)
    bad, levels = wrong(answers, model, given.exact, given.bucket)
    report["batched"] |= {"wrong": bad, "largest_difference": levels}
    rate = report["batched"]["per_second"]
    report["over_single"] = round(rate / report["single"]["per_second"], 2)
    report["over_alone"] = round(rate / report["alone_per_second"], 2)
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    from experiments import process

    process.configure()  # as the service does it
    process.compilation_cache()
    main()
