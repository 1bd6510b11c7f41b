"""Extractors "motion" of clips and "solids" of volumes, trained once and kept."""

from __future__ import annotations

import functools
import hashlib
import io
import math
from typing import Any

import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict
from tqdm import tqdm

from experiments import process
from experiments.evaluation import cache
from gans import data
from gans.data.spec import main_field
from gans.metrics.classifiers import motion, solids
from gans.metrics.classifiers.volumetric import BATCH
from gans.metrics.features.extractor import Extractor

LEARNERS = {x.LEARNER.name: x.LEARNER for x in (motion, solids)}
STEPS = 400
BYTES, N_TEST = 2**28, 512  # that are learnt, and examples that are tested


def extractor(
    called: str,
    name: str,
    *,
    data_seed: int = 0,
    seed: int = 0,
    size=None,
    **options: Any,
) -> Extractor:
    """Returns a classifier, trained now or kept from an earlier time.

    called: one of LEARNERS. name, options: of `gans.data.load`, with `data_seed` for
    its seed. seed: of the training. It learns of the training split (of a set without
    splits: four fifths); its accuracy on the rest is part of its protocol.

    Raises ValueError for data of another kind.
    """
    learner = LEARNERS[called]
    load = functools.partial(data.load, name, seed=data_seed, **options)
    source, held_out = load(), data.held_out(load)
    field = main_field(source.spec)
    label, shape = source.label_of(field), source.spec[field].shape
    if source.spec[field].kind != learner.kind:
        raise ValueError(
            f"extractor {called!r}: {name} holds {source.spec[field].kind} data, not "
            f"{learner.things}"
        )
    n_classes = source.spec[label].n_classes if label else 1
    rows = np.random.default_rng(seed).permutation(len(source))
    n = len(rows) if held_out is not None else len(rows) * 4 // 5
    most = max(BATCH, BYTES // math.prod(shape))
    learnt = _taken(source, np.sort(rows[: min(n, most)]))
    if held_out is None:
        tested = _taken(source, rows[n:][:N_TEST])
    else:
        tested = _taken(held_out, np.arange(len(held_out))[:N_TEST])

    key = hashlib.sha256(repr([name, shape, seed, STEPS, n_classes]).encode())
    for part in (learnt, tested):
        for array in part.values():
            key.update(array)
    path = (
        process.cache_folder() / "classifiers" / f"{called}_{key.hexdigest()[:32]}.npz"
    )
    arrays = cache.read(path)
    if arrays is None:
        bar = functools.partial(
            tqdm, desc=f"{called} of {name}", disable=None, leave=False
        )
        given = learnt[field], learnt.get(label), n_classes
        variables = learner.train(*given, seed=seed, steps=STEPS, progress=bar)
        accuracy = learner.accuracy(
            variables, tested[field], tested.get(label), n_classes
        )
        arrays = {"test_accuracy": accuracy, **flatten_dict(variables, sep="/")}
        arrays = {name: np.asarray(x) for name, x in arrays.items()}
        cache.keep(path, arrays)
    content = io.BytesIO()
    np.savez(content, **arrays)
    protocol = {
        "weights": hashlib.sha256(content.getvalue()).hexdigest(),
        "trained_on": name,
        "image_shape": list(shape),
        "learns": ("labels, " if label else "") + ", ".join(learner.alterations),
        "training_seed": seed,
        "training_steps": STEPS,
        "n_train": len(learnt[field]),
        "test_accuracy": float(arrays.pop("test_accuracy")),
        "n_test": len(tested[field]),
        "chance": 0.5 if n_classes == 1 else 0.5 / n_classes,
    }
    variables = unflatten_dict(arrays, sep="/")
    logits = n_classes if label and learner.classifies else 0
    return learner.make(variables, protocol=protocol, logits=logits)


def _taken(source, rows):
    parts = [source.take(rows[i : i + 64]) for i in range(0, len(rows), 64)]
    return {k: np.concatenate([x[k] for x in parts]) for k in parts[0]}
