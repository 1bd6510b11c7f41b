"""What the process of a trial does: checks configs, or trains one."""

from __future__ import annotations

import fcntl
import json
import os
import sys
import traceback
from pathlib import Path
from typing import Any

import jax

from experiments import config as configs
from experiments.pages import run as page
from experiments.rundir import manifest
from experiments.signals import Interrupted
from experiments.training import loop
from experiments.training.stage import Stages
from gans import core

N_CHECK = 1000  # samples of the evaluation that shows whether there can be one


class Pruned(Exception):
    """The sweep has pruned this run."""


def work(request: dict[str, Any], line: Any) -> int:
    """Does what the sweep asks for; returns the exit code of the process.

    line: the `experiments.sweeps.trial.Line` to the sweep.
    """
    try:
        if request["kind"] == "check":
            line.say(kind="checked", **_check(request["configs"]))
        else:
            _train(request, line)
    except Interrupted as error:
        return 128 + error.number
    except Exception as error:
        if not isinstance(error, (ValueError, OSError, *loop.ERRORS)):
            traceback.print_exc()
        name = "" if isinstance(error, loop.ERRORS) else f"{type(error).__name__}: "
        text = str(error)
        if request["kind"] != "check":
            print(f"{name}{text}", file=sys.stderr)
            text = (text.splitlines() or [""])[0]
        line.say(kind="failed", error=f"{name}{text}")
    return 0


def _check(texts):
    """Builds configs and evaluates the first; returns {"objective", "better"}.

    All stages are built, and the last one is evaluated. This also puts the features of
    the real images into the cache.
    """
    source = None
    for text in texts:
        config = configs.from_json(text)
        config.n_evaluate = min(config.n_evaluate, N_CHECK)
        source = source or configs.load_data(config)
        stages = Stages(configs.resolve(config, source), source)
        if text is texts[0]:
            last = stages.get(len(stages) - 1)
            report = last.evaluate(core.init(last.gan, jax.random.key(config.seed)))
        stages.close()
    name = report["chosen_by"]
    if name is None:
        failed = "; ".join(f"{x}: {why}" for x, why in report["failed"].items())
        raise ValueError(f"config.metrics: the objective cannot be computed: {failed}")
    return {"objective": f"eval/{name}", "better": report["results"][name]["better"]}


def _train(request, line):
    folder = Path(request["folder"])
    folder.mkdir(parents=True, exist_ok=True)
    log = open(folder / "log.txt", "ab")
    os.dup2(log.fileno(), 1)
    os.dup2(log.fileno(), 2)
    fcntl.flock(log, fcntl.LOCK_EX)  # the process before may still be writing

    config = configs.from_json(request["config"])

    def on_evaluation(step, values):
        last = step >= config.steps
        if line.ask(kind="value", step=step, values=values, last=last):
            raise Pruned(step)

    try:
        loop.train(
            config,
            folder,
            command=request["command"],
            on_evaluation=on_evaluation,
        )
    except Pruned as error:
        status = {"status": f"pruned after step {error}"}
        manifest.write(folder, manifest.read(folder) | status)
        page.write(folder)
        return
    # A run that had already ended is not evaluated again.
    last = json.loads((folder / "evaluations.jsonl").read_text().splitlines()[-1])
    values = {f"eval/{name}": x["value"] for name, x in last["results"].items()}
    known = manifest.read(folder)
    shown = {key: known[key] for key in ("seconds", "hardware", "versions")}
    line.say(kind="finished", step=last["step"], values=values, run=shown)
