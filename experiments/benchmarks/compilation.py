"""How long a step takes to compile: at first, and when the cache has it."""

from __future__ import annotations

import functools
import os
import resource
import tempfile
import time

from experiments import config as configs
from experiments import process
from experiments.benchmarks import timing, workload
from experiments.benchmarks.timing import Candidate, Runner

SPECS = ("configs/stylegan2.py:folder", "configs/stylegan2.py:auto128")
SPECS += ("configs/stylegan2.py:auto",)
COLD, CACHED = "cold", "from the cache"


def benchmark(config, *, progress: timing.Progress = timing.silent) -> dict:
    """Compiles the step of a resolved config in two processes, one after the other.

    They share a new folder for compiled programs. Returns {"candidates": {name: row}}.
    Raises RuntimeError if one fails.
    """
    options, rows = {"config": configs.to_json(config)}, {}
    with tempfile.TemporaryDirectory() as folder:
        for name in (COLD, CACHED):
            setup = functools.partial(_set_up, folder)
            one = Candidate(name, f"{__name__}:build", options, setup)
            found = timing.time_in_rounds(
                [one], [], rounds=0, seconds=0.0, progress=progress
            )
            if found[name].error:
                raise RuntimeError(found[name].error)
            rows[name] = found[name].details
    return {"candidates": rows}


def _set_up(folder):
    """Of a process: as commands do it, with a cache of its own."""
    os.environ["JAX_COMPILATION_CACHE_DIR"] = folder
    process.configure()
    process.compilation_cache()


def build(config: str) -> Runner:
    """Traces and compiles the call of `experiments.training.loop`; nothing is run."""
    from experiments.training.programs import Programs  # once JAX has its settings

    config = configs.from_json(config)
    programs = Programs(
        configs.build(config),
        seed=0,
        batch=workload.example(config),
        prepare=workload.decoder(config),
        per_call=config.steps_per_call,
    )
    began, cpu = time.perf_counter(), _cpu_seconds()
    lowered = programs.lower()
    traced = time.perf_counter()
    compiled = lowered.compile()
    done = time.perf_counter()
    details = {
        "seconds": done - began,
        "trace_seconds": traced - began,
        "compile_seconds": done - traced,
        "cpu_seconds": _cpu_seconds() - cpu,
        "instructions": lowered.as_text().count(" = "),
        "compiled_instructions": compiled.as_text().count(" = "),
    }
    return Runner({}, details)


def _cpu_seconds():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def table(found: dict) -> str:
    """The rows of a config as text."""
    lines = [f"{found['config']}, batch {found['batch_size']}"]
    lines.append(
        f"  {'':16}{'seconds':>9}{'tracing':>9}{'compiling':>11}{'CPU time':>10}"
        f"{'instructions':>14}{'compiled':>10}{'memory':>10}"
    )
    for name, row in found["candidates"].items():
        lines.append(
            f"  {name:16}{row['seconds']:9.1f}{row['trace_seconds']:9.1f}"
            f"{row['compile_seconds']:11.1f}{row['cpu_seconds']:10.1f}"
            f"{row['instructions']:14,}{row['compiled_instructions']:10,}"
            f"{row['peak_memory_bytes'] / 2**20:7.0f} MB"
        )
    return "\n".join(lines)
