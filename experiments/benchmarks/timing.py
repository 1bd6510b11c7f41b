"""Contestants timed in turns, each in a process of its own.

Turns are short and go round many times, so that a machine that gets slower or faster
does so for all. In separate processes no library's threads, allocator or flags are
another's.
"""

from __future__ import annotations

import dataclasses
import importlib
import itertools
import multiprocessing
import os
import time
from collections.abc import Callable, Mapping
from typing import Any


@dataclasses.dataclass(frozen=True)
class Contestant:
    """What one process does.

    Attributes:
      name: for the table.
      build: "module:function"; called with `options` it returns a `Runner`.
      options: of `build`; they must be picklable.
      environment: variables set before the module is imported.
    """

    name: str
    build: str
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    environment: Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Runner:
    """What `Contestant.build` returns.

    Attributes:
      cases: what is timed, by name: functions that do the work and wait for its end.
      facts: what is to be known of it, said before the race.
      peak_memory: bytes; None: of the process.
    """

    cases: Mapping[str, Callable[[], Any]]
    facts: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    peak_memory: Callable[[], int] | None = None


@dataclasses.dataclass
class Result:
    """Seconds of each timed run, by case; facts; and the error that ended it."""

    seconds: dict[str, list[float]] = dataclasses.field(default_factory=dict)
    facts: dict[str, Any] = dataclasses.field(default_factory=dict)
    error: str | None = None


def race(
    contestants: list[Contestant],
    cases: list[str],
    *,
    rounds: int,
    turn: float,
    tell: Callable[[str], None] = lambda line: None,
) -> dict[str, Result]:
    """Returns each contestant's result, by name.

    Args:
      contestants: names must differ. One that fails, fails alone.
      cases: which of the runners' cases, in this order.
      rounds: turns of each; who begins a round changes.
      turn: seconds of a turn, of one run at least.
      tell: is told how it goes.
    """
    context = multiprocessing.get_context("spawn")
    results = {c.name: Result() for c in contestants}
    running = {}
    try:
        for contestant in contestants:  # one after another: compiling takes all cores
            tell(f"preparing {contestant.name}")
            ours, theirs = context.Pipe()
            process = context.Process(target=_work, args=(theirs, contestant))
            process.start()
            theirs.close()
            running[contestant.name] = process, ours
            _ask(results, running, contestant.name)
        for i, case in itertools.product(range(rounds), cases):
            tell(f"round {i + 1} of {rounds}, {case}")
            names = list(running)
            first = i % max(len(names), 1)
            for name in names[first:] + names[:first]:
                seconds = _ask(results, running, name, (case, turn))
                results[name].seconds.setdefault(case, []).extend(seconds or [])
        for name in list(running):
            memory = _ask(results, running, name, None)
            results[name].facts["peak_memory_bytes"] = memory
    finally:
        for process, pipe in running.values():
            pipe.close()
            process.join(timeout=5)
            process.kill()
    return results


def _ask(results, running, name, *message):
    """The answer to a message; a contestant that answers an error or dies is out."""
    process, pipe = running[name]
    try:
        if message:
            pipe.send(message[0])
        kind, answer = pipe.recv()
    except (EOFError, ConnectionError):
        process.join()
        kind, answer = "error", f"its process ended with exit code {process.exitcode}"
    if kind == "error":
        results[name].error = answer
        del running[name]
        pipe.close()
        return None
    if kind == "facts":
        results[name].facts = answer
    return answer


def _work(pipe, contestant):
    """In the contestant's process: builds it, then serves turns until the pipe ends."""
    os.environ.update(contestant.environment)
    try:
        module, _, function = contestant.build.partition(":")
        runner = getattr(importlib.import_module(module), function)(
            **contestant.options
        )
        pipe.send(("facts", dict(runner.facts)))
        while True:
            message = pipe.recv()
            if message is None:
                pipe.send(("memory", _peak_memory(runner)))
            else:
                case, turn = message
                pipe.send(("seconds", _timed(runner.cases[case], turn)))
    except EOFError:
        return
    except Exception as error:  # the race goes on without it
        line = f"{type(error).__name__}: {error}".strip().splitlines()[0]
        pipe.send(("error", line[:300]))


def _timed(run, turn):
    """Seconds of each run of a turn but the first, in which threads and caches wake.

    A run that is longer than the turn wakes them itself, and counts.
    """
    seconds, began = [], time.perf_counter()
    while len(seconds) < 2 or time.perf_counter() - began < turn:
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
        if seconds[0] > turn:
            return seconds
    return seconds[1:]


def _peak_memory(runner):
    if runner.peak_memory is not None:
        return runner.peak_memory()
    import resource
    import sys

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak
