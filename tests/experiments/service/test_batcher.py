"""Requests that are run together: sizes, order, bounds, clients that leave."""

import asyncio
import threading
import time

import pytest

from experiments.service.batcher import Batcher, Closed, Full, Watch


class Doubling:
    """Doubles payloads, each a list of numbers; says what it was called with."""

    def __init__(self, most=4, seconds=0.0):
        self.most, self.seconds = most, seconds
        self.calls, self.threads = [], set()
        self.go = threading.Event()
        self.go.set()

    def __call__(self, payloads):
        self.go.wait()
        time.sleep(self.seconds)
        self.calls.append(list(payloads))
        self.threads.add(threading.get_ident())
        if any(-1 in payload for payload in payloads):
            raise ValueError("a fault")
        return [[2 * x for x in payload] for payload in payloads]


def part(*numbers):
    return list(numbers), len(numbers)


def run(work, limit=100, wait=0.01, watch=None):
    async def inner():
        batcher = Batcher(limit, wait, watch)
        batcher.start()
        try:
            return await work(batcher)
        finally:
            await batcher.close()

    return asyncio.run(inner())


def test_requests_of_one_moment_are_run_together():
    program, seen = Doubling(4), []

    async def work(batcher):
        asked = [batcher.submit(program, [part(i)]) for i in range(6)]
        return await asyncio.gather(*asked)

    watch = Watch(batch=lambda rows, most, seconds: seen.append((rows, most)))
    assert run(work, watch=watch) == [[[2 * i]] for i in range(6)]
    assert program.calls == [[[0], [1], [2], [3]], [[4], [5]]]
    assert seen == [(4, 4), (2, 4)] and len(program.threads) == 1


def test_without_waiting_nothing_is_put_together_but_what_is_there():
    program = Doubling(4)

    async def work(batcher):
        for i in range(3):
            await batcher.submit(program, [part(i)])

    run(work, wait=0.0)
    assert program.calls == [[[0]], [[1]], [[2]]]


def test_a_full_batch_does_not_wait():
    async def work(batcher):
        begun = time.monotonic()
        await batcher.submit(Doubling(2), [part(1, 2)])
        return time.monotonic() - begun

    assert run(work, wait=20) < 10


def test_parts_stay_whole_and_in_order():
    program = Doubling(4)

    async def work(batcher):
        return await batcher.submit(program, [part(1, 2, 3), part(4, 5), part(6)])

    assert run(work) == [[2, 4, 6], [8, 10], [12]]
    assert program.calls == [[[1, 2, 3]], [[4, 5], [6]]]


def test_programs_are_apart_and_none_starves():
    one, other = Doubling(4), Doubling(4)

    async def work(batcher):
        asked = [batcher.submit(x, [part(i)]) for i, x in enumerate([one, other] * 3)]
        return await asyncio.gather(*asked)

    assert run(work) == [[[2 * i]] for i in range(6)]
    assert one.calls == [[[0], [2], [4]]] and other.calls == [[[1], [3], [5]]]


def test_the_queue_is_bounded():
    program = Doubling(1)
    program.go.clear()

    async def work(batcher):
        first = asyncio.ensure_future(batcher.submit(program, [part(0)]))
        await asyncio.sleep(0.05)  # it runs
        others = asyncio.ensure_future(
            batcher.submit(program, [part(1), part(2), part(3)])
        )
        await asyncio.sleep(0)
        with pytest.raises(Full) as full:
            await batcher.submit(program, [part(4)])
        assert full.value.seconds >= 1 and batcher.queued == 3
        program.go.set()
        return await first, await others

    assert run(work, limit=3) == ([[0]], [[2], [4], [6]])
    assert [[4]] not in program.calls


def test_who_leaves_is_forgotten():
    program, queued = Doubling(1), []
    program.go.clear()

    async def work(batcher):
        first = asyncio.ensure_future(batcher.submit(program, [part(0)]))
        await asyncio.sleep(0.05)
        leaving = asyncio.ensure_future(batcher.submit(program, [part(1), part(2)]))
        staying = asyncio.ensure_future(batcher.submit(program, [part(3)]))
        await asyncio.sleep(0)
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)
        assert batcher.queued == 1
        first.cancel()  # it runs already; its result is thrown away
        program.go.set()
        return await staying

    assert run(work, watch=Watch(queued=queued.append)) == [[6]]
    assert [[1]] not in program.calls and queued[-1] == 0 and min(queued) == 0


def test_an_error_reaches_those_of_its_batch_alone():
    program = Doubling(2)

    async def work(batcher):
        asked = [batcher.submit(program, [part(x)]) for x in (1, -1, 2)]
        return await asyncio.gather(*asked, return_exceptions=True)

    one, other, last = run(work)
    assert isinstance(one, ValueError) and isinstance(other, ValueError)
    assert last == [[4]]


def test_closing_answers_what_waits_and_takes_nothing_more():
    program = Doubling(1, seconds=0.01)

    async def work(batcher):
        asked = [
            asyncio.ensure_future(batcher.submit(program, [part(i)])) for i in range(5)
        ]
        await asyncio.sleep(0)
        await batcher.close()
        with pytest.raises(Closed):
            await batcher.submit(program, [part(9)])
        assert not batcher.alive
        return await asyncio.gather(*asked)

    assert run(work, wait=10) == [[[2 * i]] for i in range(5)]


def test_work_aside_is_in_the_same_thread():
    program = Doubling()

    async def work(batcher):
        await batcher.submit(program, [part(1)])
        return await batcher.aside(threading.get_ident)

    assert {run(work)} == program.threads
