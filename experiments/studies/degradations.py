"""How the scores respond to real images that are degraded more and more."""

from __future__ import annotations

import dataclasses
import functools
import json
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image, ImageFilter

from experiments.evaluation import extractors, scores
from experiments.evaluation.features import extract_once
from experiments.evaluation.image_sets import of_source
from experiments.files import replacing
from gans import data
from gans.data.source import Rows
from gans.data.spec import main_field

ERRORS = (ValueError, OSError, RuntimeError)

WANTED = ("fid", "kid", "is", "pr", "dc", "nnfs")
BLUR = (0.5, 1.0, 2.0)  # Gaussian, sigma in pixels
NOISE = (8, 16, 32)  # Gaussian, sigma of 255
N_DROPPED = (2, 5, 8)  # classes, in tenths of all


def blur(images: np.ndarray, sigma: float) -> np.ndarray:
    """Images uint8 [B, H, W, C] with each channel blurred."""
    kernel = ImageFilter.GaussianBlur(sigma)
    blurred = np.empty_like(images)
    for i, image in enumerate(images):
        for c in range(image.shape[-1]):
            channel = Image.fromarray(image[..., c])
            blurred[i, ..., c] = np.asarray(channel.filter(kernel))
    return blurred


def noise(images: np.ndarray, sigma: float) -> np.ndarray:
    """Images uint8 [B, H, W, C] with noise; the same images get the same noise."""
    rng = np.random.default_rng(zlib.crc32(np.ascontiguousarray(images)))
    noisy = images + rng.normal(0, sigma, images.shape)
    return np.clip(np.rint(noisy), 0, 255).astype(np.uint8)


@dataclasses.dataclass(frozen=True, eq=False)
class _Changed(Rows):
    """Some examples of a source, with changed images."""

    change: Callable[[np.ndarray], np.ndarray] = lambda images: images

    def take(self, indices):
        taken, field = super().take(indices), main_field(self.spec)
        return taken | {field: self.change(taken[field])}


def study(
    data_name: str,
    extractor: str,
    *,
    n: int,
    weights: dict[str, str | None] | None = None,
    progress: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Returns {"conditions": {name: results}, "protocol"}.

    Args:
      data_name: see `gans.data.load`.
      extractor: of the features.
      n: images on each side.
      weights: files of the extractor's weights.
      progress: is called with the name of what is extracted next.

    Raises ValueError if the data have no classes, no test split, fewer than 2 n
    training images or fewer than n test images; FileNotFoundError without weights.
    """
    train = data.load(data_name)
    test = data.load(data_name, split="test")
    if train.n_classes is None or len(train) < 2 * n or len(test) < n:
        raise ValueError(
            f"{data_name} has {len(train)} training and {len(test)} test images, and "
            f"{train.n_classes} classes; at least {2 * n}, {n} and 2 are needed"
        )
    network = extractors.find(
        extractor, weights=weights, trained_on={"name": data_name}
    )()
    order = np.random.default_rng(0).permutation(len(train))
    labels = train.take(order)[train.label_of(main_field(train.spec))]
    reference, rest = order[:n], order[n:]
    sides = {
        "test images": Rows(test, np.arange(len(test))[:n]),
        "other training images": Rows(train, rest[:n]),
    }
    for sigma in BLUR:
        change = functools.partial(blur, sigma=sigma)
        sides[f"blur {sigma:g}"] = _Changed(train, rest[:n], change=change)
    for sigma in NOISE:
        change = functools.partial(noise, sigma=sigma)
        sides[f"noise {sigma:g}"] = _Changed(train, rest[:n], change=change)
    for tenths in N_DROPPED:
        dropped = train.n_classes * tenths // 10
        kept = rest[labels[n:] >= dropped]
        sides[f"{dropped} classes dropped"] = Rows(train, kept[:n])

    def features(name, rows):
        progress(name)
        return extract_once(network, of_source(rows, name))

    real = features("reference", Rows(train, reference))
    wanted = [
        x for x in WANTED if real.logits is not None or not scores.known()[x].logits
    ]
    found, counts = {}, {}
    for name, rows in sides.items():
        fake = features(name, rows)
        counts[name] = len(fake)
        found[name] = scores.compute(wanted, real, fake, network.name)
    protocol = scores.describe(network, real, fake, real=f"{data_name}, training")
    del protocol["n_fake"]
    return {"conditions": found, "protocol": protocol | {"n_each": counts}}


def draw(path: Path, report: dict[str, Any]) -> None:
    """Draws each score against the strength of each degradation, as PNG."""
    conditions = report["conditions"]
    quantities = list(next(iter(conditions.values())))
    columns = 3
    rows = -(-len(quantities) // columns)
    figure = Figure(figsize=(11, 2.6 * rows), dpi=90, layout="constrained")
    FigureCanvasAgg(figure)
    families = {"blur": "tab:blue", "noise": "tab:orange", "classes": "tab:green"}
    for i, quantity in enumerate(quantities):
        axes = figure.add_subplot(rows, columns, i + 1)
        at = conditions["other training images"][quantity]["value"]
        axes.axhline(
            conditions["test images"][quantity]["value"],
            color="0.5",
            ls=":",
            label="test images",
        )
        for family, colour in families.items():
            names = [name for name in conditions if family in name.split()]
            values = [conditions[name][quantity]["value"] for name in names]
            axes.plot(
                range(len(names) + 1), [at, *values], "o-", c=colour, label=family, ms=4
            )
        better = conditions["test images"][quantity]["better"]
        axes.set_title(f"{quantity} ({better} is better)", fontsize=9)
        axes.set_xticks(range(4), ["none", "weak", "medium", "strong"], fontsize=8)
        axes.tick_params(axis="y", labelsize=8)
    handles, labels = axes.get_legend_handles_labels()
    labels = [{"classes": "classes dropped"}.get(label, label) for label in labels]
    figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False)
    figure.savefig(path)


def table(report: dict[str, Any]) -> str:
    """Returns the scores as text, one column for each score."""
    conditions = report["conditions"]
    return scores.table(
        {
            quantity: {name: found[quantity] for name, found in conditions.items()}
            for quantity in next(iter(conditions.values()))
        }
    )


def write(out: Path, report: dict[str, Any]) -> None:
    """Writes OUT.json and OUT.png."""
    out.parent.mkdir(parents=True, exist_ok=True)
    with replacing(out.with_suffix(".json")) as path:
        Path(path).write_text(json.dumps(report, indent=2) + "\n")
    draw(out.with_suffix(".png"), report)
