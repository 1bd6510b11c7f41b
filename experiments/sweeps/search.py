"""The trials of a sweep, wanted and done: a study of Optuna in a file."""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from ml_collections import ConfigDict
from optuna import importance
from optuna.pruners import MedianPruner, NopPruner
from optuna.samplers import RandomSampler, TPESampler
from optuna.trial import TrialState

from experiments import config as configs
from experiments import own_code
from experiments.files import replacing
from experiments.sweeps import study_file
from experiments.sweeps.checking import check
from experiments.sweeps.progress import Progress
from experiments.sweeps.space import Range, changes, flags, floats
from experiments.sweeps.trial import COMMAND, Message

NAME = "sweep.db"
SAMPLERS = {"tpe": TPESampler, "random": RandomSampler}
# Keys that do not affect the results: those of configs.FREE but for the evaluations'.
FREE = configs.FREE - {"evaluate_every", "n_evaluate", "metrics", "extractor", "on_nan"}
STARTUP, WARM_UP = 5, 0.3  # trials that are never pruned, and share of the steps

optuna.logging.set_verbosity(optuna.logging.WARNING)


class OtherSweep(ValueError):
    """A folder holds a sweep of another config, space or protocol."""


def create(
    workdir: Path,
    config: ConfigDict,
    space: dict[str, Range],
    *,
    protocol: dict[str, Any],
    process: Sequence[str] = COMMAND,
) -> None:
    """Writes WORKDIR/sweep.db, with no trial in it yet, after a `check`.

    Args:
      workdir: created if it does not exist.
      config, space: what is searched.
      protocol: {"sampler": one of SAMPLERS, "seed", "prune"}.
      process: the command of a trial.
    """
    kept = check(config, space, process)
    workdir.mkdir(parents=True, exist_ok=True)
    kept["protocol"] = _protocol(config, space, protocol)
    kept["code"] = _code(config, space)
    direction = {"lower": "minimize", "higher": "maximize"}[kept["better"]]
    study_file.write(workdir / NAME, direction, kept)


def _protocol(config, space, given):
    return given | {
        "config": json.loads(configs.to_json(config)),
        "space": {key: str(found) for key, found in space.items()},
    }


def _code(config, space):
    """The user's own code that trials may name."""
    choices = {key: found.values for key, found in space.items()}
    return own_code.code({"config": config.to_dict(), "space": choices})


def _converted(protocol):
    """A protocol, of any version, with today's keys in the config and the space."""
    space = {configs.renamed(key): x for key, x in protocol["space"].items()}
    config = configs.from_json(json.dumps(protocol["config"])).to_dict()
    return protocol | {"config": config, "space": space}


class Search:
    """The search, as a study in WORKDIR/sweep.db.

    The parameters of each trial are drawn by a sampler with its own seed, so they
    depend only on the trials before it, not on when the sweep was stopped.

    Attributes:
      n_failed: the number of trials that have failed in this session.
      error: the error of the last of them.
    """

    def __init__(
        self,
        workdir: Path,
        config: ConfigDict,
        space: dict[str, Range],
        *,
        n_trials: int,
        protocol: dict[str, Any],
        head: dict[str, Any],
        keep_changed: bool = False,
    ):
        """Opens the study that `create` has made.

        Args:
          workdir, config, space, protocol: as in `create`.
          n_trials: how many trials are wanted.
          head: "name", "preset", "command", for the report, and "train", the flags of
            experiments.run that give `config`.
          keep_changed: goes on although the user's own code has changed.

        Raises OtherSweep if the study belongs to another one, ValueError if it does to
        former code.
        """
        self.workdir, self.config, self.space = workdir, config, space
        self.n_trials, self.n_failed, self.error = n_trials, 0, ""
        self._head, self._protocol = head, _protocol(config, space, protocol)
        self.study = self._load()
        known = self.study.user_attrs
        self._compare(_converted(known["protocol"]), _converted(self._protocol))
        if known["protocol"]["space"].keys() != self._protocol["space"].keys():
            study_file.rename(workdir / NAME, self.study, self._protocol)
            self.study = self._load()
        self._compare_code(known.get("code"), _code(config, space), keep_changed)
        self.objective, self.better = known["objective"], known["better"]
        self._active, self._waiting = {}, self._left()
        self._progress = Progress(n_trials, self.objective.removeprefix("eval/"))

    def _load(self):
        return optuna.load_study(
            storage=study_file.storage(self.workdir / NAME),
            study_name="sweep",
            pruner=MedianPruner(STARTUP, int(WARM_UP * self.config.steps))
            if self._protocol["prune"]
            else NopPruner(),
        )

    def _compare(self, old, new):
        changed = configs.differences(old["config"], new["config"], FREE)
        changed += configs.differences(
            *({k: v for k, v in x.items() if k != "config"} for x in (old, new))
        )
        if changed:
            lines = "\n  ".join(changed)
            raise OtherSweep(
                f"{self.workdir} holds another sweep:\n  {lines}\n"
                "choose another --workdir"
            )

    def _compare_code(self, old, new, keep):
        changed = own_code.changed(old, new)
        if changed and not keep:
            raise ValueError(
                f"{self.workdir} holds trials of other code: "
                f"{own_code.listed(changed)} changed since; --changed=keep goes on "
                "beside their results; another --workdir starts anew"
            )
        if old != new:
            self.study.set_user_attr("code", new)

    def _left(self):
        """Trials that were running when the sweep was stopped; they are continued."""
        left = []
        for trial in self._trials(TrialState.RUNNING):
            if set(trial.params) == set(self.space):
                left.append(trial.number)
            else:  # killed before it had its parameters
                self.study.tell(trial.number, state=TrialState.FAIL)
        return left

    def _trials(self, *states):
        return self.study.get_trials(deepcopy=False, states=states or None)

    def _handle(self, number):
        return optuna.trial.Trial(self.study, self._trials()[number]._trial_id)

    # --- which trials

    @property
    def n_active(self) -> int:
        """The number of running trials."""
        return len(self._active)

    @property
    def n_done(self) -> int:
        """The number of trials that have finished or were pruned."""
        return len(self._trials(TrialState.COMPLETE, TrialState.PRUNED))

    @property
    def n_missing(self) -> int:
        """How many trials are still to be started."""
        return self.n_trials - self.n_done - self.n_active

    def next(self) -> dict[str, Any] | None:
        """Returns the request of the next trial, or None if there is none."""
        if self.n_missing <= 0 or self.n_failed >= self.n_trials:
            return None
        if self._waiting:
            number = self._waiting.pop(0)
            trial = self._handle(number)
        else:
            number = len(self._trials())
            self.study.sampler = self._sampler(number)
            trial = self.study.ask(
                {key: found.distribution() for key, found in self.space.items()}
            )
        self._active[number] = trial
        return self._request(number, trial.params)

    def _sampler(self, number):
        words = np.random.SeedSequence((self._protocol["seed"], number))
        seed = int(words.generate_state(1)[0])
        return SAMPLERS[self._protocol["sampler"]](seed=seed)

    def _request(self, number, params):
        values = self._values(params)
        changed = changes(self.config, values)
        return {
            "kind": "train",
            "number": number,
            "config": configs.to_json(configs.override(self.config, changed)),
            "folder": str(self.workdir / "trials" / f"{number:04d}"),
            "cwd": str(Path.cwd()),
            "command": self._command(params),
            "inputs": floats(self.space),
        }

    def _values(self, params):
        """{key: value} for the config, from Optuna's values, in the space's order."""
        return {key: found.value(params[key]) for key, found in self.space.items()}

    def _command(self, params):
        """The command that trains this trial again."""
        own = flags(self.config, self._values(params))
        own.append(f"--config.evaluate_every={self.config.evaluate_every}")
        keys = {flag.partition("=")[0] for flag in own}
        before = [x for x in self._head["train"] if x.partition("=")[0] not in keys]
        return shlex.join(["python", "-m", "experiments.run", *before, *own])

    # --- results

    def take(self, number: int, message: Message, stopping: bool = False) -> Any:
        """Records a trial's message; returns the answer, whether it is pruned.

        A trial that ends without a result has failed, unless the sweep is stopping:
        then it is continued next time.
        """
        trial = self._active.get(number)
        if trial is None:  # pruned
            return True
        match message["kind"]:
            case "step":
                step = message["step"], message["steps"]
                self._progress.step(number, *step, self.n_done)
            case "value":
                shown = (message[key] for key in ("step", "values", "last"))
                return self._report(trial, *shown)
            case "finished":
                self._finish(trial, message)
            case "failed":
                self._fail(number, message["error"])
            case "ended" if stopping:
                del self._active[number]
            case "ended":
                self._fail(number, message["error"])
        return None

    def _report(self, trial, step, values, last):
        value = _number(values.get(self.objective))
        known = self._trials()[trial.number].intermediate_values
        if step not in known:  # else it has been resumed from an earlier checkpoint
            trial.report(value, step)
        steps = self.config.steps
        self._progress.step(trial.number, step, steps, self.n_done, value)
        if last or not trial.should_prune():
            return False
        self._tell(trial.number, f"pruned after step {step}", state=TrialState.PRUNED)
        return True

    def _finish(self, trial, message):
        value = _number(message["values"].get(self.objective))
        if math.isnan(value):
            self._fail(trial.number, f"{self.objective} is not finite")
            return
        trial.set_user_attr("values", message["values"])
        trial.set_user_attr("run", message["run"])
        self._tell(trial.number, f"finished with {value:.6g}", value)

    def _fail(self, number, error):
        self.n_failed, self.error = self.n_failed + 1, error
        self._active[number].set_user_attr("error", error)
        self._tell(number, f"failed: {error}", state=TrialState.FAIL)

    def _tell(self, number, what, value=None, state=None):
        self.study.tell(number, value, state=state)
        del self._active[number]
        so_far = ""
        if self._trials(TrialState.COMPLETE):
            best = self.study.best_trial
            so_far = f" (best: {best.value:.6g} of trial {best.number})"
        self._progress.ended(number, f"trial {number} {what}{so_far}")
        self.write()

    def write(self, importances: bool = False) -> dict[str, Any]:
        """Writes sweep.json, as experiments/sweeps/report.py reads it.

        importances: whether to compute the keys' importances, which takes seconds.
        """
        names = {"COMPLETE": "finished", "PRUNED": "pruned", "FAIL": "failed"}
        sign = 1 if self.better == "lower" else -1
        found = []
        for trial in self._trials():
            if set(trial.params) != set(self.space):
                continue
            curve = sorted(trial.intermediate_values.items())
            good = [(sign * x, step) for step, x in curve if not math.isnan(x)]
            best = min(good, default=None)
            found.append(
                {
                    "number": trial.number,
                    "status": names.get(trial.state.name, "not finished"),
                    "error": trial.user_attrs.get("error"),
                    "params": self._values(trial.params),
                    "final": trial.value if trial.state.name == "COMPLETE" else None,
                    "best": best and {"step": best[1], "value": sign * best[0]},
                    "curve": [[s, None if math.isnan(x) else x] for s, x in curve],
                    "values": trial.user_attrs.get("values", {}),
                    # Studies of former versions have "facts".
                    **trial.user_attrs.get("run", trial.user_attrs.get("facts", {})),
                    "command": self._command(trial.params),
                }
            )
        results = {key: self._head[key] for key in ("name", "preset", "command")}
        results |= {
            "objective": self.objective,
            "better": self.better,
            "n_trials": self.n_trials,
            "steps": self.config.steps,
            "protocol": self._protocol,
            "importances": self._importances() if importances else None,
            "trials": found,
        }
        with replacing(self.workdir / "sweep.json") as path:
            Path(path).write_text(json.dumps(results, indent=1) + "\n")
        return results

    def _importances(self):
        """{key: share of the variance of the final values}; None for too few values."""
        done = self._trials(TrialState.COMPLETE)
        if len(done) < STARTUP or len({x.value for x in done}) < 2:
            return None
        evaluator = importance.FanovaImportanceEvaluator(seed=0)
        found = importance.get_param_importances(self.study, evaluator=evaluator)
        return {key: float(share) for key, share in found.items()}


def _number(value):
    """The value of a metric; nan if it is not finite."""
    good = value is not None and math.isfinite(value)
    return float(value) if good else math.nan
