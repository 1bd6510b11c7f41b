"""Candidates timed in rounds, each in a process of its own.

In a round every candidate runs for a short time, and there are many rounds: when the
machine gets slower or faster, it does so for all candidates. Separate processes keep
one library's threads, allocator and flags away from the others.
"""

from __future__ import annotations

import dataclasses
import importlib
import itertools
import multiprocessing
import resource
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

COLD_NOTE = "* a single run, the first in its process: one-time costs are included"

Progress = Callable[[str], None]


def silent(line: str) -> None:
    """A `Progress` that shows nothing."""
    del line


@dataclasses.dataclass(frozen=True)
class Candidate:
    """What one process does.

    Attributes:
      name: for the table.
      build: "module:function"; called with `options` it returns a `Runner`.
      options: of `build`; they must be picklable.
      setup: called before the module is imported; picklable.
    """

    name: str
    build: str
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    setup: Callable[[], Any] | None = None


@dataclasses.dataclass(frozen=True)
class Runner:
    """What `Candidate.build` returns.

    Attributes:
      cases: what is timed, by name: functions that do the work and wait until it is
        done.
      details: other figures, known before the first round.
      peak_memory: returns bytes; None: the peak of the process.
    """

    cases: Mapping[str, Callable[[], Any]]
    details: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    peak_memory: Callable[[], int] | None = None


@dataclasses.dataclass
class Result:
    """What was measured of a candidate.

    Attributes:
      seconds: of each sample, by case.
      cold: the cases whose only sample is the first run in the process.
      details: those of the runner, and `peak_memory_bytes`.
      error: what ended the candidate, in one line.
    """

    seconds: dict[str, list[float]] = dataclasses.field(default_factory=dict)
    cold: list[str] = dataclasses.field(default_factory=list)
    details: dict[str, Any] = dataclasses.field(default_factory=dict)
    error: str | None = None


def quartiles(samples: Sequence[float]) -> tuple[float, float, float]:
    """Returns the lower quartile, the median and the upper quartile.

    They are interpolated linearly between neighbouring samples, as `numpy.percentile`
    does by default, so none lies outside the samples.
    """
    ordered = sorted(samples)

    def at(share):
        i, part = divmod(share * (len(ordered) - 1), 1)
        low, high = ordered[int(i) :][:2] if part else [ordered[int(i)]] * 2
        return low + part * (high - low)

    return at(0.25), at(0.5), at(0.75)


def time_in_rounds(
    candidates: Sequence[Candidate],
    cases: Sequence[str],
    *,
    rounds: int,
    seconds: float,
    progress: Progress = silent,
) -> dict[str, Result]:
    """Returns each candidate's result, by name.

    The first run of a candidate in a round wakes its threads and fills the caches. It
    is not a sample, unless it lasts longer than `seconds`: then it is the only run in
    that round. The very first run of a case is not a sample even then, unless there is
    no other (see `Result.cold`).

    Args:
      candidates: their names must differ. If one fails, the others continue.
      cases: which of the runners' cases, in this order.
      rounds: how often each candidate runs each case; each round starts with another.
      seconds: for which a candidate runs a case in a round; at least once.
      progress: is called with what happens next.
    """
    context = multiprocessing.get_context("spawn")
    results = {c.name: Result() for c in candidates}
    running, first_runs = {}, {}
    try:
        for candidate in candidates:  # one after another: compiling takes all cores
            progress(f"preparing {candidate.name}")
            ours, theirs = context.Pipe()
            process = context.Process(target=_work, args=(theirs, candidate))
            process.start()
            theirs.close()
            running[candidate.name] = process, ours
            _ask(results, running, candidate.name)
        for i, case in itertools.product(range(rounds), cases):
            progress(f"round {i + 1} of {rounds}, {case}")
            names = list(running)
            start = i % max(len(names), 1)
            for name in names[start:] + names[:start]:
                found = _ask(results, running, name, (case, seconds))
                if found is None:
                    continue
                first, *samples = found
                if not samples and (name, case) in first_runs:
                    samples = [first]
                first_runs.setdefault((name, case), first)
                results[name].seconds.setdefault(case, []).extend(samples)
        for name in list(running):
            memory = _ask(results, running, name, None)
            results[name].details["peak_memory_bytes"] = memory
    finally:
        for process, pipe in running.values():
            pipe.close()
            process.join(timeout=5)
            process.kill()
    for (name, case), first in first_runs.items():
        if not results[name].seconds[case]:
            results[name].seconds[case] = [first]
            results[name].cold.append(case)
    return results


def _ask(results, running, name, *message):
    """The answer to a message; None if the candidate fails, which removes it."""
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
    if kind == "details":
        results[name].details = answer
    return answer


def _work(pipe, candidate):
    """In the candidate's process: builds it, then times it until the pipe closes."""
    try:
        if candidate.setup is not None:
            candidate.setup()
        module, _, function = candidate.build.partition(":")
        build = getattr(importlib.import_module(module), function)
        runner = build(**candidate.options)
        pipe.send(("details", dict(runner.details)))
        while True:
            message = pipe.recv()
            if message is None:
                pipe.send(("memory", _peak_memory(runner)))
            else:
                case, seconds = message
                pipe.send(("seconds", _timed(runner.cases[case], seconds)))
    except EOFError:
        return
    except Exception as error:  # the other candidates continue
        line = f"{type(error).__name__}: {error}".strip().splitlines()[0]
        pipe.send(("error", line[:300]))


def _timed(run, seconds):
    """Returns how long each run took: one that is longer than `seconds`, or at least
    two, until `seconds` are over."""
    found, began = [], time.perf_counter()
    while True:
        start = time.perf_counter()
        run()
        end = time.perf_counter()
        found.append(end - start)
        if found[0] > seconds or len(found) > 1 and end - began >= seconds:
            return found


def _peak_memory(runner):
    if runner.peak_memory is not None:
        return runner.peak_memory()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak
