"""Evaluators: what can be measured of a model. One file each, found by its name.

    make(gan, spec, source, *, setting, output="sample", **options)
        -> (state -> {name: Result})

`config.metrics` names the file and gives the options: "fid", "pr(k=5)",
"fid(output='a_to_b')". `setting` is the run's (see `experiments.evaluation.setting`):
it has the config, and the samples and features that evaluators share. `make` is called
before anything is trained. It raises ValueError, in one line, for a model or data that
it cannot measure.

A file with a SCORE is a score by features; it also measures images without a model, in
`experiments.metrics`.
"""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType


def names() -> list[str]:
    """Returns the names of all evaluators."""
    return [module.name for module in pkgutil.iter_modules(__path__)]


def module(name: str) -> ModuleType:
    """Returns the file of an evaluator."""
    return importlib.import_module(f"{__name__}.{name}")
