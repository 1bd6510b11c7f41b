"""A model of each signal of a folder, trained many at once; kept as it goes on."""

from __future__ import annotations

import json
import sys
import zlib
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import numpy as np
from ml_collections import ConfigDict
from tqdm import tqdm

from experiments import config as configs
from experiments.detection import documents, labels, networks, prepared, table, training
from experiments.detection.detection import Detection, Merged, Rules, detect
from experiments.files import replacing
from experiments.rundir.folder import read_json
from gans.data.signals import scale

CONFIG, KEPT, TABLE = "detection.json", "reconstructions", "table.csv"


class Job(NamedTuple):
    """A signal to train on, and its seed."""

    name: str
    seed: int


def train_folder(
    config: ConfigDict,
    workdir: str,
    *,
    out: str | None = None,
    true: str | None = None,
    seeds: int = 1,
    epochs: float | None = None,
    at_once: int = 8,
    rules: Rules | None = None,
) -> list[str]:
    """Trains on every signal of config.data, detects each; returns lines to print.

    If the data have a test split, it is detected, and each of its signals by the model
    of its name. What a model made of its signal is kept in the workdir: the same
    command goes on where it was stopped, and other rules need no new training.

    Args:
      config: of each model; `data` is series:PATH.
      workdir: of the results.
      out: file of what the first seed's models found, see `documents.write`.
      true: file of labels.
      seeds: models of each signal, of seeds config.seed, config.seed + 1, ...
      epochs: see `training.steps_of`; None: config.steps.
      at_once: models that are trained in one program.
      rules: how anomalies are found.

    Raises ValueError for a workdir with models of another config.
    """
    rules = rules or Rules()
    if min(seeds, at_once) < 1:
        raise ValueError(f"seeds={seeds}, at_once={at_once}: wanted 1 at least")
    if out is not None:
        documents.check(out)
    source = configs.load_data(config)
    config = configs.resolve(config, source)
    asked = {x.signal.name: x for x in prepared.of_run(config)}
    known = labels.read(true, [*asked]) if true else {}
    trained = {x.name: scale(x.values)[0] for x in source.signals if x.name in asked}
    folder = Path(workdir)
    (folder / KEPT).mkdir(parents=True, exist_ok=True)
    _check_same(folder, config, epochs)
    chosen = range(config.seed, config.seed + seeds)
    jobs = [Job(name, seed) for seed in chosen for name in trained]
    left = [job for job in jobs if not _path(folder, job).exists()]
    left.sort(key=lambda job: -len(trained[job.name]))  # alike in length together
    with tqdm(total=len(left), unit=" models", disable=None) as bar:
        for i in range(0, len(left), at_once):
            group = left[i : i + at_once]
            steps = config.steps
            if epochs is not None:
                lengths = [len(trained[x.name]) - source.size + 1 for x in group]
                steps = training.steps_of(epochs, lengths, config)
            _train(folder, group, trained, asked, config, steps)
            bar.update(len(group))
    found: dict[int, list[Detection]] = {}
    for job in jobs:
        one = asked[job.name]
        merged = _kept(_path(folder, job), source.size)
        try:
            made = detect(one.signal, merged, rules, one.low, one.high)
        except FloatingPointError as error:  # the others are worth as much as before
            print(f"seed {job.seed}: {error}; it is not counted", file=sys.stderr)
            continue
        found.setdefault(job.seed, []).append(made)
    if not found:
        raise ValueError(f"{workdir}: every model makes NaN of its signal")
    if out is not None:
        documents.write(out, found.get(config.seed, []), known, rules)
    rows = table.rows(found, known)
    table.write(folder / TABLE, rows)
    return table.lines(rows, rules)


def _train(folder, group, trained, asked, config, steps):
    config = configs.override(config, {"steps": steps})
    # Of the name, so that a model does not depend on those trained with it.
    seeds = [zlib.crc32(f"{x.seed}/{x.name}".encode()) >> 1 for x in group]
    gan, states = training.train_many([trained[x.name] for x in group], config, seeds)
    networks.check(gan, config.variant)
    (field,) = (x for x in config.spec.to_dict().values() if x["kind"] == "series")
    apply = networks.applier(gan, field["shape"][0])
    for job, state in zip(group, states, strict=True):
        made = apply(state, asked[job.name].scaled)
        with replacing(_path(folder, job)) as temporary, open(temporary, "wb") as file:
            np.savez(file, made=made.made.astype(np.float32), critic=made.critic)


def _path(folder, job):
    return folder / KEPT / f"{quote(job.name, safe='')}-{job.seed}.npz"


def _kept(path, size):
    with np.load(path) as file:
        return Merged(file["made"].astype(np.float64), file["critic"], size)


def _check_same(folder, config, epochs):
    """Keeps the config, or raises ValueError if that of the kept models differs."""
    values = json.loads(configs.to_json(config)) | {"epochs": epochs}
    path = folder / CONFIG
    if path.exists():
        changed = configs.differences(read_json(path), values, free=("spec", "seed"))
        if changed:
            raise ValueError(
                f"workdir {folder} holds models of another config: {changed[0]}; take "
                "another workdir"
            )
        return
    if any(folder.joinpath(x).exists() for x in ("config.json", "run.json")):
        raise ValueError(f"workdir {folder} is that of a run; take another one")
    with replacing(path) as temporary:
        Path(temporary).write_text(json.dumps(values, indent=1))
