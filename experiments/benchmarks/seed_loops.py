"""The training loops that `experiments.benchmarks.seeds` compares."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable
from typing import Any

import jax

from experiments import config as configs
from experiments.benchmarks import workload
from experiments.benchmarks.timing import Runner
from experiments.rundir import manifest
from experiments.training import ahead
from gans.data import pipeline


def runner(config: str, seeds: list[int]) -> Runner:
    """The training loop of these seeds, a few steps at a time."""
    config = configs.from_json(config)
    n_steps = workload.steps_per_run(config)
    # Past WGAN's first steps, in which the generator waits longer. Other variants have
    # no such key.
    train = loop(config, seeds, config.get("warmup", 0))
    began = time.perf_counter()
    train(n_steps)
    seconds = time.perf_counter() - began
    details = {"replicas": len(seeds), "steps": n_steps, "first_seconds": seconds}
    return Runner({"step": lambda: train(n_steps)}, details)


def report(config: str, seeds: list[int], steps: int, began: float) -> dict[str, Any]:
    """Trains these seeds for `steps`; returns what it took since the time `began`."""
    events = []
    jax.monitoring.register_event_listener(lambda event, **_: events.append(event))
    config = configs.from_json(config)
    config.steps = steps
    train = loop(config, seeds, 0)
    train(config.steps_per_call)
    first = time.time() - began
    n_done = train(steps - config.steps_per_call)
    return {
        "replicas": len(seeds),
        "steps": n_done,
        "first_seconds": first,
        "cpu_seconds": time.process_time(),
        "cache_hits": events.count("/jax/compilation_cache/cache_hits"),
        "peak_memory_bytes": manifest.peak_memory(),
    }


def loop(config, seeds: list[int], start: int) -> Callable[[int], int]:
    """Returns train(n): trains n more steps, waits for them, returns the state's step.

    One seed is trained as `experiments.training.loop` does it, several as
    `experiments.ablations.replicas` does.

    start: the first step.
    """
    # All that the command imports: it is part of the time that a run takes.
    room = "ablations.replicas" if len(seeds) > 1 else "training.loop"
    importlib.import_module(f"experiments.{room}")
    batches = {}
    for seed in seeds:
        own = config.copy_and_resolve_references()
        own.seed = seed
        source = configs.load_data(own)
        batches[seed] = pipeline.batches(
            source,
            config.batch_size,
            seed=seed,
            flip=config.flip,
            weights=config.data_weights or None,
        )
    begin = vmapped if len(seeds) > 1 else alone
    state, call = begin(config, batches, start)
    state = state.replace(step=state.step + start)
    step = start

    def train(n):
        nonlocal state, step
        found = None
        for done in ahead.steps(call, state, step, step + n, config.steps_per_call):
            step, state, found = done
        jax.block_until_ready((state, found))
        return int(state.step)

    return train


def alone(config, batches, start: int):
    """Returns (state, call) of one run; call(state, step) -> (state, metrics)."""
    from experiments.training.programs import Programs  # part of the time, as above

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
    stacked = pipeline.iterate(own, start, per_call=config.steps_per_call)
    train, _ = compiling.result()

    def call(state, step):
        del step  # batches come in order
        return train(state, programs.put_batch(next(stacked)), key)

    return state, call


def vmapped(config, batches, start: int):
    """Returns (states, call) of one replica per seed, as `alone` does."""
    del start
    from experiments.training.vmapped import VmappedRuns  # as above

    runs = VmappedRuns(
        lambda values: configs.build(config),
        values={},
        seeds=[*batches],
        batches=batches,
        per_call=config.steps_per_call,
    )

    def call(state, step):
        state, *found = runs.call(state, step)
        return state, found

    return runs.init(), call
