"""What a run says about itself, at its start, at its end and in between."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from experiments.config import files
from experiments.pages import data
from experiments.pages import run as page
from experiments.rundir import restore
from experiments.sampling import pictures
from experiments.training.facts import Facts, single

# Fewer images are few for a GAN (arXiv 2006.10738 and 2006.06676). Images of fewer
# pixels than SMALL x SMALL hold little that a discriminator could learn by heart.
FEW_IMAGES, SMALL = 2_000, 32
MANY_EPOCHS = 2_000
# What of `augment` is made for them.
FOR_FEW_IMAGES = {"diff_augment", "ada", "fixed_ada", "adaptive_diff_augment"}
# As many classes are shown with their counts, and as many names in a line.
FEW_CLASSES = 12


def start(found: Facts, config: Any, workdir: Path, step: int = 0) -> list[str]:
    """Returns the lines with which a run begins: what it is, aligned, and warnings.

    found: the facts, and "hardware" and "data_changes". step: after which it goes on.
    """
    spec = restore.spec_of(config)
    size, each = found["batch_size"], found["batch_size_per_device"]
    split = "" if each == size else f" ({each} on each of {size // each} devices)"
    often = 0 < config.evaluate_every < config.steps
    evaluated = f"every {config.evaluate_every:,} steps" if often else "at the end"
    metrics = ", ".join(map(_metric, config.metrics))
    parameters = found["parameters"]
    lines = {
        "data": _data(found, spec),
        "reading": ", ".join(data.losses(found.get("reading", {}))),
        "classes": _classes(found, config.variant),
        "epoch": _epoch(found),
        "networks": ", ".join(f"{name} {n:,}" for name, n in parameters.items())
        + " parameters",
        "devices": f"{found['hardware']}, batches of {size}{split}, {config.dtype}",
        "training": f"{config.steps:,} steps, {_epochs(found['epochs'])}",
        "scores": metrics and f"{metrics} {evaluated}",
        "workdir": str(workdir),
        "report": str(workdir / "report.html"),
    }
    width = max(map(len, lines))
    return [
        f"{config.variant} on {config.data}",
        *(f"  {name:<{width}}  {text}" for name, text in lines.items() if text),
        *_changed(found.get("data_changes", ()), step),
        *advice(found, config),
    ]


def _metric(metric):
    """A score's name, and the output that it is of, if it is named."""
    if isinstance(metric, str):
        return metric
    output = metric.get("output")
    return f"{metric['name']} of {output}" if output else metric["name"]


def _changed(changes, step):
    """The warning that the data are not those of the steps before, if so."""
    return [
        f"warning: the training data have changed: {data.change(found)}"
        for found in changes
        if found["step"] == step
    ]


def advice(found: Facts, config: Any) -> list[str]:
    """Returns warnings about what a run's data are too few for; most runs have none."""
    said, size, spec = [], found["batch_size"], restore.spec_of(config)
    examples = things(spec)
    n, epochs = _least(found["examples_in_data"]), _most(found["epochs"])
    own = config.data.startswith(("folder:", "array:", "python:"))
    if own:
        said += _small(found.get("reading", {}), spec, config)
    if own and n < FEW_IMAGES and _large_images(spec):
        said.append(_few(n, config))
    if size > n:
        said.append(
            f"batch_size={size} is more than the {n:,} {examples}: every batch repeats "
            f"some of them. --config.batch_size={max(n // 2, 1)} or less avoids it"
        )
    if epochs > MANY_EPOCHS:
        enough = max(config.steps * MANY_EPOCHS / epochs, 1)
        shown = float(f"{enough:.1g}")
        said.append(
            f"steps={config.steps:,} shows each of the {n:,} {examples} "
            f"{epochs:,.0f} times. --config.steps={shown:.0f} may be enough"
        )
    return [f"warning: {text}" for text in said]


def _small(reading, spec, config):
    """The warning that pictures are made very small, as presets of other data do."""
    sides = [f.shape[:2] for f in spec.values() if f.kind == "image"]
    size = reading.get("median_size")
    if len(sides) != 1 or not size or min(size) < 2 * max(sides[0]):
        return []
    if max(sides[0]) >= SMALL:
        return []
    height, width = sides[0]
    fit = [f"--config={x}" for x in files.of_folders(config.variant)]
    ways = " or ".join([*fit, "--config.resolution=64"])
    return [
        f"pictures of {size[0]}x{size[1]} pixels are read as {width}x{height}, as the "
        f"config says. For pictures of your own: {ways}"
    ]


def _few(n, config):
    """The warning that there are few images, with what is not done about it yet."""
    used = {x if isinstance(x, str) else x["name"] for x in config.get("augment", ())}
    measured = {x if isinstance(x, str) else x["name"] for x in config.metrics}
    steps = []
    if "augment" in config and not used & FOR_FEW_IMAGES:
        steps += [
            "the preset folder_small, as in --config=dcgan:folder_small "
            "(narrow networks for a CPU)",
            """--config.augment='("diff_augment",)' (or "ada")""",
        ]
    if "memorisation" not in measured:
        steps.append("the score `memorisation`, which compares samples with them")
    text = f"{n:,} images are few: the discriminator may learn them by heart, and"
    text += " samples may repeat them"
    return text + (f". Worth trying: {'; '.join(steps)}" if steps else "")


def end(workdir: Path, best: Mapping[str, Any] | None, seconds: float) -> list[str]:
    """Returns the lines that say, after a run, where its results are."""
    samples = pictures.latest(workdir / "samples")
    lines = {"samples": samples and str(samples)}
    if best:
        value = f"{best['metric']} {best['value']:.4g}"
        lines["best"] = f"{workdir / 'checkpoints' / str(best['step'])} ({value})"
    lines["time"] = duration(seconds)
    width = max(map(len, lines))
    return [f"  {name:<{width}}  {text}" for name, text in lines.items() if text]


def closing(config: Any, workdir: Path) -> str:
    """Returns the last line of a run, after writing its page."""
    what = f"{config.variant} on {config.data}, {config.steps} steps"
    return f"{what}. {page.report(workdir)}; samples and checkpoints beside it"


def scores(values: Mapping[str, float], failed: Mapping[str, str]) -> list[str]:
    """Returns the lines after an evaluation: all scores, and each that failed."""
    shown = "  ".join(f"{name} {value:.4g}" for name, value in values.items())
    return [x for x in (shown, *(f"{n} failed: {w}" for n, w in failed.items())) if x]


def first_step(seconds: float, compiling: float) -> str:
    """Returns the line after the first step, so many seconds after the start."""
    return (
        f"first step after {duration(seconds)}, {duration(compiling)} of it compiling"
    )


def duration(seconds: float) -> str:
    """Returns "52 s", "7 min 12 s" or "3 h 20 min"."""
    seconds = round(seconds)
    if seconds < 60:
        return f"{seconds} s"
    minutes, seconds = divmod(seconds, 60)
    if minutes < 60:
        return f"{minutes} min {seconds} s"
    return f"{minutes // 60} h {minutes % 60} min"


def things(spec: Mapping[str, Any]) -> str:
    """Returns what the examples of data are called: images, points, ..., examples."""
    kinds = {field.kind for field in spec.values() if pictures.drawable(field.kind)}
    try:
        (kind,) = kinds
        return _plural(kind)
    except (ValueError, AttributeError):  # several, or one without a picture
        return "examples"


def _plural(kind):
    return pictures.of_kind(kind).PLURAL.lower()


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
        what = f"{n:,} {_plural(kind) if len(fields) == 1 else 'examples'}"
    shapes = {name: _shape(f) for name, f in fields.items()}
    if len(shapes) == 1:
        images = any(f.kind == "image" for f in fields.values())
        labels = ", without labels" if images and found["classes"] is None else ""
        return f"{what} of {single(shapes, '')}{labels}; {test}"
    named = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
    return f"{what} ({named}); {test}"


def _shape(field):
    sizes = "x".join(map(str, field.shape))
    return f"{sizes} numbers" if field.kind == "point" else sizes


def _classes(found, variant):
    names, counts = found["classes"], found["class_counts"]
    if names is None:
        return ""
    unused = found.get("unused_labels", ())
    if isinstance(names, dict):
        return "; ".join(
            f"{name}: {len(x)}{' (not used)' if name in unused else ''}"
            for name, x in names.items()
        )
    shown = names
    if isinstance(counts, list) and len(counts) == len(names):
        shown = [f"{name} ({n:,})" for name, n in zip(names, counts, strict=True)]
    if len(names) > FEW_CLASSES:
        shown = [*names[: FEW_CLASSES - 2], "...", names[-1]]
    note = f"; {variant} does not use them" if unused else ""
    return f"{len(names)}: {', '.join(shown)}{note}"


def _epoch(found):
    """What an epoch is, where classes have weights."""
    epoch = found.get("epoch")
    if not epoch:
        return ""
    parts = [
        f"{name} {rows:,} of {n:,}"
        for name, rows, n, weight in zip(
            found["classes"],
            epoch["of_classes"],
            epoch["examples_of_classes"],
            epoch["weights"],
            strict=True,
        )
        if weight != 1
    ]
    if len(parts) > FEW_CLASSES:
        parts = [*parts[: FEW_CLASSES - 2], "..."]
    shown = f" ({', '.join(parts)} examples)" if parts else ""
    return f"{epoch['rows']:,} rows by data_weights{shown}"


def _epochs(epochs):
    if isinstance(epochs, dict):
        return ", ".join(f"{_number(n)} epochs of {name}" for name, n in epochs.items())
    return f"{_number(epochs)} epochs"


def _number(x):
    return f"{x:,.0f}" if x >= 10 else f"{x:.2g}"


def _large_images(spec):
    sides = [min(f.shape[:2]) for f in spec.values() if f.kind == "image"]
    return bool(sides) and max(sides) >= SMALL
