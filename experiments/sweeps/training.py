"""What the process of a trial does: checks configs, or trains one."""

from __future__ import annotations

import fcntl
import functools
import json
import os
import sys
import time
import traceback
from pathlib import Path
from typing import Any

import jax

from configs import keys
from experiments import config as configs
from experiments import own_code
from experiments.own_code import CodeError
from experiments.pages import run as page
from experiments.rundir import manifest
from experiments.signals import Interrupted
from experiments.training import effects, loop
from experiments.training.stage import Stages
from gans import core

TELL_EVERY = 0.5  # seconds
N_CHECK = 1000  # samples of the evaluation that shows whether there can be one


class Pruned(Exception):
    """The sweep has pruned this run."""


def work(request: dict[str, Any], line: Any) -> int:
    """Does what the sweep asks for; returns the exit code of the process.

    line: the `experiments.sweeps.trial.Line` to the sweep.
    """
    try:
        if request["kind"] == "check":
            found = _check(request["configs"])
            _check_effects(request["pairs"])
            line.say(kind="checked", **found)
        else:
            _train(request, line)
    except Interrupted as error:
        return 128 + error.number
    except Exception as error:
        parts = request.get("configs") or [request["config"]]
        found = [own_code.explain(error, json.loads(text)) for text in parts]
        if own := next(filter(None, found), None):
            error = own
            own_code.show(own)
        elif not isinstance(error, (ValueError, OSError, *loop.ERRORS)):
            traceback.print_exc()
        plain = (*loop.ERRORS, CodeError)
        name = "" if isinstance(error, plain) else f"{type(error).__name__}: "
        text = str(error)
        if request["kind"] != "check":
            print(f"{name}{text}", file=sys.stderr)
            text = (text.splitlines() or [""])[0]
        line.say(kind="failed", error=f"{name}{text}")
    return 0


def _telling(line, steps):
    """Returns step -> None, which tells the sweep how far the run is, at times."""
    said = 0.0

    def tell(step):
        nonlocal said
        if time.monotonic() - said > TELL_EVERY:
            line.say(kind="step", step=step, steps=steps)
            said = time.monotonic()

    return tell


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


def _check_effects(pairs):
    """Raises ValueError for a key without effect: each of its pairs computes the same.

    pairs: {key: [[config, config], ...]}, pairs that differ in that key alone.
    """

    sources = {}

    @functools.cache
    def digest(text):
        config = configs.from_json(text)
        data = tuple(config[key] for key in (*keys.DATA, "seed"))
        try:
            if data not in sources:
                sources[data] = configs.load_data(config)
            return effects.digest(configs.resolve(config, sources[data]))
        except ValueError:  # of this pair alone: trials of it will fail and say so
            return text

    for key, texts in pairs.items():
        if all(digest(one) == digest(other) for one, other in texts):
            raise ValueError(
                f"--space: {key} has no effect: nothing reads it, or another key "
                "replaces it"
            )


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
            on_call=_telling(line, config.steps),
            inputs=[tuple(place) for place in request["inputs"]],
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
