"""Trains and evaluates the replicas of one program of an ablation; resumes exactly."""

from __future__ import annotations

import contextlib
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np

from experiments import config as configs
from experiments.ablations.arms import Program
from experiments.ablations.progress import Progress
from experiments.evaluation import reports
from experiments.rundir.checkpoint import Checkpoints
from experiments.sampling import pictures
from experiments.sampling.samplers import Samplers
from experiments.training import ahead
from experiments.training.vmapped import VmappedRuns, replica
from gans.data import pipeline
from gans.data.spec import Spec

SAVE_EVERY = 300  # seconds, between evaluations; after each there is a checkpoint
N_IMAGES = 36  # in the picture of a replica


def n_drawn(spec: Spec) -> int:
    """Returns how many samples of a replica its pictures need: 36 of images alone."""
    drawn = {field.kind for field in spec.values() if pictures.drawable(field.kind)}
    return N_IMAGES if drawn == {"image"} else pictures.count(spec)


class Replicas:
    """The replicas of one program, with a folder of checkpoints.

    Args:
      program: what is trained.
      load: config -> the data for the config's seed.
      folder: for the checkpoints; `forget` removes it.

    Attributes:
      at_once: makes a context for what takes long and has nothing to save: a signal
        ends it at once.
    """

    def __init__(self, program: Program, load: Callable[[Any], Any], folder: Path):
        self.program, self.folder = program, folder
        self.at_once = contextlib.nullcontext
        config = self.config = program.config
        self.seeds = [seed for _, seed in program.replicas]
        self.sources = {}
        for seed in sorted(set(self.seeds)):
            self.sources[seed] = load(self._config_of(seed))
        self.runs = VmappedRuns(
            program.build,
            values=program.values,
            seeds=self.seeds,
            batches={
                seed: pipeline.batches(
                    source,
                    config.batch_size,
                    seed=seed,
                    flip=config.flip,
                    weights=config.data_weights or None,
                )
                for seed, source in self.sources.items()
            },
            per_call=config.steps_per_call,
        )
        self.gan = configs.build(config)

    def _config_of(self, seed):
        """The config of the replicas with a seed."""
        own = self.config.copy_and_resolve_references()
        own.seed = seed
        return own

    def timed(self) -> tuple[float, float]:
        """Returns (seconds to compile, seconds a step of all replicas), measured."""
        began = time.perf_counter()
        state = self.runs.init()
        state, *_ = jax.block_until_ready(self.runs.call(state, 0))
        compiled = time.perf_counter()
        jax.block_until_ready(self.runs.call(state, self.config.steps_per_call))
        seconds = time.perf_counter() - compiled
        return compiled - began - seconds, seconds / self.config.steps_per_call

    def run(
        self, progress: Progress, stopped: Callable[[], bool], samples: Path
    ) -> dict[str, Any] | None:
        """Trains and evaluates all replicas, from the last checkpoint if there is one.

        progress: gets the steps of the replicas as they are done, and the evaluations.
        stopped: whether to stop; then a checkpoint is written and None is returned.
        samples: a folder; gets the pictures ARM_SEED.png, or ARM_SEED_OUTPUT.png, of
          each replica that has not diverged.

        Returns {"replicas": [record of each], "metrics": {name: which is better},
        "protocol" of these, "seconds"}.
        """
        began, config, runs = time.monotonic(), self.config, self.runs
        first = self.seeds[0]
        evaluator = reports.make_evaluate(
            self.gan, self._config_of(first), self.sources[first]
        )
        checkpoints = Checkpoints(self.folder, 1)
        n = runs.n_replicas
        restored = checkpoints.restore(runs.template)
        if restored:
            state, story = runs.put(restored[0]), restored[1]
        else:
            with self.at_once():
                state = runs.init()
            story = {"seconds": 0.0, "curves": [[] for _ in range(n)], "metrics": {}}
            story |= {"protocol": {}, "recent": [], "diverged": [None] * n}
        before = story["seconds"]
        step, pending, saved = int(state.step), [], began
        progress.advance(step * n, restored=True)

        def save(state, step):
            self._note(story, pending)
            story["seconds"] = before + time.monotonic() - began
            if checkpoints.latest() != step:
                checkpoints.save(step, runs.kept(state), story)

        def evaluate(state, step):
            """With the state on disk first, from which it can be done again."""
            story["unscored"] = step
            save(state, step)
            if stopped():
                return
            checkpoints.close()
            with self.at_once():
                self._evaluate(evaluator, state, story, step)
            story["unscored"] = None
            progress.evaluated(step, config.steps)

        if story.get("unscored") == step:
            evaluate(state, step)
            if stopped():
                return None
        began_at = step

        def call(state, step):
            first = step == began_at
            with self.at_once() if first else contextlib.nullcontext():
                state, *found = runs.call(state, step)
            return state, found

        stop = config.steps if None in story["diverged"] else step
        calls = ahead.steps(call, state, step, stop, config.steps_per_call)
        for step, state, found in calls:
            pending.append((step, *found))
            progress.advance(config.steps_per_call * n)
            if step % self.program.arms[0].interval == 0:
                evaluate(state, step)
                saved = time.monotonic()
            elif stopped() or time.monotonic() - saved > SAVE_EVERY:
                save(state, step)
                saved = time.monotonic()
            if stopped():
                checkpoints.close()
                return None
            if None not in story["diverged"]:
                break
        progress.advance((config.steps - step) * n)
        checkpoints.close()
        records = self._records(state, story, samples)
        seconds = round(before + time.monotonic() - began, 1)
        known = {key: story[key] for key in ("metrics", "protocol")}
        return {"replicas": records, **known, "seconds": seconds}

    def forget(self) -> None:
        """Removes the checkpoints."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _note(self, story, pending):
        """Adds the metrics of the last calls to the story: on the host, as JSON."""
        for last, means, finite in jax.device_get(pending):
            n = self.runs.n_replicas
            means = {name: x[:n].tolist() for name, x in means.items()}
            story["recent"].append(means)
            for i in np.flatnonzero(~finite[:n]).tolist():
                if story["diverged"][i] is None:
                    story["diverged"][i] = last
        pending.clear()

    def _evaluate(self, evaluator, state, story, step):
        """Adds a point to the curve of each replica that is finite."""
        recent, story["recent"] = story["recent"], []
        for i, curve in enumerate(story["curves"]):
            if story["diverged"][i] is not None:
                continue
            report = evaluator(replica(state, i))
            story["protocol"] = report["protocol"]
            story["metrics"] |= {
                f"eval/{name}": x["better"] for name, x in report["results"].items()
            }
            for name, why in report.get("failed", {}).items():
                print(f"step {step}: {name} failed: {why}", file=sys.stderr)
            found = {
                name: [call[name][i] for call in recent if np.isfinite(call[name][i])]
                for name in recent[0]
            }
            values = reports.values(report)
            values |= {name: float(np.mean(x)) for name, x in found.items() if x}
            values = {k: float(v) for k, v in values.items() if np.isfinite(v)}
            images = step * self.config.batch_size
            curve.append({"step": step, "images": images, "values": values})

    def _records(self, state, story, samples):
        samples.mkdir(parents=True, exist_ok=True)
        source = self.sources[self.seeds[0]]
        spec = source.spec
        samplers = Samplers(
            self.gan, self._config_of(self.seeds[0]), spec, lambda: source
        )
        drawing = samplers.drawing(key=jax.random.key(0), n=n_drawn(spec))
        draw = jax.jit(drawing)
        records = []
        for i, (name, seed) in enumerate(self.program.names):
            arm = self.program.arms[self.program.replicas[i][0]]
            record = {"arm": name, "seed": seed, "digest": arm.digest}
            record |= {"status": "finished", "curve": story["curves"][i]}
            record["samples"] = None
            if story["diverged"][i] is not None:
                record["status"] = "diverged"
                record["diverged_by_step"] = story["diverged"][i]
            else:
                drawn = pictures.draw(
                    samples / f"{name}_{seed}",
                    spec,
                    draw(replica(state, i)),
                    given=drawing.given,
                    source=self.sources[seed],
                )
                if drawn:
                    path = next(iter(drawn.values())).path
                    record["samples"] = f"{samples.name}/{path.name}"
            records.append(record)
        return records
