"""Runs a service until it is told to stop."""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.server.embed import Server

from experiments.service import app, models, upkeep
from experiments.service.app import Service
from experiments.service.asked import Limits
from experiments.service.drift import Canary
from experiments.service.limits import LOOPBACK, Guard
from experiments.service.refusals import Refusals

NO_MEMORY = "Smaller --buckets and a smaller --n_max need less."
_HEADER_SECONDS = 10  # for a client to send its headers
_STOP = (signal.SIGINT, signal.SIGTERM)


@dataclasses.dataclass(frozen=True)
class Options:
    """How a service runs.

    Attributes:
      host, port: where it listens. Of a loopback host, other names are refused.
      checkpoint: "last", "best" or a step.
      buckets: sizes of batches for which programs are compiled.
      wait: seconds that a batch waits for more requests.
      limits: of requests.
      key: that clients have to send; None: none.
      refuse: the file of what is not served, or None.
      reload: seconds from one look for newer checkpoints to the next; 0: none.
      drift: seconds from one check for drift to the next; 0: none.
      canary: the folder of the first samples, see `Canary`.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    checkpoint: str = "last"
    buckets: tuple[int, ...] = (1, 4, 16)
    wait: float = 0.005
    limits: Limits = dataclasses.field(default_factory=Limits)
    key: str | None = None
    refuse: str | None = None
    reload: float = 30.0
    drift: float = 3600.0
    canary: str | None = None


def serve(workdirs: Sequence[str | os.PathLike], options: Options) -> None:
    """Serves runs until SIGTERM or Ctrl-C; requests that are there are answered then.

    Raises FileNotFoundError if a run or its checkpoint is missing, OSError if the
    address is taken, ValueError for any other wrong argument.
    """
    _check(options)
    _claim(options)
    named = models.named(workdirs)
    for workdir in named.values():
        if not (Path(workdir) / "config.json").is_file():
            raise FileNotFoundError(f"workdir {workdir}: no run there (no config.json)")
    refusals = Refusals.read(options.refuse) if options.refuse else Refusals()
    asyncio.run(_serve(named, options, refusals))


def whole(flag: str, values: Sequence[str]) -> list[int]:
    """Returns the whole numbers of a flag; raises ValueError for anything else."""
    for value in values:
        if not value.strip().isdecimal():
            raise ValueError(
                f"--{flag}: got {value!r}; wanted whole numbers, as 1,4,16"
            )
    return [int(value) for value in values]


def key_of(path: str | None) -> str | None:
    """Returns the key that a file holds; None without a file.

    Raises OSError if it cannot be read, ValueError if there is no key in it.
    """
    if path is None:
        return None
    key = Path(path).read_text("utf-8").strip()
    if len(key) < 16 or not key.isascii() or not key.isprintable():
        raise ValueError(f"--api_key_file={path}: wanted at least 16 ASCII characters")
    return key


def _claim(options):
    """Raises OSError if another program listens there; granian would share the port."""
    family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    with socket.socket(family) as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind((options.host, options.port))
        except OSError as error:
            place = f"--host={options.host} --port={options.port}"
            raise OSError(f"{place}: {error.strerror}") from None


def _check(options):
    limits = options.limits
    for flag, value, least in (
        ("buckets", min(options.buckets, default=0), 1),
        ("n_max", limits.n, 1),
        ("queue", limits.queue, limits.n),
        ("wait_ms", options.wait, 0),
        ("timeout_s", limits.seconds, 0.1),
        ("reload_s", options.reload, 0),
        ("drift_s", options.drift, 0),
    ):
        if value < least:
            raise ValueError(f"--{flag}: got {value:g}; wanted at least {least:g}")
    if not 1 <= options.port <= 65535:
        raise ValueError(f"--port={options.port}: wanted a number from 1 to 65535")


async def _serve(named, options, refusals):
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in _STOP:
        loop.add_signal_handler(number, stop.set)
    service = Service(options.limits, options.wait, refusals)
    service.batcher.start()
    loopback = options.host in LOOPBACK
    guard = Guard(
        app.build(service),
        options.limits,
        service.metrics,
        options.key,
        LOOPBACK if loopback else None,
        app.routes,
    )
    server = _server(guard, options)
    serving = asyncio.ensure_future(server.serve())
    stopping = asyncio.ensure_future(stop.wait())
    opened = functools.partial(_opened, options)
    tasks = [asyncio.ensure_future(_load(service, named, opened, options))]
    try:
        while not stop.is_set():
            await asyncio.wait(
                [serving, stopping, *tasks], return_when=asyncio.FIRST_COMPLETED
            )
            if serving.done():
                raise serving.exception() or OSError(
                    f"the server at {options.host}:{options.port} has ended"
                )
            for task in [task for task in tasks if task.done()]:
                tasks.remove(task)
                tasks += task.result() or []  # an error ends the service
    finally:
        service.ready = False
        for task in tasks:
            task.cancel()
        await _answer_all(guard, options.limits.seconds)
        if not serving.done():
            server.stop()
            await asyncio.wait([serving], timeout=2)
        if stop.is_set() and not service.models:  # still compiling: nothing is lost
            os._exit(0)
        await service.batcher.close()
        service.threads.shutdown()
        stopping.cancel()


async def _answer_all(guard, seconds):
    """Waits until no request is worked on."""
    end = time.monotonic() + seconds
    while guard.active and time.monotonic() < end:
        await asyncio.sleep(0.02)


async def _load(service, named, opened, options):
    """Opens all models; returns the tasks of their upkeep."""
    begun = time.monotonic()
    for name, workdir in named.items():
        service.put(await asyncio.to_thread(opened, name, workdir))
    canary = Canary(options.canary)
    await upkeep.check(service, canary)
    service.ready = True
    address = f"http://{options.host}:{options.port}"
    known = ", ".join(f"{x.name} (step {x.step:,})" for x in service.models.values())
    took = time.monotonic() - begun
    print(f"{address}: {known}, ready after {took:.1f} s", file=sys.stderr, flush=True)

    def again(before):
        return opened(before.name, before.workdir, before)

    found = []
    if options.reload and not options.checkpoint.isdigit():
        work = functools.partial(upkeep.reload, service, again)
        found.append(asyncio.ensure_future(upkeep.every(options.reload, work)))
    if options.drift:
        work = functools.partial(upkeep.check, service, canary)
        found.append(asyncio.ensure_future(upkeep.every(options.drift, work)))
    return found


def _opened(options, name, workdir, before=None):
    sizes = tuple(sorted({*options.buckets}))
    return models.opened(
        name, Path(workdir), options.checkpoint, sizes, options.limits, before
    )


def _server(guard, options):
    logging.getLogger("_granian").setLevel(logging.ERROR)
    return Server(
        guard,
        address=options.host,
        port=options.port,
        interface=Interfaces.ASGINL,
        http=HTTPModes.http1,
        websockets=False,
        http1_settings=HTTP1Settings(
            header_read_timeout=1000 * _HEADER_SECONDS, max_buffer_size=64 * 1024
        ),
        backpressure=2 * options.limits.requests,
        log_enabled=False,
    )
