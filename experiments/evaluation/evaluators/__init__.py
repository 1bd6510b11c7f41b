"""Evaluators: what can be measured of a model. One file each, found by its name.

    make(gan, spec, source, *, setting, output="sample", **options)
        -> (state -> {name: Result})

`config.metrics` names the file, or the path of your own `make` (see `gans.names`), and
gives the options: "fid", "pr(k=5)", "my_metrics.ink(at_least=0.5)". `setting` is the
run's (see `experiments.evaluation.setting`): it has the config, and the samples and
features that evaluators share. `make` is called before anything is trained. It raises
ValueError, in one line, for a model or data that it cannot measure.

MEANING = {quantity: sentence} says what each number is, for the report of a run.

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
    """Returns the `make` of an evaluator, or of its SCORE; ValueError without any."""
    found = by_name.found(name, __name__, place)
    if not hasattr(found, "make") and hasattr(found, "SCORE"):
        found = found.SCORE
    make = getattr(found, "make", None) or by_name.part(name, __name__, "make", place)
    return by_name.wanted(make, Callable, place, name, "a function")


def meaning(result: str) -> str:
    """Returns the sentence that a file's MEANING has for a result; "" if none has one.

    result: a name such as "fd_classifier", "modes/kl" or "a_to_b/precision".
    """
    found = {}
    for name in names():
        found |= getattr(module(name), "MEANING", {})
    # Of another extractor than Inception, "fid" is called "fd_EXTRACTOR".
    found |= {k.replace("fid", "fd"): x for k, x in found.items() if "fid" in k}
    while result:
        for quantity in sorted(found, key=len, reverse=True):
            if result == quantity or result.startswith(
                (f"{quantity}_", f"{quantity}/")
            ):
                return found[quantity]
        result = result.partition("/")[2]
    return ""
