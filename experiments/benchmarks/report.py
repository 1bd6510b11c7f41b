"""Runs a benchmark over its configs: prints the tables, writes the JSON report."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from experiments.benchmarks import machine, workload
from experiments.files import check_json, replacing

# What a user can correct, and a candidate of ours that fails.
ERRORS = (ValueError, OSError, RuntimeError)
# (section of the report, what the report gets, text)
Entry = tuple[str, dict[str, Any], str]


def run(kind: str, *, out: str | None = None, **options) -> None:
    """Runs one of the modules of this package; prints a table for each config.

    Args:
      kind: "steps", "compilation", "inference", "layers", "stabilisers", "seeds" or
        "metrics".
      out: a JSON file, written after every table.
      options: of `of_configs`, or of `metrics.entries`.

    Raises ValueError for a config that cannot be timed, RuntimeError if a candidate of
    ours fails.
    """
    if out:
        check_json("--out", out, "hardware")
    module = importlib.import_module(f"experiments.benchmarks.{kind}")
    entries = module.entries if kind == "metrics" else of_configs
    arguments = () if kind == "metrics" else (module,)
    report = {"hardware": machine.hardware()}
    for section, found, text in entries(*arguments, progress=_show, **options):
        _show("")
        print(text, flush=True)
        report.setdefault(section, []).append(found)
        if out:
            with replacing(out) as path:
                Path(path).write_text(json.dumps(report, indent=1) + "\n")


def of_configs(
    module: ModuleType,
    *,
    specs: Sequence[str] = (),
    batch_size: int | None = None,
    changes: Sequence[str] = (),
    progress,
    **options,
) -> Iterator[Entry]:
    """Yields an entry for each config.

    Args:
      module: has `benchmark(config, progress=, **options)`, `table` and SPECS.
      specs: instead of SPECS.
      batch_size, changes: see `workload.load`.
    """
    for spec in specs or module.SPECS:
        config = workload.load(spec, batch_size, changes)
        try:
            found = module.benchmark(
                config,
                progress=lambda line, spec=spec: progress(f"{spec}: {line}"),
                **options,
            )
        except RuntimeError as error:
            raise RuntimeError(f"{spec}: {error}") from error
        spec = " ".join([spec, *changes])
        found = {"config": spec, "batch_size": config.batch_size, **found}
        yield "configs", found, module.table(found)


def _show(line):
    """On a terminal, the last line shows what is being timed."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{line}", end="", file=sys.stderr, flush=True)
