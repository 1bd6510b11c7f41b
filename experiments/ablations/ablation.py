"""An ablation in its folder: trains every arm with several seeds, and keeps results."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from absl import logging
from ml_collections import ConfigDict
from tqdm import tqdm

from experiments import config as configs
from experiments.ablations import arms, report
from experiments.ablations import results as results_file
from experiments.ablations.replicas import Replicas
from experiments.files import replacing
from experiments.rundir import claim, manifest
from experiments.rundir.lock import Lock
from experiments.signals import Interrupted, Signals
from gans import data


def run(
    config: ConfigDict, workdir: Path, *, name: str, preset: str = "", command: str = ""
) -> dict[str, Any]:
    """Runs what an ablation still lacks and writes its report; returns the results.

    Args:
      config: as `presets.ablation` makes it.
      workdir: the folder for all files.
      name, preset: of the config, for the report.
      command: the command line, for the report.

    Raises ValueError for a config that cannot be run, Interrupted after a signal.
    """
    lock = Lock(workdir, "ablation", config.base.data)
    ablation = Ablation(config, workdir, name, preset, command)
    programs = ablation.missing()
    total = sum(arm.config.steps for arm in ablation.arms) * config.seeds
    left = sum(p.config.steps * len(p.replicas) for p in programs)
    with (
        lock,
        Signals() as signals,
        tqdm(
            total=total,
            initial=total - left,
            unit=" steps",
            unit_scale=True,
            disable=None,
        ) as bar,
    ):
        for program in programs:
            bar.set_description(_title(program))
            folder = ablation.folder / program.digest
            try:
                with signals.paused():
                    replicas = Replicas(program, ablation.data, folder)
                replicas.compiling = signals.paused
                part = replicas.run(
                    bar.update, lambda: signals.number is not None, workdir / "samples"
                )
            except OSError:  # a full disk says nothing about an arm
                raise
            except Exception as error:
                ablation.fail(program, error)
                continue
            if part is None:
                break
            ablation.add(program, part)
            replicas.forget()
            ablation.write()
        results = ablation.write()
        report.write(workdir)
    if signals.number is not None:
        raise Interrupted(signals.number)
    return results


def plan(config: ConfigDict, workdir: Path) -> str:
    """Returns the programs that would be run, and how long they would take, as text."""
    claim(workdir, "ablation")
    ablation = Ablation(config, workdir)
    n_done = len(ablation.done)
    lines = [f"{len(ablation.arms)} arms x {config.seeds} seeds, {n_done} done"]
    total = 0.0
    for i, program in enumerate(ablation.missing(), 1):
        folder = ablation.folder / program.digest
        compiling, step = Replicas(program, ablation.data, folder).timed()
        steps = program.config.steps
        seconds = compiling + step * steps
        total += seconds
        differ = ", ".join(program.values) or "the seed only"
        lines.append(
            f"program {i}: {len(program.replicas)} runs of {_title(program)}\n"
            f"    that differ in {differ}: {compiling:.0f} s to compile, "
            f"{steps:,} steps of {1000 * step:.1f} ms, {seconds / 60:.1f} min"
        )
    lines.append(f"in all {total / 60:.1f} min, without the evaluations")
    return "\n".join(lines)


def _title(program):
    return ", ".join(dict.fromkeys(name for name, _ in program.names))


class Ablation:
    """An ablation in its folder: what is done and what is missing.

    Attributes:
      arms: resolved, the baseline first.
      done: {(arm, seed): record} of those that have finished or diverged.
      folder: for the programs' checkpoints and results.

    Raises ValueError for a config that cannot be run, and for a folder with results of
    another base, or of an older version.
    """

    def __init__(self, config, workdir, name="", preset="", command=""):
        self.config, self.workdir = config, workdir
        self.folder = workdir / "programs"
        self._sources = {}
        self.arms = arms.resolve(config, self.data)
        kept = _kept(workdir / "results.json")
        base = json.loads(configs.to_json(config.base))
        former = kept.get("protocol", {}).get("base")
        _compare(workdir, former or configs.convert(base), configs.convert(base))
        known = manifest.begin(command)
        shown = ("command", "start", "hardware", "versions")
        self._began, self._run = time.monotonic(), {key: known[key] for key in shown}
        self._runs = kept.get("runs", [])
        self._head = {
            "name": name,
            "preset": preset,
            "baseline": config.baseline,
            "n_seeds": config.seeds,
            "evaluations": config.evaluations,
            "planned": [arm.name for arm in self.arms],
            "protocol": {"base": base},
        }
        self.done, self._failed, self._parts = {}, {}, {}
        for path in sorted(self.folder.glob("*.json")):
            part = json.loads(path.read_text())
            if results_file.is_former(part):
                raise ValueError(
                    f"the results in {workdir} were made by an older version; choose "
                    "another --workdir"
                )
            self._take(path.stem, part)

    def _take(self, digest, part):
        known = {arm.name: arm.digest for arm in self.arms}
        self._parts[digest] = part
        for record in part["replicas"]:
            name, seed = record["arm"], record["seed"]
            if record["digest"] == known.get(name) and seed < self.config.seeds:
                self.done[name, seed] = record | {"part": digest}

    def data(self, config: ConfigDict) -> Any:
        """The data for a config and its seed, loaded once."""
        keys = "data resolution channels data_dir skip_corrupt".split()
        known = *(config[key] for key in keys), data.seeded(config.data) * config.seed
        if known not in self._sources:
            self._sources[known] = configs.load_data(config)
        return self._sources[known]

    def missing(self) -> list:
        """The programs that still have to be run.

        Raises ValueError for arms that would train alike.
        """
        wanted = {(a.name, s) for a in self.arms for s in range(self.config.seeds)}
        most = self.config.replicas_per_program
        programs = arms.programs(self.arms, wanted - set(self.done), most)
        if programs:
            arms.check_effects(self.arms)
        return programs

    def add(self, program, part: dict[str, Any]) -> None:
        """Keeps the results of a program."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with replacing(self.folder / f"{program.digest}.json") as path:
            Path(path).write_text(json.dumps(part))
        self._take(program.digest, part)

    def fail(self, program, error: Exception) -> None:
        """Records a program that has raised; the next call tries it again."""
        text = f"{type(error).__name__}: {error}".splitlines()[0]
        logging.error("%s failed", _title(program), exc_info=error)
        for name, seed in program.names:
            self._failed[name, seed] = {"seed": seed, "status": "failed", "curve": []}
            self._failed[name, seed] |= {"error": text, "samples": None}

    def write(self) -> dict[str, Any]:
        """Writes results.json, as experiments/ablations/report.py reads it."""
        self._run["seconds"] = round(time.monotonic() - self._began, 1)
        used = list(dict.fromkeys(r["part"] for r in self.done.values()))
        metrics, scores, found = {}, {}, {}
        for part in used:
            metrics |= self._parts[part]["metrics"]
            scores |= self._parts[part]["protocol"]
        for arm in self.arms:
            records = self._records(arm, used)
            if records["seeds"]:
                found[arm.name] = records
        results = self._head | {"metrics": metrics, "runs": [*self._runs, self._run]}
        results["protocol"] = {**self._head["protocol"], "scores": scores}
        results["arms"] = found
        self.workdir.mkdir(parents=True, exist_ok=True)
        with replacing(self.workdir / "results.json") as path:
            Path(path).write_text(json.dumps(results, indent=1) + "\n")
        return results

    def _records(self, arm, used):
        """The results of an arm; its time is its share of its programs' time."""
        every = {s: r for (name, s), r in self.done.items() if name == arm.name}
        failed = {s: r for (name, s), r in self._failed.items() if name == arm.name}
        parts = [self._parts[r["part"]] for r in every.values()]
        hidden = ("arm", "digest", "part")
        seeds = failed | {
            s: {k: v for k, v in r.items() if k not in hidden} for s, r in every.items()
        }
        programs = [used.index(r["part"]) for r in every.values()]
        return {
            "overrides": arm.overrides,
            "steps": arm.config.steps,
            "batch_size": arm.config.batch_size,
            "seconds": round(sum(p["seconds"] / len(p["replicas"]) for p in parts), 1),
            "program": min(programs, default=None),
            "seeds": [seeds[s] for s in sorted(seeds)],
        }


def _kept(path):
    return results_file.read(path) if path.is_file() else {}


def _compare(workdir, old, new):
    changed = configs.differences(old, new, {"data_dir"})
    if changed:
        lines = "\n  ".join(changed)
        raise ValueError(
            f"{workdir} holds an ablation of another base:\n  {lines}\n"
            "choose another --workdir"
        )


def failures(results: dict[str, Any]) -> str | None:
    """Returns a message about runs that have raised; None if there are none."""
    seeds = [
        (name, seed)
        for name, arm in results["arms"].items()
        for seed in arm["seeds"]
        if seed["status"] == "failed"
    ]
    if not seeds:
        return None
    arms = ", ".join(dict.fromkeys(name for name, _ in seeds))
    first = seeds[0][1]["error"]
    return f"{len(seeds)} runs of {arms} failed; run again to retry them: {first}"
