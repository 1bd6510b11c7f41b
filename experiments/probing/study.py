"""The features of a discriminator beside others: what `experiments.probe` does."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from experiments import origin
from experiments.evaluation import labelled
from experiments.pages import findings
from experiments.probing import features, filters, kmeans, linear
from experiments.sampling import pictures
from experiments.sampling.model import Model

N, LABELS, DRAWS = 10_000, (10, 100), 5
TITLES = {
    "discriminator": "discriminator, trained",
    "random": "discriminator, random weights",
    "kmeans": "K-means, one layer",
    "pixels": "raw pixels",
}


def probe(
    workdir: str | os.PathLike,
    *,
    out: str | os.PathLike | None = None,
    checkpoint: str | int | None = None,
    data: str | None = None,
    network: str | None = None,
    labels: Sequence[int] = LABELS,
    draws: int = DRAWS,
    n: int = N,
    seed: int = 0,
) -> str:
    """Compares features by a linear classifier, draws filters; returns what to print.

    Args:
      out: a folder; by default WORKDIR/probe.
      data: labelled images, named as in a config; by default the run's own data.
      network: whose features; by default the first network of images.
      labels: numbers of labelled examples of each class, beside all of them.
      draws: of such examples, at random.
      n: images to train on, and to test with, at most.
      seed: of the held-out images, the draws, the random weights and K-means.

    Raises ValueError or OSError for what is wrong in them.
    """
    if min([*labels, draws, n]) < 1:
        raise ValueError(
            f"--per_class={','.join(map(str, labels))} --draws={draws} --n={n}: wanted "
            "at least 1 of each"
        )
    folder = findings.folder(out or Path(workdir) / "probe", "features")
    model = Model.load(workdir, checkpoint or "last")
    critic = features.find(model.gan, model.state, model.spec, network)
    options = {"data_dir": model.config.data_dir, "seed": seed, "n": n}
    place = "--data" if data else "config.data"
    known = labelled.load(
        data or model.config.data, critic.field.shape, place=place, **options
    )
    for k in labels:
        known.few(k, 0)  # an error before the work
    state = features.untrained(model.gan, model.state, seed + 1)
    random = features.find(model.gan, state, model.spec, critic.name)
    extractors = {
        "discriminator": critic.features,
        "random": random.features,
        "kmeans": lambda x: learnt.features(x),
        "pixels": lambda x: x.reshape(len(x), -1).astype(np.float32),
    }
    learnt = kmeans.learn(known.images, seed)
    found = {
        name: _scores(extract, known, labels, draws, seed)
        # disable=None: at a terminal only
        for name, extract in tqdm(extractors.items(), disable=None)
    }
    figures = _figures(folder, model, critic, random, known.test_images)
    step = int(model.state.step)
    results = {
        "features": found,
        "protocol": _protocol(known, critic, step, model, draws, seed),
    }
    table = findings.write(
        folder,
        title=f"What {critic.name} of {model.config.variant} has learnt",
        said=f"{model.config.variant} on {model.config.data}, step {step:,}; labelled "
        f"images of {known.name}: {len(known.labels):,} to train a linear classifier, "
        f"{len(known.test_labels):,} others to test it",
        heading="Accuracy of a linear classifier, in per cent",
        rows=_rows(found, labels, draws),
        results=results,
        figures=figures,
    )
    return f"{table}\n{folder / 'index.html'}"


def _scores(
    extract: Callable[[np.ndarray], np.ndarray],
    known: labelled.Labelled,
    labels: Sequence[int],
    draws: int,
    seed: int,
) -> dict[str, Any]:
    """What a linear classifier makes of features: with all labels, and with few."""
    x, test = extract(known.images), (extract(known.test_images), known.test_labels)
    whole = linear.accuracy((x, known.labels), test, seed)
    few = {}
    for k in labels:
        parts = []
        for draw in range(draws):
            rows = known.few(k, seed + draw)
            parts.append(linear.accuracy((x[rows], known.labels[rows]), test, seed))
        values = [part.accuracy for part in parts]
        few[str(k)] = {
            "mean": float(np.mean(values)),
            "sd": float(np.std(values, ddof=1)) if draws > 1 else None,
            "values": values,
            "c": [part.c for part in parts],
        }
    return {
        "dimensions": x.shape[1],
        "accuracy": whole.accuracy,
        "c": whole.c,
        "few": few,
    }


def _rows(found, labels, draws):
    head = ["features", "numbers", "all labels"]
    rows = [head + [f"{k} a class, {draws} draws" for k in labels]]
    for name, x in found.items():
        few = [_few(x["few"][str(k)]) for k in labels]
        rows.append(
            [TITLES[name], f"{x['dimensions']:,}", f"{100 * x['accuracy']:.1f}", *few]
        )
    return rows


def _few(x):
    sd = "" if x["sd"] is None else f" ± {100 * x['sd']:.1f}"
    return f"{100 * x['mean']:.1f}{sd}"


def _figures(folder, model, critic, random, images):
    """A picture of each layer's first filters; (file, caption) of each."""
    found, chosen = [], [filters.strongest(x, images) for x in (critic, random)]
    for layer in critic.maps:
        halves = [
            filters.drawn(x, images, layer, own[layer])
            for x, own in zip((critic, random), chosen, strict=True)
        ]
        name = f"filters_{layer.replace('/', '_')}.png"
        with origin.noted(**model.origin() | {"source": origin.EDITED}):
            pictures.save_png(folder / name, filters.picture(*halves))
        size = "x".join(map(str, critic.maps[layer]))
        found.append(
            (
                name,
                f"{layer} ({size}): for each of {len(halves[0])} filters the images "
                "that excite it most, as far as it sees them, and below these guided "
                "backpropagation of the same activations",
            )
        )
    return found


def _protocol(known, critic, step, model, draws, seed):
    seen = known.name == model.config.data and not known.own_test
    return known.protocol() | {
        "seen_by_the_gan": "the tested images too, without labels" if seen else
        "none of the tested images, if the run is of the training split",
        "network": critic.name,
        "layers": {name: [*size] for name, size in critic.maps.items()},
        "pooling": f"maxima of {features.SIDE}x{features.SIDE} cells",
        "step": step,
        "classifier": "linear SVM, squared hinge, one against all; features of mean 0 "
        "and variance 1 over the training images, over the root of their number",
        "c": [*linear.C],
        "folds": linear.FOLDS,
        "cross_validated_on_at_most": linear.MOST,
        "draws": draws,
        "seed": seed,
        "random_weights": f"first weights of seed {seed + 1}",
        "kmeans": f"{kmeans.CENTROIDS} centroids of {kmeans.PATCH}x{kmeans.PATCH} "
        "patches, whitened, triangle, four quadrants",
    }  # fmt: skip
