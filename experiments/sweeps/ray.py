"""A sweep's trials on the machines of a Ray cluster, through Ray Tune.

    python -m experiments.sweep --engine=ray --workers=8 ...

The search is the same, in the same sweep.db. Ray Tune asks it for trials, gives each
one a CPU and, if the cluster has any, a GPU, and learns from it which trials to stop.
So either engine can continue a sweep that the other has begun. RAY_ADDRESS names the
cluster; without it one is started on this machine. The code and the workdir must be
under the same path on every machine.
"""

from __future__ import annotations

import json
import logging
import os
import signal
from collections.abc import Callable, Sequence
from multiprocessing.connection import wait
from typing import Any

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
# The sweep does its own logging and handles Ctrl-C.
os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] = "1"
os.environ["TUNE_DISABLE_SIGINT_HANDLER"] = "1"
os.environ["RAY_AIR_NEW_OUTPUT"] = "0"

import ray
from ray import tune
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from experiments.sweeps.trial import Trial

POLL = 1.0  # seconds


def run_trials(
    search: Any, n_workers: int, stopping: Callable[[], bool], process: Sequence[str]
) -> None:
    """Runs what a Search asks for: experiments.sweeps.sweep.run_trials on a cluster."""
    ours = not ray.is_initialized()
    if ours:
        before = signal.getsignal(signal.SIGTERM)
        ray.init(log_to_driver=False, logging_level="ERROR")
        signal.signal(signal.SIGTERM, before)  # Ray's would not wait for checkpoints
    gpus = ray.cluster_resources().get("GPU", 0)
    logging.getLogger("ray.tune").setLevel(logging.ERROR)
    try:
        tune.Tuner(
            tune.with_resources(_Train, {"cpu": 1, "gpu": 1 if gpus else 0}),
            tune_config=tune.TuneConfig(
                search_alg=_Searcher(search, n_workers, process),
                scheduler=_Pruning(search, stopping),
                reuse_actors=True,
                num_samples=-1,  # until the searcher has finished
                trial_dirname_creator=lambda trial: f"{_number(trial):04d}",
            ),
            run_config=tune.RunConfig(
                name="ray",
                storage_path=str(search.workdir),
                stop=_Stopper(stopping),
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
                verbose=0,
            ),
        ).fit()
    finally:
        if ours:
            ray.shutdown()


class _Train(tune.Trainable):
    """On a machine of the cluster: a trial in its process; passes its messages on."""

    def setup(self, config):
        self.trial = Trial(config["request"], config["process"])
        self.asked = False

    def step(self):
        if self.asked:  # and it has not been stopped
            self.trial.answer(False)
        self.asked, message = False, None
        if wait([self.trial], timeout=POLL):  # else it could not be stopped
            message = self.trial.receive()
            self.asked = message["kind"] == "value"
        ended = message is not None and message["kind"] == "ended"
        return {"message": json.dumps(message), "done": ended}

    def cleanup(self):
        self.trial.close()

    def reset_config(self, new_config):
        self.cleanup()
        self.setup(new_config)
        return True


class _Searcher(Searcher):
    """Asks the search for trials, at most `n_workers` at a time."""

    def __init__(self, search, n_workers, process):
        super().__init__()
        self.search, self.n_workers, self.process = search, n_workers, [*process]

    def set_search_properties(self, metric, mode, config, **spec):
        return True

    def suggest(self, trial_id):
        if self.search.n_active >= self.n_workers:
            return None
        request = self.search.next()
        if request is None:
            return None if self.search.n_active else Searcher.FINISHED
        return {"request": request, "process": self.process}

    def on_trial_complete(self, trial_id, result=None, error=False):
        pass  # the scheduler reports it

    def save(self, checkpoint_path):
        pass  # the study is on disk

    def restore(self, checkpoint_path):
        pass


class _Pruning(FIFOScheduler):
    """Reports a trial's messages to the search; stops the trial if it is pruned."""

    def __init__(self, search, stopping):
        super().__init__()
        self.search, self.stopping = search, stopping

    def on_trial_result(self, tune_controller, trial, result):
        pruned = self._take(trial, json.loads(result["message"]))
        return TrialScheduler.STOP if pruned else TrialScheduler.CONTINUE

    def on_trial_error(self, tune_controller, trial):
        self._take(trial, {"kind": "ended", "error": "lost by Ray"})

    def _take(self, trial, message):
        if message is None:
            return False
        return self.search.take(_number(trial), message, self.stopping())


def _number(trial):
    return trial.config["request"]["number"]


class _Stopper(tune.Stopper):
    """Ends all trials after a signal; they write a checkpoint."""

    def __init__(self, stopping):
        self.stopping = stopping

    def __call__(self, trial_id, result):
        return False

    def stop_all(self):
        return self.stopping()
