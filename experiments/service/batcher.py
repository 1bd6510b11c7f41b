"""Requests of many clients, run together on the device."""

from __future__ import annotations

import asyncio
import collections
import dataclasses
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol


class Program(Protocol):
    """What runs payloads together. It is called in one thread only.

    Attributes:
      most: how many rows it takes in one call.
    """

    most: int

    def __call__(self, payloads: Sequence[Any]) -> Sequence[Any]:
        """Returns the result of each payload, in their order."""


class Full(Exception):
    """The queue has no room for a request.

    Attributes:
      seconds: after which there is likely to be room.
    """

    def __init__(self, seconds: float):
        super().__init__(f"the queue is full; try again in {seconds:.0f} s")
        self.seconds = seconds


class Closed(Exception):
    """The batcher takes nothing more."""


@dataclasses.dataclass(eq=False)
class _Part:
    program: Program
    payload: Any
    rows: int
    came: float
    future: asyncio.Future


@dataclasses.dataclass(frozen=True)
class Watch:
    """What is told of the batcher's work; by default nothing.

    queued: how many rows wait. batch: rows of a batch, how many of its program's could
    have been, and the seconds that it took.
    """

    queued: Callable[[int], None] = lambda rows: None
    batch: Callable[[int, int, float], None] = lambda rows, most, seconds: None


class Batcher:
    """A bounded queue, and a thread that runs what is in it, together where it can be.

    A batch is of one program. Its first part waits for others until there are as many
    rows as the program takes, or for `wait` seconds; while the device is busy, parts
    gather without waiting. Order is kept among the parts of a program, and the program
    of the oldest part is next.

    Args:
      limit: rows that may wait.
      wait: seconds that the first part of a batch waits for others.
      watch: is told what happens.

    All methods belong to one event loop.
    """

    def __init__(self, limit: int, wait: float, watch: Watch | None = None):
        self._limit, self._wait, self._watch = limit, wait, watch or Watch()
        self._parts: collections.deque[_Part] = collections.deque()
        self._rows, self._running = 0, 0
        self._changed = asyncio.Event()
        self._rate: float | None = None  # seconds a row
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="device")
        self._closed = False
        self._task: asyncio.Task | None = None

    def start(self) -> None:
        """Starts to run what is submitted."""
        self._task = asyncio.get_running_loop().create_task(self._loop())

    @property
    def queued(self) -> int:
        """How many rows wait."""
        return self._rows

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self._task is not None and not self._task.done()

    async def submit(self, program: Program, payloads: Sequence[tuple[Any, int]]):
        """Returns the results of payloads, each given with its rows, in their order.

        None may have more rows than the program takes. If the caller is cancelled, what
        still waits is forgotten.

        Raises Full if they find no room, all together; Closed after `close`; and
        whatever the program raises.
        """
        rows = sum(n for _, n in payloads)
        if self._closed:
            raise Closed("the service is stopping")
        if self._rows + rows > self._limit:
            raise Full(self._seconds())
        loop, now = asyncio.get_running_loop(), time.monotonic()
        parts = [
            _Part(program, payload, n, now, loop.create_future())
            for payload, n in payloads
        ]
        self._parts.extend(parts)
        self._count(rows)
        try:
            return await asyncio.gather(*(part.future for part in parts))
        except BaseException:
            self._forget(parts)
            raise

    async def aside(self, work: Callable[[], Any]) -> Any:
        """Returns work(), done in the thread of the device between two batches."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    async def close(self) -> None:
        """Runs what waits, and takes nothing more. Can be called twice."""
        self._closed = True
        self._changed.set()
        if self._task:
            await asyncio.gather(self._task, return_exceptions=True)
        self._thread.shutdown(wait=True)

    async def _loop(self):
        loop = asyncio.get_running_loop()
        while True:
            while not self._parts:
                if self._closed:
                    return
                await self._change(None)
            await self._gather()
            batch = self._take()
            if not batch:
                continue
            begun = time.monotonic()
            program, payloads = batch[0].program, [part.payload for part in batch]
            try:
                made = await loop.run_in_executor(self._thread, program, payloads)
            except Exception as error:
                made = [error] * len(batch)
            seconds, rows = time.monotonic() - begun, sum(x.rows for x in batch)
            each = seconds / rows
            self._rate = 0.8 * self._rate + 0.2 * each if self._rate else each
            self._running = 0
            self._watch.batch(rows, program.most, seconds)
            for part, result in zip(batch, made, strict=True):
                _finish(part.future, result)

    async def _gather(self):
        """Waits until the next batch is full, or its first part has waited enough."""
        while self._parts and not self._closed:
            first = self._parts[0]
            rows = sum(x.rows for x in self._parts if x.program is first.program)
            left = first.came + self._wait - time.monotonic()
            if rows >= first.program.most or left <= 0:
                return
            await self._change(left)

    async def _change(self, seconds):
        self._changed.clear()
        try:
            await asyncio.wait_for(self._changed.wait(), seconds)
        except TimeoutError:
            pass

    def _take(self):
        """The parts of the next batch, taken out of the queue."""
        if not self._parts:
            return []
        program, rows = self._parts[0].program, 0
        batch, kept = [], collections.deque()
        full = False
        for part in self._parts:
            if part.program is program and not full:
                full = rows + part.rows > program.most
                if not full:
                    batch.append(part)
                    rows += part.rows
                    continue
            kept.append(part)
        self._parts, self._running = kept, rows
        self._count(-rows)
        return batch

    def _forget(self, parts):
        gone = {id(part) for part in parts}
        left = [part for part in self._parts if id(part) in gone]
        if left:
            self._parts = collections.deque(
                part for part in self._parts if id(part) not in gone
            )
            self._count(-sum(part.rows for part in left))
        for part in parts:
            part.future.cancel()

    def _count(self, rows):
        self._rows += rows
        self._watch.queued(self._rows)
        self._changed.set()

    def _seconds(self):
        """How long what waits is likely to take."""
        return max(1.0, (self._rows + self._running) * (self._rate or 0))


def _finish(future, result):
    if future.done():  # its client has left
        return
    if isinstance(result, Exception):
        future.set_exception(result)
    else:
        future.set_result(result)
