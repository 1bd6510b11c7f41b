"""What a run says about itself at its start and at its end: text made from facts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from gans import stages
from gans.data.spec import Field, Spec

# Fewer images are few for a GAN (arXiv 2006.10738 and 2006.06676). Images of fewer
# pixels than SMALL x SMALL hold little that a discriminator could learn by heart.
FEW_IMAGES, SMALL = 2_000, 32
MANY_EPOCHS = 2_000
# As many classes are shown with their counts, and as many names in a line.
FEW_CLASSES = 12
PLURALS = {
    "image": "images",
    "point": "points",
    "series": "series",
    "tokens": "sequences of tokens",
    "video": "videos",
    "voxels": "voxel grids",
}

Facts = dict[str, Any]


def facts(
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
        "classes": _single(
            {n: class_names(f) for n, f in spec.items() if f.kind == "label"}, None
        ),
        "class_counts": _single(_class_counts(source, spec), None),
        "examples_in_data": _single(examples, 0),
        "test_examples": None if test is None else len(test),
        "epochs": _single({name: total / n for name, n in examples.items()}, 0.0),
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


def start(
    found: Facts, config: Any, spec: Spec, *, hardware: str, workdir: Path
) -> list[str]:
    """Returns the lines, aligned, with which a run begins."""
    size, each = found["batch_size"], found["batch_size_per_device"]
    split = "" if each == size else f" ({each} on each device)"
    evaluated = f"every {config.evaluate_every:,} steps" if config.evaluate_every else ""
    metrics = ", ".join(x if isinstance(x, str) else x["name"] for x in config.metrics)
    lines = {
        "data": _data(found, spec),
        "classes": _classes(found),
        "networks": ", ".join(
            f"{name} {n:,} parameters" for name, n in found["parameters"].items()
        ),
        "devices": f"{hardware}, batches of {size}{split}, {config.dtype}",
        "training": f"{config.steps:,} steps, {_epochs(found['epochs'])}",
        "scores": metrics and f"{metrics} {evaluated or 'at the end'}",
        "workdir": str(workdir),
        "report": str(workdir / "report.html"),
    }
    width = max(map(len, lines))
    return [
        f"{config.variant} on {config.data}",
        *(f"  {name:<{width}}  {text}" for name, text in lines.items() if text),
    ]


def advice(found: Facts, config: Any, spec: Spec) -> list[str]:
    """Returns warnings about what a run's data are too few for; most runs have none."""
    said, size = [], found["batch_size"]
    kind = next((f.kind for f in spec.values() if f.kind != "label"), "image")
    things = PLURALS.get(kind, "examples")
    n, epochs = _least(found["examples_in_data"]), _most(found["epochs"])
    if n < FEW_IMAGES and _large_images(spec):
        said.append(_few(n, config))
    if size > n:
        said.append(
            f"batch_size={size} is more than the {n:,} {things}: every batch holds some "
            f"of them more than once. --config.batch_size={max(n // 2, 1)} or less "
            "avoids it"
        )
    if epochs > MANY_EPOCHS:
        enough = max(config.steps * MANY_EPOCHS / epochs, 1)
        shown = float(f"{enough:.1g}")
        said.append(
            f"steps={config.steps:,} shows each of the {n:,} {things} "
            f"{epochs:,.0f} times; a run of --config.steps={shown:.0f} shows the course "
            "and can be continued"
        )
    return [f"warning: {text}" for text in said]


def _few(n, config):
    """The warning that there are few images, with what is not done about it yet."""
    used = {x if isinstance(x, str) else x["name"] for x in config.get("augment", ())}
    measured = {x if isinstance(x, str) else x["name"] for x in config.metrics}
    steps = []
    if "augment" in config and not used & {"diff_augment", "ada"}:
        steps += [
            "the preset folder_small (narrow networks, sized for a CPU)",
            """--config.augment='("diff_augment",)' (or "ada")""",
        ]
    if "memorisation" not in measured:
        steps.append("the score `memorisation`, which compares samples with them")
    text = f"{n:,} images are few: the discriminator may learn them by heart, and"
    text += " samples may repeat them"
    return text + (f". Worth trying: {'; '.join(steps)}" if steps else "")


def end(
    *, samples: Path | None, best: Mapping[str, Any] | None, folder: Path, seconds: float
) -> list[str]:
    """Returns the lines that say, after a run, where its results are."""
    lines = {"samples": samples and str(samples)}
    if best:
        value = f"{best['metric']} {best['value']:.4g}"
        lines["best"] = f"{folder / str(best['step'])} ({value})"
    lines["time"] = duration(seconds)
    width = max(map(len, lines))
    return [f"  {name:<{width}}  {text}" for name, text in lines.items() if text]


def duration(seconds: float) -> str:
    """Returns "52 s", "7 min 12 s" or "3 h 20 min"."""
    seconds = round(seconds)
    if seconds < 60:
        return f"{seconds} s"
    minutes, seconds = divmod(seconds, 60)
    if minutes < 60:
        return f"{minutes} min {seconds} s"
    return f"{minutes // 60} h {minutes % 60} min"


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


def _single(found, none):
    """The value of the only key, as most data have one; else the dict."""
    return next(iter(found.values())) if len(found) == 1 else found or none


def _least(values):
    return min(values.values()) if isinstance(values, dict) else values


def _most(values):
    return max(values.values()) if isinstance(values, dict) else values


def _data(found, spec):
    fields = {name: f for name, f in spec.items() if f.kind != "label"}
    test = found["test_examples"]
    test = "no test set" if test is None else f"{test:,} in the test set"
    n = found["examples_in_data"]
    if isinstance(n, dict):
        what = " and ".join(f"{count:,} of {name}" for name, count in n.items())
    else:
        kind = next(iter(fields.values())).kind
        what = f"{n:,} {PLURALS.get(kind, kind) if len(fields) == 1 else 'examples'}"
    shapes = {name: "x".join(map(str, f.shape)) for name, f in fields.items()}
    if len(shapes) == 1:
        return f"{what}, {_single(shapes, '')}; {test}"
    named = ", ".join(f"{name}: {shape}" for name, shape in shapes.items())
    return f"{what} ({named}); {test}"


def _classes(found):
    names, counts = found["classes"], found["class_counts"]
    if names is None:
        return ""
    if isinstance(names, dict):
        return "; ".join(f"{name}: {len(x)}" for name, x in names.items())
    shown = names
    if isinstance(counts, list) and len(counts) == len(names):
        shown = [f"{name} ({n:,})" for name, n in zip(names, counts, strict=True)]
    if len(names) > FEW_CLASSES:
        shown = [*names[: FEW_CLASSES - 2], "...", names[-1]]
    return f"{len(names)}: {', '.join(shown)}"


def _epochs(epochs):
    if isinstance(epochs, dict):
        return ", ".join(f"{_number(n)} epochs of {name}" for name, n in epochs.items())
    return f"{_number(epochs)} epochs"


def _number(x):
    return f"{x:,.0f}" if x >= 10 else f"{x:.2g}"


def _large_images(spec):
    sides = [min(f.shape[:2]) for f in spec.values() if f.kind == "image"]
    return bool(sides) and max(sides) >= SMALL
