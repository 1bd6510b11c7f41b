"""Searches a space of config values by many runs; poor ones are ended early.

    python -m experiments.sweep --config=configs/NAME.py[:PRESET] --space=SPACE
        [--workdir=DIR] [--trials=20] [--workers=1] [--sampler=tpe] [--seed=0]
        [--no-prune] [--engine=optuna] [--config.any.value=...]

SPACE is "n_critic=int(1, 5); generator.optimizer.learning_rate=log(1e-5, 1e-2)", or a
file of such lines: see experiments/sweeps/space.py. The objective is the final value of
the first of config.metrics. The workdir (by default runs/sweep-NAME-PRESET) receives
sweep.db, a study of Optuna; trials/NNNN, the workdirs of single runs; and report.html,
report.md, sweep.csv, sweep.json and sweep.png. The same command again continues where
the last one stopped, until --trials trials have finished or been pruned. --engine=ray
does the same on a cluster: see experiments/sweeps/ray.py.
"""

from __future__ import annotations

import contextlib
import fcntl
import shlex
import sys
from collections.abc import Callable, Sequence
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

from absl import app, flags, logging
from ml_collections import ConfigDict, config_flags

from experiments import cli
from experiments import config as configs
from experiments.sweeps import space as spaces
from experiments.sweeps import trial as trials

SAMPLERS, ENGINES = ("tpe", "random"), ("optuna", "ray")
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
) -> dict[str, Any]:
    """Searches until there are `n_trials`, and reports; returns what sweep.json holds.

    Args:
      config: one that experiments.config.check accepts.
      space: what varies in it.
      workdir: the folder for all files.
      n_trials: how many trials shall finish or be pruned, including earlier calls'.
      n_workers: trials at a time.
      sampler: one of SAMPLERS.
      seed: of the sampler; runs have config.seed.
      prune: whether trials end early, by the median of others at the same step.
      engine: one of ENGINES.
      name, preset: of the config, for the report.
      command: the command line, for the report.
      train: the flags of experiments.run that train `config`.
      process: the command of a trial.

    Raises ValueError for a search that cannot be run, and if `n_trials` trials fail;
    Interrupted after a signal.
    """
    from experiments.signals import Interrupted, Signals
    from experiments.sweeps import report, search

    start = run_trials
    if engine == "ray":
        from experiments.sweeps import ray

        start = ray.run_trials
    config = check(config, space, prune)
    workdir = workdir.absolute()
    protocol = {"sampler": sampler, "seed": seed, "prune": prune}
    if not (workdir / search.NAME).exists():
        search.create(workdir, config, space, protocol=protocol, process=process)
    with _alone(workdir), Signals() as signals:
        found = search.Search(
            workdir,
            config,
            space,
            n_trials=n_trials,
            protocol=protocol,
            head={"name": name, "preset": preset, "command": command, "train": train},
        )

        def stopping():
            return signals.number is not None

        start(found, n_workers, stopping, process)
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
    config = config.copy_and_resolve_references()
    if prune and not config.evaluate_every:
        calls = config.steps // config.steps_per_call
        config.evaluate_every = max(calls // 5, 1) * config.steps_per_call
        print(
            f"config.evaluate_every={config.evaluate_every}, a fifth of config.steps: "
            "pruning needs evaluations",
            file=sys.stderr,
        )
    for values in spaces.corners(space):
        configs.check(configs.override(config, spaces.changes(config, values)))
    return config


@contextlib.contextmanager
def _alone(workdir):
    """Locks the folder against other sweeps."""
    with open(workdir / "sweep.lock", "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ValueError(f"another sweep is running in {workdir}") from None
        yield


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


# --- command --------------------------------------------------------------------------


def main(argv):
    """Returns the exit code."""
    line = shlex.join(["python", "-m", "experiments.sweep", *sys.argv[1:]])
    logging.set_verbosity(logging.WARNING)
    from experiments.signals import Interrupted

    values = flags.FLAGS
    spec = cli.value_of("--config", sys.argv)
    name, preset = cli.chosen(sys.argv)
    workdir = values.workdir or cli.default_workdir(name, preset, "sweep")
    workdir = Path(workdir)
    own = [x for x in sys.argv[1:] if x.startswith("--config.")]
    try:
        run(
            values.config,
            spaces.parse(values.space),
            workdir,
            n_trials=values.trials,
            n_workers=values.workers,
            sampler=values.sampler,
            seed=values.seed,
            prune=not values["no-prune"].value,
            engine=values.engine,
            name=name,
            preset=preset,
            command=line,
            train=[f"--config={spec}", *own],
        )
    except Interrupted as error:
        return cli.stopped("interrupted", line, error.number)
    except ModuleNotFoundError as error:
        if error.name not in ENGINES:
            raise
        extra = "ray" if error.name == "ray" else "sweep"
        return cli.failed(f"{error.name} is not installed: pip install -e '.[{extra}]'")
    except (ValueError, OSError) as error:
        return cli.failed(error)
    print(workdir / "report.html")
    return 0


def _check(config):
    configs.check(config)
    if not flags.FLAGS.space:
        raise ValueError("--space is missing: --space='KEY=log(low, high); ...'")
    for name in ("trials", "workers"):
        if flags.FLAGS[name].value < 1:
            raise ValueError(f"--{name}={flags.FLAGS[name].value} must be at least 1")
    spaces.parse(flags.FLAGS.space)


if __name__ == "__main__":
    config_flags.DEFINE_config_file("config", help_string="Config file, and preset.")
    flags.DEFINE_string(
        "space", None, "What varies: KEY=log(low, high); ...; or a file."
    )
    flags.DEFINE_string("workdir", None, "By default runs/sweep-NAME-PRESET.")
    flags.DEFINE_integer("trials", 20, "Trials in all, finished or pruned.")
    flags.DEFINE_integer("workers", 1, "Trials at a time.")
    flags.DEFINE_enum("sampler", "tpe", SAMPLERS, "How values are drawn.")
    flags.DEFINE_integer("seed", 0, "Of the sampler; runs have config.seed.")
    flags.DEFINE_boolean("no-prune", False, "Train every trial to its end.")
    flags.DEFINE_enum("engine", "optuna", ENGINES, "Processes here, or a Ray cluster.")
    app.run(main, flags_parser=lambda argv: cli.parse(argv, check=_check))
