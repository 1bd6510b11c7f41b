"""Seeds as vmapped runs of one program, against as many runs one after another.

Per step: the loops of `experiments.ablate` and `experiments.run`, loading of data
included, timed in rounds. In total: whole processes, from start to last step, without
evaluations and checkpoints.
"""

from __future__ import annotations

import functools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from experiments import config as configs
from experiments import process
from experiments.benchmarks import timing, workload
from experiments.benchmarks.timing import Candidate

SPECS = ("configs/gan.py:ring8", "configs/ablations/bases.py:digits")
VMAPPED, ALONE, CACHED = "vmapped", "one by one", "one by one, cached"
STEP = "step"
MAX_STEPS = 2000  # of the whole processes, by default


def benchmark(
    config,
    *,
    n_seeds: int,
    steps: int | None = None,
    repeats: int = 2,
    rounds: int = 9,
    seconds: float = 1.0,
    progress: timing.Progress = timing.silent,
) -> dict:
    """Returns {"seeds", "step": per_step(...), "total": in_total(...)}.

    Args:
      config: resolved.
      n_seeds: of the vmapped program, and of the runs one by one; at least 2.
      steps: of the whole processes; by default the config's, at most MAX_STEPS.
      repeats: of the whole processes.
      rounds, seconds, progress: see `timing.time_in_rounds`.

    Raises ValueError for steps that are not whole calls, RuntimeError if a run fails.
    """
    per_call = config.steps_per_call
    if steps is None:
        steps = min(config.steps, MAX_STEPS)
        steps = max(steps // per_call, 1) * per_call
    if steps % per_call:
        raise ValueError(f"{steps} steps are not a multiple of {per_call} a call")
    return {
        "seeds": n_seeds,
        "step": per_step(
            config, n_seeds, rounds=rounds, seconds=seconds, progress=progress
        ),
        "total": in_total(
            config, n_seeds, steps=steps, repeats=repeats, progress=progress
        ),
    }


# --- per step ------------------------------------------------------------------------


def per_step(
    config, n_seeds: int, *, rounds: int, seconds: float, progress: timing.Progress
) -> dict:
    """Returns {"ratio", name: {"ms_per_step", "samples_ms", ...}}.

    A vmapped step is one step of each replica. The ratio is that of the medians:
    n_seeds steps alone over one vmapped step. Above 1 the vmapped program is cheaper.
    """
    text = configs.to_json(config)
    build = "experiments.benchmarks.seed_loops:runner"
    results = timing.time_in_rounds(
        [
            Candidate(name, build, {"config": text, "seeds": seeds}, _settings(seeds))
            for name, seeds in ((VMAPPED, [*range(n_seeds)]), (ALONE, [0]))
        ],
        [STEP],
        rounds=rounds,
        seconds=seconds,
        progress=progress,
    )
    found = {}
    for name, result in results.items():
        if result.error:
            raise RuntimeError(f"{name}: {result.error}")
        n = workload.steps_per_run(config)
        samples = [1000 * s / n for s in result.seconds[STEP]]
        found[name] = {
            "ms_per_step": timing.quartiles(samples)[1],
            "samples_ms": samples,
            "cold": bool(result.cold),
            **result.details,
        }
    ms = {name: row["ms_per_step"] for name, row in found.items()}
    return {"ratio": n_seeds * ms[ALONE] / ms[VMAPPED], **found}


def _settings(seeds):
    """Of the process that trains these seeds, as the commands have them."""
    return functools.partial(process.configure, cores_apart=len(seeds) > 1)


# --- in total ------------------------------------------------------------------------


def in_total(
    config, n_seeds: int, *, steps: int, repeats: int, progress: timing.Progress
) -> dict:
    """Returns {"steps", "ratio", "ratio_cached", name: [one dict per repeat]}.

    Each repeat has, added up over its processes: seconds; seconds until the end of the
    first call; CPU seconds, which other work on the machine does not change; and the
    largest peak memory of a process. "Cached" runs share a compilation cache that is
    empty at first; the others, and the vmapped program, have none. Ratios are medians
    over the repeats, and above 1 where the vmapped program is cheaper.
    """
    text = configs.to_json(config)
    found = {VMAPPED: [], ALONE: [], CACHED: []}
    for i in range(repeats):
        processes = {name: [] for name in found}
        with tempfile.TemporaryDirectory() as cache:

            def run(name, seeds, cache=None, i=i, processes=processes):
                progress(f"repeat {i + 1} of {repeats}, {name}, seeds {seeds}")
                processes[name].append(_process(text, seeds, steps, cache))

            for seed in range(n_seeds):
                if seed == n_seeds // 2:  # the machine's speed may change meanwhile
                    run(VMAPPED, [*range(n_seeds)])
                run(ALONE, [seed])
                run(CACHED, [seed], cache)
        for name, own in processes.items():
            found[name].append(_summed(own))

    def ratio(name):
        pairs = zip(found[name], found[VMAPPED], strict=True)
        return statistics.median(a["seconds"] / b["seconds"] for a, b in pairs)

    ratios = {"ratio": ratio(ALONE), "ratio_cached": ratio(CACHED)}
    return {"steps": steps, **ratios, **found}


def _summed(processes):
    total = {
        key: sum(p[key] for p in processes)
        for key in ("replicas", "seconds", "first_seconds", "cpu_seconds")
    }
    total["peak_memory_bytes"] = max(p["peak_memory_bytes"] for p in processes)
    return total | {"processes": processes}


def _process(config, seeds, steps, cache):
    """The report of `whole` from a new process, and the seconds that it took."""
    kept = {k: v for k, v in os.environ.items() if k != "JAX_COMPILATION_CACHE_DIR"}
    where = (
        {"JAX_COMPILATION_CACHE_DIR": cache}
        if cache
        else {"JAX_ENABLE_COMPILATION_CACHE": "false"}
    )
    job = {"config": config, "seeds": seeds, "steps": steps, "began": time.time()}
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", f"from {__name__} import whole; whole()"],
        input=json.dumps(job),
        env=kept | where,
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
    )
    seconds = time.perf_counter() - began
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or ["no message"]
        raise RuntimeError(f"seeds {seeds}: exit code {done.returncode}: {last[0]}")
    return {"seconds": seconds, **json.loads(done.stdout.splitlines()[-1])}


def whole() -> None:
    """A process's work: does the job on stdin; its last line is the report, as JSON."""
    job = json.load(sys.stdin)
    _settings(job["seeds"])()
    if os.environ.get("JAX_COMPILATION_CACHE_DIR"):
        process.compilation_cache()
    from experiments.benchmarks import seed_loops  # imports JAX, configured now

    print(json.dumps(seed_loops.report(**job)))


# --- as text -------------------------------------------------------------------------


def table(found: dict) -> str:
    """The figures of a config as text."""
    n, step, total = found["seeds"], found["step"], found["total"]
    marks = {name: "*" if step[name]["cold"] else " " for name in (VMAPPED, ALONE)}
    lines = [
        f"{found['config']}, batch {found['batch_size']}, {n} seeds",
        f"  {'a step of all':24}{'ms':>10}{'ratio':>43}",
        f"  {VMAPPED:24}{step[VMAPPED]['ms_per_step']:10.4g}{marks[VMAPPED]}",
        f"  {ALONE:24}{n * step[ALONE]['ms_per_step']:10.4g}{marks[ALONE]}"
        f"{step['ratio']:42.2f}",
        f"  {total['steps']:,} steps from the start".ljust(26)
        + f"{'s':>10}{'to 1st call':>13}{'CPU s':>9}{'memory':>12}{'ratio':>9}",
    ]
    columns = "seconds first_seconds cpu_seconds peak_memory_bytes".split()
    for name, ratio in ((VMAPPED, None), (ALONE, "ratio"), (CACHED, "ratio_cached")):
        seconds, first, cpu, memory = (
            statistics.median(repeat[key] for repeat in total[name]) for key in columns
        )
        lines.append(
            f"  {name:24}{seconds:10.1f}{first:13.1f}{cpu:9.1f}"
            f"{memory / 2**20:9.0f} MB" + (f"{total[ratio]:9.2f}" if ratio else "")
        )
    if "*" in marks.values():
        lines.append(f"  {timing.COLD_NOTE}")
    return "\n".join(line.rstrip() for line in lines)
