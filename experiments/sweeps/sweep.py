"""A sweep in its folder: its trials, on this machine or a cluster, and its report."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from experiments import config as configs
from experiments.rundir.lock import Lock
from experiments.signals import Interrupted, Signals
from experiments.sweeps import checking, report, search
from experiments.sweeps import space as spaces
from experiments.sweeps import trial as trials

POLL = 0.2  # seconds


def run(
    config: ConfigDict,
    space: dict[str, spaces.Range],
    workdir: Path,
    *,
    n_trials: int = 20,
    n_workers: int = 1,
    sampler: str = "tpe",
    seed: int = 0,
    prune: bool = True,
    engine: str = "optuna",
    name: str = "",
    preset: str = "",
    command: str = "",
    train: Sequence[str] = (),
    process: Sequence[str] = trials.COMMAND,
    keep_changed: bool = False,
) -> dict[str, Any]:
    """Searches until there are `n_trials`, and reports; returns what sweep.json holds.

    Args:
      config: one that experiments.config.check accepts.
      space: what varies in it.
      workdir: the folder for all files.
      n_trials: how many trials shall finish or be pruned, including earlier calls'.
      n_workers: trials at a time.
      sampler: "tpe" or "random".
      seed: of the sampler; runs have config.seed.
      prune: whether trials end early, by the median of others at the same step.
      engine: "optuna" (processes on this machine) or "ray" (a cluster).
      name, preset: of the config, for the report.
      command: the command line, for the report.
      train: the flags of experiments.run that train `config`.
      process: the command of a trial.
      keep_changed: goes on although the user's own code has changed since earlier
        trials.

    Raises ValueError for a search that cannot be run, and if `n_trials` trials fail;
    Interrupted after a signal.
    """
    start, lock = run_trials, Lock(workdir, "sweep", config.data)
    if engine == "ray":
        from experiments.sweeps import ray  # an optional package

        start = ray.run_trials
    config = check(config, space, prune)
    workdir = workdir.absolute()
    protocol = {"sampler": sampler, "seed": seed, "prune": prune}
    with lock:
        if not (workdir / search.NAME).exists():
            search.create(workdir, config, space, protocol=protocol, process=process)
        head = {"name": name, "preset": preset, "command": command, "train": train}
        with Signals() as signals:
            try:
                found = search.Search(
                    workdir,
                    config,
                    space,
                    n_trials=n_trials,
                    protocol=protocol,
                    head=head,
                    keep_changed=keep_changed,
                )
            except search.OtherSweep:
                checking.check(config, space, process)  # a wrong value is called wrong
                raise
            start(found, n_workers, lambda: signals.number is not None, process)
            results = found.write(importances=True)
            report.write(workdir)
    if signals.number is not None:
        raise Interrupted(signals.number)
    if found.n_missing > 0:
        raise ValueError(
            f"{found.n_failed} trials have failed, the last with: {found.error}"
        )
    return results


def check(
    config: ConfigDict, space: dict[str, spaces.Range], prune: bool = True
) -> ConfigDict:
    """Returns the config with the evaluations that pruning needs.

    Raises ValueError for a space that does not fit the config.
    """
    if not config.metrics:
        raise ValueError("config.metrics is empty; its first entry is the objective")
    spaces.check(config, space)
    config = config.copy_and_resolve_references()
    if prune and not config.evaluate_every:
        calls = config.steps // config.steps_per_call
        config.evaluate_every = max(calls // 5, 1) * config.steps_per_call
        print(
            f"config.evaluate_every={config.evaluate_every}, a fifth of config.steps: "
            "pruning needs evaluations",
            file=sys.stderr,
        )
    left_out = []
    for values in spaces.corners(space):
        changes = spaces.changes(config, values)
        configs.check(configs.override(config, changes, say=left_out.append))
    for line in dict.fromkeys(left_out):
        print(line, file=sys.stderr)
    return config


def run_trials(
    search: Any, n_workers: int, stopping: Callable[[], bool], process: Sequence[str]
) -> None:
    """Runs the trials that a Search asks for, in processes on this machine."""
    share = {"XLA_PYTHON_CLIENT_MEM_FRACTION": f"{0.75 / n_workers:.3f}"}
    running, asked = {}, False  # running: {trial: its number}
    try:
        while True:
            while len(running) < n_workers and not stopping():
                request = search.next()
                if request is None:
                    break
                running[trials.Trial(request, process, share)] = request["number"]
            if not running:
                return
            for trial in wait([*running], timeout=POLL):
                number, message = running[trial], trial.receive()
                answer = search.take(number, message, stopping())
                if message["kind"] == "value":
                    trial.answer(answer)
                elif message["kind"] == "ended":
                    del running[trial]
                    trial.close()
            if stopping() and not asked:
                asked = True
                for trial in running:
                    trial.stop()
    finally:
        for trial in running:
            trial.close()
