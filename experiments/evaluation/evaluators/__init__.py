"""Evaluators: what can be measured of a model. One file each, found by its name.

    make(gan, spec, source, *, setting, output="sample", **options)
        -> (state -> {name: Result})

`config.metrics` names the file, or the path of your own `make` (see `gans.names`), and
gives the options: "fid", "pr(k=5)", "my_metrics.ink(at_least=0.5)". `setting` is the
run's (see `experiments.evaluation.setting`): it has the config, and the samples and
features that evaluators share. `make` is called before anything is trained. It raises
ValueError, in one line, for a model or data that it cannot measure.

A file with a SCORE is a score by features; it also measures images without a model, in
`experiments.metrics`.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

from gans import names as by_name


def names() -> list[str]:
    """Returns the names of all evaluators."""
    return by_name.files(__name__)


def module(name: str) -> ModuleType:
    """Returns the file of an evaluator."""
    return by_name.module(name, __name__, "metrics")


def maker(name: str, place: str = "metrics") -> Callable[..., Any]:
    """Returns the `make` of an evaluator; raises ValueError if there is none."""
    make = by_name.part(name, __name__, "make", place)
    return by_name.wanted(make, Callable, place, name, "a function")
