"""How the scores respond to real images that are degraded more and more.

    python -m experiments.studies.metrics [--data=tfds:cifar10] [--extractor=squeezenet]
        [--n=10000] [--out=docs/metrics]

The reference is n training images. Compared with it are the test images, other training
images, and those other images blurred, with noise, and without some of the classes. The
scores are printed, written to OUT.json, and drawn in OUT.png.
"""

from __future__ import annotations

import dataclasses
import functools
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from absl import app, flags, logging
from PIL import Image, ImageFilter

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
class _Rows:
    """Some examples of a source, with changed images."""

    source: Any
    rows: np.ndarray
    change: Callable[[np.ndarray], np.ndarray] = lambda images: images

    shape = property(lambda self: self.source.shape)
    n_classes = property(lambda self: self.source.n_classes)
    spec = property(lambda self: self.source.spec)

    def __len__(self):
        return len(self.rows)

    def take(self, indices):
        taken = self.source.take(self.rows[indices])
        return taken | {"image": self.change(taken["image"])}


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
    from experiments.evaluation import extractors, scores
    from experiments.evaluation.features import extract_once
    from experiments.evaluation.image_sets import of_source
    from gans import data

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
    labels = train.take(order)["label"]
    reference, rest = order[:n], order[n:]
    sides = {
        "test images": _Rows(test, np.arange(len(test))[:n]),
        "other training images": _Rows(train, rest[:n]),
    }
    for sigma in BLUR:
        change = functools.partial(blur, sigma=sigma)
        sides[f"blur {sigma:g}"] = _Rows(train, rest[:n], change)
    for sigma in NOISE:
        change = functools.partial(noise, sigma=sigma)
        sides[f"noise {sigma:g}"] = _Rows(train, rest[:n], change)
    for tenths in N_DROPPED:
        dropped = train.n_classes * tenths // 10
        kept = rest[labels[n:] >= dropped]
        sides[f"{dropped} classes dropped"] = _Rows(train, kept[:n])

    def features(name, rows):
        progress(name)
        return extract_once(network, of_source(rows, name))

    real = features("reference", _Rows(train, reference))
    found, counts = {}, {}
    for name, rows in sides.items():
        fake = features(name, rows)
        counts[name] = len(fake)
        found[name] = scores.compute(WANTED, real, fake, network.name)
    protocol = scores.describe(network, real, fake, real=f"{data_name}, training")
    del protocol["n_fake"]
    return {"conditions": found, "protocol": protocol | {"n_each": counts}}


def draw(path: Path, report: dict[str, Any]) -> None:
    """Draws each score against the strength of each degradation, as PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

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


def main(_):
    from experiments import metrics, process

    logging.set_verbosity(logging.WARNING)
    process.configure()
    process.compilation_cache()
    from experiments.evaluation import scores

    values = flags.FLAGS
    out = Path(values.out)
    try:
        report = study(
            values.data,
            values.extractor,
            n=values.n,
            weights=metrics.named_weights(),
            progress=lambda line: print(line, file=sys.stderr),
        )
        out.parent.mkdir(parents=True, exist_ok=True)
        metrics.write(out.with_suffix(".json"), report)
        draw(out.with_suffix(".png"), report)
    except (ValueError, OSError, RuntimeError) as error:
        sys.exit(f"error: {error}")
    conditions = report["conditions"]
    by_score = {
        quantity: {name: found[quantity] for name, found in conditions.items()}
        for quantity in next(iter(conditions.values()))
    }
    print(scores.table(by_score))


if __name__ == "__main__":
    from experiments import metrics as command

    command.define_flags()
    flags.DEFINE_string("data", "tfds:cifar10", "A labelled set with a test split.")
    flags.FLAGS.set_default("extractor", "squeezenet")
    flags.FLAGS.set_default("n", 10_000)
    flags.FLAGS.set_default("out", "docs/metrics")
    app.run(main)
