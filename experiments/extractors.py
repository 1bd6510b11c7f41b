"""Feature extractors by name, with their weights from wherever these are."""

from __future__ import annotations

import functools
import hashlib
import importlib
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict
from tqdm import tqdm

from experiments import process
from experiments import weights as files
from experiments.log import replacing
from gans import data, names
from gans.metrics.extractor import Extractor

NAMES = ("inception", "squeezenet", "classifier")
CLASSIFIER_STEPS = 1500


def find(
    name: str,
    *,
    resize: str = "tf",
    weights: dict[str, str | None] | None = None,
    trained_on: dict[str, Any] | None = None,
) -> Callable[[], Extractor]:
    """Returns a function that returns the extractor, once its weights are found.

    So what is missing is said at once, and what takes long comes when it is needed.

    Args:
      name: one of NAMES, or MODULE:FUNCTION, of a pure JAX function of images uint8
        [B, H, W, C] that returns {"features": [B, D]}, and "logits" [B, K] if it likes.
      resize: of Inception: tf, pytorch or clean.
      weights: {"inception": path, "squeezenet": path}.
      trained_on: arguments of `gans.data.load`, of the labelled set that the classifier
        learns.

    Raises ValueError for a name or function that is not known, FileNotFoundError where
    there are no weights.
    """
    weights = weights or {}
    if ":" in name:
        return functools.partial(_of_user, name, _function(name))
    names.check(name, NAMES, "extractor (or MODULE:FUNCTION)")
    if name == "inception":
        path = files.find(files.INCEPTION, weights.get(name))
        return functools.partial(_inception, path, resize)
    if name == "squeezenet":
        path = files.find(files.SQUEEZENET, weights.get(name))
        return functools.partial(_squeezenet, path)
    if not trained_on:
        raise ValueError(
            "extractor 'classifier' needs labelled data to learn from: name a set by "
            "--classifier-data"
        )
    return functools.partial(classifier, **trained_on)


def _function(name):
    module, _, function = name.partition(":")
    try:
        found = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        raise ValueError(f"extractor {name!r}: {error}") from None
    if not callable(found):
        raise ValueError(f"extractor {name!r} is a {type(found).__name__}, no function")
    return found


def _of_user(name, function):
    short = name.rpartition(":")[2].replace("_", "-")
    # What the user calls `inception` does not give a score called `fid`.
    if short.startswith(NAMES):
        short = f"user-{short}"
    # Nobody knows what the function computes but by its name: there is no checksum.
    protocol = {"function": name, "weights": None}
    return Extractor(short, lambda _, images: function(images), {}, protocol)


def _inception(path, resize):
    from gans.metrics import inception, pth

    sha256 = files.checksum(path)
    variables = inception.from_pth(pth.read(path))
    extractor = inception.make(variables, resize=resize, sha256=sha256)
    if sha256.startswith(files.INCEPTION.sha256):
        return extractor
    # Its scores are no FID, and are not to be called so.
    return Extractor(
        f"inception-{sha256[:8]}",
        extractor.apply,
        extractor.variables,
        extractor.protocol,
    )


def _squeezenet(path):
    from gans.metrics import squeezenet

    with np.load(path) as arrays:
        variables = squeezenet.from_npz(dict(arrays))
    return squeezenet.make(variables, sha256=files.checksum(path))


def classifier(
    name: str,
    *,
    resolution: int | None = None,
    channels: int | None = None,
    data_dir: str | None = None,
    seed: int = 0,
) -> Extractor:
    """Returns a classifier of the data set, trained now or kept from an earlier time.

    It learns the training split (of a set without splits: four fifths), and its
    accuracy on the rest is part of its protocol. Raises ValueError without labels, and
    for fewer than five images.
    """
    from gans.metrics import classifier as small

    load = functools.partial(
        data.load, name, resolution=resolution, channels=channels, data_dir=data_dir
    )
    source, held_out = load(), test_split(load)
    if source.n_classes is None:
        raise ValueError(f"extractor 'classifier': {name} has no labels to learn from")
    if len(source) < 5:
        raise ValueError(
            f"extractor 'classifier': {name} has {len(source)} images, fewer than 5"
        )
    rows = np.random.default_rng(seed).permutation(len(source))
    n = len(rows) if held_out is not None else len(rows) * 4 // 5
    train = source.take(rows[:n])
    if held_out is None:
        test = source.take(rows[n:])
    else:
        test = held_out.take(np.arange(len(held_out)))

    described = [name, source.shape, seed, CLASSIFIER_STEPS, source.n_classes]
    key = hashlib.sha256(repr(described).encode())
    for array in (train["image"], train["label"], test["image"], test["label"]):
        key.update(np.ascontiguousarray(array))
    path = process.cache_folder() / "classifiers" / f"{key.hexdigest()[:32]}.npz"
    if not path.is_file():
        variables = small.train(
            train["image"],
            train["label"],
            source.n_classes,
            seed=seed,
            steps=CLASSIFIER_STEPS,
            progress=functools.partial(
                tqdm, desc=f"classifier of {name}", disable=None, leave=False
            ),
        )
        accuracy = small.accuracy(variables, test["image"], test["label"])
        _keep(path, flatten_dict(variables, sep="/"), accuracy)
    with np.load(path) as kept:
        arrays = dict(kept)
    accuracy = float(arrays.pop("test_accuracy"))
    protocol = {
        "weights": files.checksum(path),
        "trained_on": name,
        "image_shape": list(map(int, source.shape)),
        "training_seed": seed,
        "training_steps": CLASSIFIER_STEPS,
        "n_train": n,
        "test_accuracy": accuracy,
        "n_test": len(test["label"]),
    }
    return small.make(unflatten_dict(arrays, sep="/"), protocol=protocol)


def test_split(load: Callable[..., Any]):
    """Returns `load(split="test")`, or None for a set that has no such split."""
    try:
        return load(split="test")
    except ValueError:
        return None


def _keep(path: Path, arrays, accuracy):
    path.parent.mkdir(parents=True, exist_ok=True)
    content = io.BytesIO()
    arrays = {name: np.asarray(x) for name, x in arrays.items()}
    np.savez(content, test_accuracy=accuracy, **arrays)
    with replacing(path) as temporary:
        Path(temporary).write_bytes(content.getvalue())
