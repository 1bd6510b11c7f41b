"""Seeds in one program against as many runs, one after another.

For `python -m experiments.benchmark --seeds=8`. Per step: the loops of
`experiments.ablate` and `experiments.run`, data and all, in turns. In total: whole
processes, each from nothing to its last step, without evaluations and checkpoints.
"""

from __future__ import annotations

import importlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from experiments import config as configs
from experiments.benchmarks.timing import Contestant, Runner, race

HERE = "experiments.benchmarks.seeds"
STEP = "step"
SPECS = ("configs/gan.py:ring8", "configs/ablations/bases.py:digits")
FLEET, ALONE, CACHED = "one program", "one by one", "one by one, cached"
# So that a GPU's memory is not taken whole by whoever comes first.
ENVIRONMENT = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"}


def benchmark(
    config,
    n_seeds: int,
    *,
    steps: int | None = None,
    repeats: int = 2,
    rounds: int,
    turn: float,
    tell=lambda line: None,
) -> dict:
    """Returns {"seeds", "step": per_step(...), "total": in_total(...)}.

    Args:
      config: resolved.
      n_seeds: of the program, and runs one by one; at least 2.
      steps: of the whole processes; by default the config's, at most 2,000.
      repeats: of the whole processes.
      rounds, turn, tell: see `experiments.benchmarks.timing.race`.

    Raises ValueError for steps that are not whole calls, RuntimeError if one fails.
    """
    per_call = config.steps_per_call
    if steps is None:
        steps = min(config.steps, 2000)
        steps = max(steps // per_call, 1) * per_call
    if steps % per_call:
        raise ValueError(f"{steps} steps are not a multiple of {per_call} a call")
    return {
        "seeds": n_seeds,
        "step": per_step(config, n_seeds, rounds=rounds, turn=turn, tell=tell),
        "total": in_total(config, n_seeds, steps=steps, repeats=repeats, tell=tell),
    }


# --- per step ------------------------------------------------------------------------


def per_step(config, n_seeds: int, *, rounds: int, turn: float, tell) -> dict:
    """Returns {"ratio", name: {"ms_per_step", "samples_ms", ...}}.

    A step of the fleet is one of each of its lanes. The ratio is that of the medians,
    n_seeds steps alone over one of the fleet: above 1 the fleet is cheaper.
    """
    from experiments.benchmark import steps_per_run

    text = configs.to_json(config)
    field = {FLEET: [*range(n_seeds)], ALONE: [0]}
    results = race(
        [
            Contestant(name, f"{HERE}:runner", {"config": text, "seeds": seeds})
            for name, seeds in field.items()
        ],
        [STEP],
        rounds=rounds,
        turn=turn,
        tell=tell,
    )
    found = {}
    for name, result in results.items():
        if result.error:
            raise RuntimeError(f"{name}: {result.error}")
        n = steps_per_run(config)
        ms = [1000 * s / n for s in result.seconds[STEP]]
        found[name] = {"ms_per_step": statistics.median(ms), "samples_ms": ms}
        found[name] |= result.facts
    ms = {name: row["ms_per_step"] for name, row in found.items()}
    return {"ratio": n_seeds * ms[ALONE] / ms[FLEET], **found}


def runner(config: str, seeds: list[int]) -> Runner:
    """The training loop of these seeds, in this process."""
    from experiments import process

    process.configure(cores_apart=len(seeds) > 1)
    from experiments.benchmark import steps_per_run

    config = configs.from_json(config)
    n_steps = steps_per_run(config)
    # Past the moves that WGAN begins with.
    go = _loop(config, seeds, config.get("warmup", 0))
    began = time.perf_counter()
    go(n_steps)
    first = time.perf_counter() - began
    facts = {"lanes": len(seeds), "steps": n_steps, "first_seconds": first}
    return Runner({STEP: lambda: go(n_steps)}, facts)


# --- in total ------------------------------------------------------------------------


def in_total(config, n_seeds: int, *, steps: int, repeats: int, tell) -> dict:
    """Returns {"steps", "ratio", "ratio_cached", name: [one dict a repeat]}.

    Of each repeat: seconds of the processes, added up; of these, seconds to the end of
    the first call; CPU seconds, of which other work on the machine has no share; the
    most memory that one of them has needed. Runs that are "cached" share a compilation
    cache that is empty at first; the others, and the fleet, have none. Ratios are
    medians over the repeats, and above 1 where the fleet is cheaper.
    """
    text = configs.to_json(config)
    found = {FLEET: [], ALONE: [], CACHED: []}
    for i in range(repeats):
        processes = {name: [] for name in found}
        with tempfile.TemporaryDirectory() as cache:

            def run(name, seeds, cache=None, i=i, processes=processes):
                tell(f"repeat {i + 1} of {repeats}, {name}, seeds {seeds}")
                processes[name].append(_process(text, seeds, steps, cache))

            for seed in range(n_seeds):
                if seed == n_seeds // 2:  # a machine's speed changes
                    run(FLEET, [*range(n_seeds)])
                run(ALONE, [seed])
                run(CACHED, [seed], cache)
        for name, own in processes.items():
            found[name].append(_summed(own))

    def ratio(name):
        pairs = zip(found[name], found[FLEET], strict=True)
        return statistics.median(a["seconds"] / b["seconds"] for a, b in pairs)

    ratios = {"ratio": ratio(ALONE), "ratio_cached": ratio(CACHED)}
    return {"steps": steps, **ratios, **found}


def _summed(processes):
    total = {
        key: sum(p[key] for p in processes)
        for key in ("lanes", "seconds", "first_seconds", "cpu_seconds")
    }
    total["peak_memory_bytes"] = max(p["peak_memory_bytes"] for p in processes)
    return total | {"processes": processes}


def _process(config, seeds, steps, cache):
    """What `whole` says of a new process, and the seconds that it has taken."""
    kept = {k: v for k, v in os.environ.items() if k != "JAX_COMPILATION_CACHE_DIR"}
    where = (
        {"JAX_COMPILATION_CACHE_DIR": cache}
        if cache
        else {"JAX_ENABLE_COMPILATION_CACHE": "false"}
    )
    job = {"config": config, "seeds": seeds, "steps": steps, "began": time.time()}
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", f"import {HERE} as here; here.whole()"],
        input=json.dumps(job),
        env=kept | ENVIRONMENT | where,
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
    """A process's work: the job of stdin; says how it went, as the last line."""
    job = json.load(sys.stdin)
    from experiments import process

    process.configure(cores_apart=len(job["seeds"]) > 1)
    if os.environ.get("JAX_COMPILATION_CACHE_DIR"):
        process.compilation_cache()
    import jax

    from experiments.rundir import manifest

    events = []
    jax.monitoring.register_event_listener(lambda event, **_: events.append(event))
    config = configs.from_json(job["config"])
    config.steps = job["steps"]
    go = _loop(config, job["seeds"], 0)
    go(config.steps_per_call)
    first = time.time() - job["began"]
    n_done = go(config.steps - config.steps_per_call)
    said = {"lanes": len(job["seeds"]), "steps": n_done, "first_seconds": first}
    said["cpu_seconds"] = time.process_time()
    said["cache_hits"] = events.count("/jax/compilation_cache/cache_hits")
    print(json.dumps(said | {"peak_memory_bytes": manifest.peak_memory()}))


# --- the two loops -------------------------------------------------------------------


def _loop(config, seeds, start):
    """go(n) trains n steps more, waits for them, returns the state's step.

    Of one seed as `experiments.training.loop` does it, of more as
    `experiments.ablations.replicas` does.
    """
    # All that the command imports: to start takes that long.
    command = "ablations.replicas" if len(seeds) > 1 else "training.loop"
    importlib.import_module(f"experiments.{command}")
    import jax

    from gans.data import pipeline

    batches = {}
    for seed in seeds:
        own = config.copy_and_resolve_references()
        own.seed = seed
        source = configs.load_data(own)
        batches[seed] = pipeline.batches(
            source, config.batch_size, seed=seed, flip=config.flip
        )
    begin = _fleet if len(seeds) > 1 else _alone
    state, call = begin(config, batches, start)
    state = state.replace(step=state.step + start)
    step = start

    def go(n):
        nonlocal state, step
        waiting = []
        for _ in range(n // config.steps_per_call):
            state, found = call(state, step)
            step += config.steps_per_call
            waiting.append(found)
            if len(waiting) > 1:  # the host is one call ahead of the device, not more
                jax.block_until_ready(waiting.pop(0))
        jax.block_until_ready((state, waiting))
        return int(state.step)

    return go


def _alone(config, batches, start):
    from experiments.training.programs import Programs
    from gans.data import pipeline

    ((seed, own),) = batches.items()
    programs = Programs(
        configs.build(config),
        seed=seed,
        batch=own[0],
        prepare=own.prepare,
        per_call=config.steps_per_call,
    )
    compiling = programs.start_compiling()
    state, key = programs.init(0), programs.key(0)
    windows = pipeline.iterate(own, start, per_call=config.steps_per_call)
    train, _ = compiling.result()

    def call(state, step):
        del step  # the windows come in order
        return train(state, programs.put_batch(next(windows)), key)

    return state, call


def _fleet(config, batches, start):
    del start
    from experiments.training.vmapped import Fleet

    fleet = Fleet(
        lambda values: configs.build(config),
        values={},
        seeds=[*batches],
        batches=batches,
        per_call=config.steps_per_call,
    )

    def call(state, step):
        state, *found = fleet.call(state, step)
        return state, found

    return fleet.init(), call


# --- as text -------------------------------------------------------------------------


def shown(found: dict) -> str:
    """The figures of a config as text."""
    n, step, total = found["seeds"], found["step"], found["total"]
    lines = [
        f"{found['config']}, batch {found['batch_size']}, {n} seeds",
        f"  {'a step of all':24}{'ms':>10}{'ratio':>43}",
        f"  {FLEET:24}{step[FLEET]['ms_per_step']:10.4g}",
        f"  {ALONE:24}{n * step[ALONE]['ms_per_step']:10.4g}{step['ratio']:43.2f}",
        f"  {total['steps']:,} steps from nothing".ljust(26)
        + f"{'s':>10}{'to 1st call':>13}{'CPU s':>9}{'memory':>12}{'ratio':>9}",
    ]
    for name, ratio in ((FLEET, None), (ALONE, "ratio"), (CACHED, "ratio_cached")):
        middle = {
            key: statistics.median(repeat[key] for repeat in total[name])
            for key in (
                "seconds",
                "first_seconds",
                "cpu_seconds",
                "peak_memory_bytes",
            )
        }
        lines.append(
            f"  {name:24}{middle['seconds']:10.1f}{middle['first_seconds']:13.1f}"
            f"{middle['cpu_seconds']:9.1f}{middle['peak_memory_bytes'] / 2**20:9.0f} MB"
            + (f"{total[ratio]:9.2f}" if ratio else "")
        )
    return "\n".join(lines)
