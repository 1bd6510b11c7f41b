"""An ablation in its folder: trains every arm with several seeds, and keeps results."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from absl import logging
from ml_collections import ConfigDict

from experiments import config as configs
from experiments import own_code
from experiments.ablations import arms, kept, report
from experiments.ablations import results as results_file
from experiments.ablations.progress import Progress
from experiments.ablations.replicas import Replicas
from experiments.files import replacing
from experiments.own_code import CodeError
from experiments.rundir import claim, manifest
from experiments.rundir.lock import Lock
from experiments.signals import Interrupted, Signals
from gans import data


def run(
    config: ConfigDict,
    workdir: Path,
    *,
    name: str,
    preset: str = "",
    command: str = "",
    changed: str = "refuse",
) -> dict[str, Any]:
    """Runs what an ablation still lacks and writes its report; returns the results.

    Args:
      config: as `presets.ablation` makes it.
      workdir: the folder for all files.
      name, preset: of the config, for the report.
      command: the command line, for the report.
      changed: what becomes of results of a user's own code that has changed since:
        "refuse", "rerun" or "keep".

    Raises ValueError for a config that cannot be run, Interrupted after a signal.
    """
    lock = Lock(workdir, "ablation", config.base.data)
    ablation = Ablation(config, workdir, name, preset, command, changed)
    programs = ablation.missing()
    total = sum(arm.config.steps for arm in ablation.arms) * config.seeds
    left = sum(p.config.steps * len(p.replicas) for p in programs)
    with (
        lock,
        Signals() as signals,
        Progress(total, total - left, len(programs)) as progress,
    ):
        ablation.refresh()
        for program in programs:
            n, steps = len(program.replicas), program.config.steps
            progress.begin(_title(program), n, steps)
            folder = ablation.folder / program.digest
            try:
                with own_code.explained(program.config):
                    with signals.paused():
                        replicas = Replicas(program, ablation.data, folder)
                    replicas.at_once = signals.paused
                    part = replicas.run(
                        progress,
                        lambda: signals.number is not None,
                        workdir / "samples",
                    )
            except OSError:  # a full disk says nothing about an arm
                raise
            except Exception as error:
                ablation.fail(program.names, error)
                if not isinstance(error, CodeError):
                    logging.error("%s", _title(program), exc_info=error)
                progress.failed(_text(error), getattr(error, "lines", ""))
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


def _text(error):
    return str(error) if isinstance(error, CodeError) else own_code.text(error)


def plan(config: ConfigDict, workdir: Path, changed: str = "refuse") -> str:
    """Returns the programs that would be run, and how long they would take, as text."""
    claim(workdir, "ablation")
    ablation = Ablation(config, workdir, changed=changed)
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


def _title(program) -> str:
    return ", ".join(dict.fromkeys(name for name, _ in program.names))


class Ablation:
    """An ablation in its folder: what is done and what is missing.

    Attributes:
      arms: resolved, the baseline first.
      done: {(arm, seed): record} of those that have finished or diverged.
      folder: for the programs' checkpoints and results.

    Raises ValueError for a config that cannot be run, and for a folder with results of
    another base or budget, of former code (see `run`), or of an older version.
    """

    def __init__(
        self, config, workdir, name="", preset="", command="", changed="refuse"
    ):
        self.config, self.workdir = config, workdir
        self.folder = workdir / "programs"
        self._sources, self._computes = {}, {}
        self.arms = arms.resolve(config, self.data)
        found = _kept(workdir / "results.json")
        base = json.loads(configs.to_json(config.base))
        kept.compare(workdir, found, base, self.arms, config.evaluations)
        known = manifest.begin(command)
        shown = ("command", "start", "hardware", "versions")
        self._began, self._run = time.monotonic(), {key: known[key] for key in shown}
        self._runs = found.get("runs", [])
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
        self._refreshed: set[str] = set()
        for path in sorted(self.folder.glob("*.json")):
            part = json.loads(path.read_text())
            if results_file.is_former(part):
                raise ValueError(
                    f"the results in {workdir} were made by an older version; choose "
                    "another --workdir"
                )
            self._parts[path.stem] = part
        self._take(changed)

    def _take(self, changed):
        """Takes the results of these arms from the parts, those of this code first."""
        known, others = {arm.name: arm for arm in self.arms}, {}
        for digest, part in self._parts.items():
            for record in part["replicas"]:
                arm, at = known.get(record["arm"]), (record["arm"], record["seed"])
                if not arm or record["digest"] != arm.digest:
                    continue
                if record["seed"] < self.config.seeds:
                    same = not own_code.changed(record.get("code"), arm.code)
                    (self.done if same else others)[at] = record | {"part": digest}
        stale = {}
        for at, record in others.items():
            arm = known[at[0]]
            if at not in self.done and arm.name not in stale:
                modules = kept.former(arm, record)
                if modules and changed != "keep":
                    stale[arm.name] = modules
        if stale and changed == "refuse":
            ordered = {name: stale[name] for name in known if name in stale}
            raise ValueError(kept.refused(self.workdir, ordered))
        for name, modules in stale.items():
            print(
                f"arm {name} is trained again: {own_code.listed(modules)} changed",
                file=sys.stderr,
            )
        for at, record in others.items():
            if at not in self.done and at[0] not in stale:
                self.done[at] = record
                self._refreshed.add(record["part"])

    def refresh(self) -> None:
        """Notes the code of now beside results that stand although it has changed."""
        for digest in self._refreshed:
            for record in self._parts[digest]["replicas"]:
                at = record["arm"], record["seed"]
                if self.done.get(at, {}).get("part") == digest:
                    record["code"] = self._arm(record["arm"]).code
            self._keep(digest)
        self._refreshed.clear()

    def _arm(self, name):
        return next(arm for arm in self.arms if arm.name == name)

    def data(self, config: ConfigDict) -> Any:
        """The data for a config and its seed, loaded once."""
        keys = "data resolution channels jitter frames stride data_dir".split()
        keys += ["skip_corrupt"]
        known = *(config[key] for key in keys), data.seeded(config.data) * config.seed
        if known not in self._sources:
            self._sources[known] = configs.load_data(config)
        return self._sources[known]

    def missing(self) -> list:
        """The programs that still have to be run.

        Arms whose own code cannot be run are recorded as failed. Raises ValueError for
        arms that would train alike.
        """
        every = {(a.name, s) for a in self.arms for s in range(self.config.seeds)}
        wanted = every - set(self.done)
        if not wanted:
            return []
        self.arms, self._computes = arms.trace(self.arms)
        for arm in self.arms:
            names = [at for at in sorted(wanted) if arm.broken and at[0] == arm.name]
            if names:
                own_code.show(arm.broken)
                print(f"arm {arm.name} failed: {arm.broken}", file=sys.stderr)
                self.fail(names, arm.broken)
                wanted -= {*names}
        return arms.programs(self.arms, wanted, self.config.replicas_per_program)

    def add(self, program, part: dict[str, Any]) -> None:
        """Keeps the results of a program."""
        for record in part["replicas"]:
            if code := self._arm(record["arm"]).code:
                computes = self._computes[record["arm"]]
                record |= {"code": code, "computes": computes}
            self.done[record["arm"], record["seed"]] = record | {"part": program.digest}
        self._parts[program.digest] = part
        self._keep(program.digest)

    def _keep(self, digest):
        self.folder.mkdir(parents=True, exist_ok=True)
        with replacing(self.folder / f"{digest}.json") as path:
            Path(path).write_text(json.dumps(self._parts[digest]))

    def fail(self, names: list[tuple[str, int]], error: Exception) -> None:
        """Records (arm, seed)s that have failed; the next call tries them again."""
        for name, seed in names:
            self._failed[name, seed] = {"seed": seed, "status": "failed", "curve": []}
            self._failed[name, seed] |= {"error": _text(error), "samples": None}

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
        hidden = ("arm", "digest", "part", "code", "computes")
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
