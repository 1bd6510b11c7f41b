"""The facts that a run announces: its data, its networks, and how long it is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from experiments import config as configs
from experiments.rundir import restore
from gans import stages
from gans.data.spec import Field, Spec

Facts = dict[str, Any]


def gather(config: Any, source: Any, template: Any) -> Facts:
    """Returns `of` a run; the test set is loaded for its length.

    Args:
      config: resolved.
      source: the training set.
      template: a state of shapes (see `Programs.template`).
    """
    try:
        test = restore.load_test(config, source.spec)
    except (ValueError, RuntimeError, OSError):
        test = None  # whoever needs it will say what is wrong
    return of(
        source,
        restore.spec_of(config),
        template,
        configs.stages(config),
        test=test,
        n_devices=jax.device_count(),
    )


def of(
    source: Any,
    spec: Spec,
    template: Any,
    every: Sequence[stages.Stage],
    *,
    test: Any = None,
    n_devices: int = 1,
) -> Facts:
    """Returns what run.json says about a run's data, model and length.

    Args:
      source: the training set; test: the test set, or None.
      spec: of the run, with its classes.
      template: a state of shapes (see `Programs.template`).
      every: the stages of the run.
      n_devices: among which each batch is split.
    """
    total = stages.examples(every, stages.first_step(every, len(every)))
    examples = _examples(source)
    frozen = {name: part["params"] for name, part in template.frozen.items()}
    return {
        "classes": single(
            {n: class_names(f) for n, f in spec.items() if f.kind == "label"}, None
        ),
        "class_counts": single(_class_counts(source, spec), None),
        "examples_in_data": single(examples, 0),
        "test_examples": None if test is None else len(test),
        "epochs": single({name: total / n for name, n in examples.items()}, 0.0),
        "parameters": {
            name: sum(math.prod(x.shape) for x in jax.tree.leaves(tree))
            for name, tree in {**template.params, **frozen}.items()
        },
        "batch_size": every[0].batch_size,
        "batch_size_per_device": every[0].batch_size // n_devices,
    }


def class_names(field: Field) -> list[str]:
    """Returns the names of a label's classes, or their numbers if they have none."""
    return [*(field.names or map(str, range(field.n_classes)))]


def _examples(source) -> dict[str, int]:
    """{group: number of examples}; the only group is called ""."""
    if len(source.groups) == 1:
        return {"": len(source)}
    spec = source.spec
    return {
        " and ".join(name for name in group if spec[name].kind != "label"): n
        for group, n in zip(source.groups, source.lengths, strict=True)
    }


def _class_counts(source, spec):
    """{label: [n_classes] of the training set}, of those held in memory."""
    arrays = getattr(source, "arrays", {})
    return {
        name: np.bincount(arrays[name], minlength=field.n_classes).tolist()
        for name, field in spec.items()
        if field.kind == "label" and name in arrays
    }


def single(found: dict[str, Any], none: Any) -> Any:
    """Returns the value of the only key, as most data have one; else the dict."""
    return next(iter(found.values())) if len(found) == 1 else found or none
