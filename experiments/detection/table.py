"""Counts and scores of many signals and seeds, as benchmarks list them."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from experiments.detection.detection import Detection, Rules
from experiments.detection.results import PROTOCOL, Labels, said
from experiments.files import replacing
from gans.metrics.anomalies.intervals import Counts, overlap, total


class Row(NamedTuple):
    """A signal and a seed: how many detections, and their counts if it has labels."""

    signal: str
    seed: int
    anomalies: int
    counts: Counts | None


def rows(found: Mapping[int, list[Detection]], true: Labels) -> list[Row]:
    """Returns the rows of {seed: detections}, in order of the signals."""
    made = [
        Row(
            name := x.signal.name,
            seed,
            len(x.found),
            overlap(true[name], x.intervals) if name in true else None,
        )
        for seed, detections in found.items()
        for x in detections
    ]
    return sorted(made, key=lambda row: row[:2])


def write(path: Path, rows: list[Row]) -> None:
    """Writes signal,seed,anomalies,tp,fp,fn,f1,precision,recall."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow([*Row._fields[:3], *Counts._fields, "f1", "precision", "recall"])
    for row in rows:
        cells = list(row[:3])
        if row.counts:
            of = row.counts
            cells += [*of, *(_number(x) for x in (of.f1, of.precision, of.recall))]
        writer.writerow(cells)
    with replacing(path) as temporary:
        Path(temporary).write_text(file.getvalue())


def _number(x):
    return "" if x != x else f"{x:.4f}"  # NaN


def lines(rows: list[Row], rules: Rules) -> list[str]:
    """Returns a line a signal, then the scores of the set: their mean, and each seed's.

    A signal's counts are sums over the seeds.
    """
    names, seeds = sorted({x.signal for x in rows}), sorted({x.seed for x in rows})
    wide = max(map(len, ["signal", *names]))
    labelled = [x for x in rows if x.counts is not None]
    head = f"{'signal':{wide}}  anomalies" + "    tp   fp   fn" * bool(labelled)
    text = [head + f"  (sums of {len(seeds)} seeds)" * (len(seeds) > 1)]
    for name in names:
        own = [x for x in rows if x.signal == name]
        line = f"{name:{wide}}  {sum(x.anomalies for x in own):9}"
        if own[0].counts is not None:
            line += "  " + "".join(f"{n:5}" for n in total(x.counts for x in own))[1:]
        text.append(line)
    if labelled:
        sums = [total(x.counts for x in labelled if x.seed == seed) for seed in seeds]
        for name in ("f1", "precision", "recall"):
            text.append(
                _spread(name.replace("f1", "F1"), [getattr(x, name) for x in sums])
            )
    text.append(f"rules: {said(rules)}")
    if labelled:
        text.append(f"protocol: {PROTOCOL}, of all signals of a seed")
    return text


def _spread(name, values):
    each = " ".join(f"{x:.3f}" for x in values)
    if len(values) == 1:
        return f"{name} {each}"
    mean, deviation = np.mean(values), np.std(values, ddof=1)
    return f"{name} {mean:.3f}, standard deviation {deviation:.3f} ({each})"
