"""The facts that a run announces: its data, its networks, and how long it is."""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from experiments import config as configs
from experiments.rundir import restore
from experiments.sampling.samplers import Samplers
from gans import stages
from gans.data import spec as specs
from gans.data.spec import Field, Spec
from gans.data.weighted import Weighted

Facts = dict[str, Any]


# Examples by which a set is recognised: of one on the disk, and of one that is made of
# another in memory. Of a set of arrays it is all.
N_STREAMED, N_MADE = 16, 2_000
N_COLOURS = 64  # examples in which colours are looked for


def gather(config: Any, source: Any, samplers: Samplers, template: Any) -> Facts:
    """Returns `of` a run, and what is found by reading its data.

    Args:
      config: resolved.
      source: the training set.
      samplers: of what is trained.
      template: a state of shapes (see `Programs.template`).
    """
    try:
        test = samplers.test
    except (ValueError, RuntimeError, OSError):
        test = None  # whoever needs it will say what is wrong
    found = of(
        source,
        restore.spec_of(config),
        template,
        configs.stages(config),
        test=test,
        n_devices=jax.device_count(),
    )
    if config.data_weights:
        drawn = Weighted(source, config.data_weights)
        found["epoch"] = drawn.epoch()
        found["epochs"] *= len(source) / len(drawn)
    return found | {
        "unused_labels": _unused_labels(samplers.gan, source.spec),
        "reading": source.reading(),
        "data_checksum": checksum(source),
        "colourless": colourless(source),
    }


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


def checksum(source: Any) -> str | None:
    """Returns eight digits that tell the examples from others; None if unreadable.

    They are of all examples of arrays in memory, else of some, evenly spread.
    """
    if parts := getattr(source, "sources", None):  # that do not correspond
        found = [checksum(part) for part in parts.values()]
        return None if None in found else " ".join(found)
    n = most = len(source)
    if not hasattr(source, "arrays"):
        most = N_STREAMED if source.streamed else N_MADE
    rows = np.unique(np.linspace(0, n - 1, min(n, most)).astype(int))
    found = 0
    try:
        for first in range(0, len(rows), 1024):
            taken = source.take(rows[first : first + 1024])
            for name in sorted(taken):
                found = zlib.crc32(np.ascontiguousarray(taken[name]), found)
    except (ValueError, OSError):  # the training will say what is wrong
        return None
    return f"{found:08x}"


def colourless(source: Any) -> list[str]:
    """Returns the fields of images in colour, of which none has any: all are grey.

    Some, evenly spread, are looked at. What cannot be read has colours.
    """
    found = []
    for name, field in source.spec.items():
        if field.kind != "image" or field.shape[-1] != 3:
            continue
        n = source.length_of(name)
        rows = np.unique(np.linspace(0, n - 1, min(n, N_COLOURS)).astype(int))
        try:
            x = source.take(*(rows % length for length in source.lengths))[name]
        except (ValueError, OSError):  # the training will say what is wrong
            continue
        found += [name] * bool((x == x[..., :1]).all())
    return found


def changes(before: Facts, now: Facts, step: int) -> list[Facts]:
    """Returns how the training data have changed while a run was trained.

    Each change is {"step": after which it came, "n_before", "n", "checksum_before"};
    numbers of examples are those of `examples_in_data`.

    Args:
      before: run.json of the process before; {} if there is none.
      now: the facts of this one.
      step: after which it goes on.
    """
    known = before.get("data_changes", [])
    found = [change for change in known if change["step"] < step]
    undone = [change for change in known if change["step"] >= step]
    n, sums = before.get("examples_in_data"), before.get("data_checksum")
    if undone:  # steps after that one are made again
        n, sums = undone[0]["n_before"], undone[0]["checksum_before"]
    pairs = (n, now["examples_in_data"]), (sums, now["data_checksum"])
    if step and any(a != b for a, b in pairs if None not in (a, b)):
        change = {"step": step, "n_before": n, "n": now["examples_in_data"]}
        found.append(change | {"checksum_before": sums})
    return found


def _unused_labels(gan, spec):
    """The labels of which a model knows nothing, as it is not given them."""
    batch = specs.decoded(spec)
    batch = {k: jax.ShapeDtypeStruct((2, *x.shape), x.dtype) for k, x in batch.items()}
    given = jax.eval_shape(gan.inputs, jax.eval_shape(lambda: jax.random.key(0)), batch)
    used = {*given, *gan.conditioned_on}
    return [n for n, f in spec.items() if f.kind == "label" and n not in used]


def single(found: dict[str, Any], none: Any) -> Any:
    """Returns the value of the only key, as most data have one; else the dict."""
    return next(iter(found.values())) if len(found) == 1 else found or none
