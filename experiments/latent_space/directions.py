"""Directions in W, found in closed form or from labels, in a file that `edit` takes."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from experiments.files import replacing
from experiments.latent_space import factors, outputs, points, seen
from experiments.latent_space import layers as ranges
from experiments.latent_space.generator import Styled
from experiments.sampling import asked
from gans import names
from gans.data.spec import class_of, label_field

METHODS = ("sefa", "labels")
N, N_SAMPLES = 8, 2000
MADE_BY = "experiments.latents directions"


class Directions(NamedTuple):
    """Directions in W.

    Attributes:
      names: of each.
      vectors: [K, w_dim], of length 1.
      deviations: [K], of w along each.
      layers: [L], those whose w is to be moved.
      values: [K], eigenvalues, or how well each tells its label (0.5 is chance).
    """

    names: tuple[str, ...]
    vectors: np.ndarray
    deviations: np.ndarray
    layers: np.ndarray
    values: np.ndarray


def run(
    workdir: str,
    *,
    out: str,
    checkpoint: str | int | None = None,
    method: str = "sefa",
    layers: str = "all",
    n: int | None = None,
    label: str | None = None,
    extractor: str | None = None,
) -> str:
    """Finds directions, and writes them; returns what they are, in lines.

    Args:
      out: x.npz.
      method: "sefa", see `factors.closed_form`, or "labels", see
        `factors.between_classes`: a direction for each class.
      layers: those that are moved, and of which "sefa" takes the styles, see
        `layers.read`.
      n: the number of directions (8) of "sefa"; of samples (2000) of "labels".
      label: the classes that get a direction; by default all.
      extractor: what says which class an image shows: a network with "logits", see
        `extractors.find`. By default it is the class that the model was asked for, and
        of a model that is asked for none a classifier of its data's labels.

    Raises ValueError or OSError for what is wrong in them.
    """
    names.check(method, METHODS, "--method")
    if Path(out).suffix != ".npz":
        raise ValueError(f"--out={out}: wanted a file that ends in .npz")
    points.check_old(out, "directions")
    if n is not None and n < 1:
        raise ValueError(f"--n={n}: wanted at least 1")
    for flag, value in (("class", label), ("extractor", extractor)):
        if method == "sefa" and value is not None:
            raise ValueError(f"--{flag}={value} is for --method=labels")
    styled = Styled.load(workdir, checkpoint)
    chosen = ranges.read(layers, styled.n_ws)
    if method == "sefa":
        found = _closed_form(styled, chosen, N if n is None else n)
    else:
        n = N_SAMPLES if n is None else n
        found = _of_labels(styled, chosen, n, label, extractor)
    _save(outputs.made(out), found, styled.digest)
    said = "eigenvalue" if method == "sefa" else "accuracy"
    lines = [
        f"{name}: {said} {value:.3g}, deviation of w {deviation:.3g}"
        for name, value, deviation in zip(
            found.names, found.values, found.deviations, strict=True
        )
    ]
    return "\n".join([*lines, out])


def _closed_form(styled, layers, n):
    affines = [weight for layer, weight in styled.affines() if layer in layers]
    values, vectors = factors.closed_form(affines)
    n = min(n, len(values))
    w, _ = styled.samples(N_SAMPLES)
    titles = tuple(f"factor {i + 1}" for i in range(n))
    return _found(titles, vectors[:n], w, layers, values[:n])


def _found(titles, vectors, w, layers, values):
    deviations = (w @ vectors.T).std(0)
    return Directions(titles, vectors, deviations, layers, np.asarray(values))


def _of_labels(styled, layers, n, label, extractor):
    field = styled.model.spec.get(label_field(styled.model.spec))
    w, classes = styled.samples(n)
    titles = None if field is None else _names(field)
    if extractor is not None or classes is None:
        if extractor is None and field is None:
            raise ValueError(
                "--method=labels: the data of this model have no labels; "
                "--extractor=MODULE.NAME names a function of images that returns logits"
            )
        given = {"shape": styled.shape, "config": styled.model.config}
        logits = seen.logits(
            lambda w: styled.images(np.repeat(w[:, None], styled.n_ws, axis=1)),
            w,
            extractor or "classifier",
            **given,
        )
        classes = logits.argmax(1) if logits.shape[1] > 1 else logits[:, 0] > 0
        if field is None or logits.shape[1] != field.n_classes:
            titles = tuple(f"logit {i}" for i in range(logits.shape[1]))
    numbers = _asked(label, field, titles)
    # The accuracy is that on samples that were not learnt from.
    half = np.random.default_rng(0).permutation(n) % 2 == 0
    vectors, accuracies, kept = [], [], []
    for i in numbers:
        inside = classes == (i if len(titles) > 1 else True)
        parts = [np.sum(inside[x] == y) for x in (half, ~half) for y in (True, False)]
        if min(parts) < 2:
            said = f"{titles[i]}: {inside.sum()} of {n} samples show it; left out"
            tqdm.write(said, sys.stderr)
            continue
        direction = factors.between_classes(w[half], inside[half])
        accuracies.append(factors.accuracy(w[~half], inside[~half], direction))
        vectors.append(factors.between_classes(w, inside))
        kept.append(titles[i])
    if not kept:
        raise ValueError("--method=labels: no class has samples inside and outside")
    return _found(tuple(kept), np.stack(vectors), w, layers, accuracies)


def _names(field):
    return tuple(f"towards {points.named(field, i)}" for i in range(field.n_classes))


def _asked(label, field, titles):
    """The numbers of the classes that get a direction."""
    if label is None:
        return range(len(titles))
    if field is None or len(titles) != field.n_classes:
        raise ValueError(f"--class={label}: the logits are not of the data's classes")
    given = asked.classes({"label": field}, label)
    several = given if isinstance(given, list) else [given]
    return [class_of(field, one) for one in several]


def _save(path: str | os.PathLike, found: Directions, weights: str) -> None:
    arrays = found._asdict() | {"weights": weights}
    arrays["directions"] = arrays.pop("vectors")
    with replacing(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, **arrays)


def load(path: str, styled: Styled) -> Directions:
    """Returns the directions of a file; an error for another one."""
    flag = "--directions"
    arrays = points.arrays_of(path, flag, "directions", MADE_BY)
    vectors = arrays["directions"]
    if vectors.shape[1] != styled.w_dim or arrays["layers"].max() >= styled.n_ws:
        raise ValueError(
            f"{flag}={path}: its directions have {vectors.shape[1]} numbers, those of "
            f"this generator {styled.w_dim}"
        )
    points.check_weights(path, arrays, styled)
    titles = tuple(str(name) for name in arrays["names"])
    rest = (arrays[name] for name in ("deviations", "layers", "values"))
    return Directions(titles, vectors, *rest)
