"""Feature extractors by name, and where their weights are found."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import io
import math
import sys
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict
from tqdm import tqdm

from experiments import process
from experiments.evaluation import (
    cache,
    labelled,
    perceptual_weights,
    vision_transformers,
    volumetric,
)
from experiments.evaluation import pretrained as files
from gans import data, names
from gans.metrics.classifiers import small
from gans.metrics.features import inception, pth, random_weights, squeezenet
from gans.metrics.features.extractor import Extractor

LPIPS = ("lpips_vgg", "lpips_alex", "lpips_squeeze")
# What sees which kind of data; the first is chosen. All others see images.
OF_KIND = {"video": ("motion",), "voxels": ("solids",)}
OF_OTHERS = tuple(name for names in OF_KIND.values() for name in names)
# They see fractions of a level.
FLOATS = ("squeezenet", "classifier", "random", *LPIPS, *vision_transformers.NAMES)
NAMES = ("inception", *FLOATS, *OF_OTHERS)
# So they begin.
OURS = tuple({name.partition("_")[0]: None for name in NAMES})
# Logits of those that always have the same number.
NO_LOGITS = ("random", "motion", *LPIPS, *vision_transformers.NAMES)
N_LOGITS = {"inception": 1008, **dict.fromkeys(NO_LOGITS, 0)}
CLASSIFIER_STEPS = 1500
# Images that a classifier learns in seconds to minutes.
SIDES, PER_CLASS, BYTES = (8, 64), 100, 2**30
# Pixels, of which a tap is left.
SMALLEST = {"vgg": 16, "alex": 31, "squeeze": 17}
OTHERS_SMALLEST = {
    "motion": 8,
    "solids": 8,
    "classifier": 8,
    "random": random_weights.SMALLEST,
}


def find(
    name: str,
    *,
    resize: str = "tf",
    weights: dict[str, str | None] | None = None,
    trained_on: dict[str, Any] | None = None,
) -> Callable[[], Extractor]:
    """Returns a function that returns the extractor, once its weights are found.

    Missing files are reported at once; weights are loaded when they are needed.

    Args:
      name: one of NAMES, or the path (see `gans.names`) of a pure JAX function of
        images uint8 [B, H, W, C] that returns {"features": [B, D]}, and "logits" [B, K]
        if it likes.
      resize: of Inception: tf, pytorch or clean.
      weights: {"inception": path, "squeezenet": path, "lpips-trunk": path,
        "lpips-heads": path, "dinov2": path, "clip": path}.
      trained_on: arguments of `gans.data.load`, of the labelled set that the classifier
        learns.

    Raises ValueError for a name or function that is not known, FileNotFoundError where
    there are no weights.
    """
    weights = weights or {}
    names.check(name, NAMES, "extractor", own=True)
    if names.is_path(name):
        return functools.partial(_of_user, name, _function(name))
    if name == "random":
        return random_weights.make
    if name == "inception":
        path = files.find(files.INCEPTION, weights.get(name))
        return functools.partial(_inception, path, resize)
    if name == "squeezenet":
        path = files.find(files.SQUEEZENET, weights.get(name))
        return functools.partial(_squeezenet, path)
    if name in vision_transformers.NAMES:
        return vision_transformers.find(name, weights)
    if name in LPIPS:
        given = perceptual_weights.find(name.removeprefix("lpips_"), weights)
        return functools.partial(_lpips, name, *given)
    if not trained_on:
        raise ValueError(
            f"extractor {name!r} needs labelled data to learn from: name a data set "
            "with --classifier-data"
        )
    if name in volumetric.LEARNERS:
        return functools.partial(volumetric.extractor, name, **trained_on)
    return functools.partial(classifier, **trained_on)


def choose(
    shape: tuple[int, ...],
    *,
    kind: str | None = None,
    n: int = 0,
    n_classes: int | None = None,
    weights: dict[str, str | None] | None = None,
    photographs: bool = True,
    unlabelled: str = "there are no labels",
) -> tuple[str, str]:
    """Returns the extractor that "auto" stands for, and why.

    Inception, if its weights are at hand; else a classifier of the data's own labels,
    if it learns them in seconds to minutes; else a network of random weights.

    Args:
      shape: of the images [H, W, C], or of clips [T, H, W, C].
      kind: of the data; None: images or clips, by their shape.
      n, n_classes: images with labels, and their classes, of which it could learn.
      weights: see `find`.
      photographs: whether Inception comes into question.
      unlabelled: what is said where `n_classes` is None.
    """
    kind = kind or _kind(shape)
    if kind in OF_KIND:
        return OF_KIND[kind][0], f"the data are {SAID[kind]}"
    if photographs and files.at_hand(files.INCEPTION, (weights or {}).get("inception")):
        return "inception", "its weights are at hand"
    why = "Inception's weights are not at hand (extractor=inception downloads them)"
    if not photographs:
        why = "the scores need more than Inception's features"
    low, high = SIDES
    learns = (
        n_classes is not None
        and n_classes >= 2
        and n >= PER_CLASS * n_classes
        and low <= min(shape[:2]) <= max(shape[:2]) <= high
        and n * math.prod(shape) <= BYTES
    )
    if learns:
        return "classifier", f"{why}, and the data have labels"
    if n_classes is not None:
        unlabelled = "there are no labels that are quick to learn"
    return "random", f"{why}, and {unlabelled}"


@functools.cache
def say_chosen(name: str, why: str) -> None:
    """Says, once, which extractor was chosen."""
    print(f"extractor: {name}, as {why}", file=sys.stderr)


def _function(name):
    found = names.imported(name, "extractor")
    return names.wanted(found, Callable, "extractor", name, "a function of images")


def _of_user(name, function):
    short = names.last(name).replace("_", "-")
    # A user's function called `inception` must not give a score called `fid`.
    if short.startswith(OURS):
        short = f"user-{short}"
    # Only the name of the function is known: there is no checksum.
    protocol = {"function": name, "weights": None}
    return Extractor(short, lambda _, images: function(images), {}, protocol)


def _inception(path, resize):
    sha256 = files.checksum(path)
    variables = inception.from_pth(pth.read(path))
    extractor = inception.make(variables, resize=resize, sha256=sha256)
    if sha256.startswith(files.INCEPTION.sha256):
        return extractor
    # With other weights the scores are not FID, and must not be called so.
    return Extractor(
        f"inception-{sha256[:8]}",
        extractor.apply,
        extractor.variables,
        extractor.protocol,
    )


def _squeezenet(path):
    with np.load(path) as arrays:
        variables = squeezenet.from_npz(dict(arrays))
    return squeezenet.make(variables, sha256=files.checksum(path))


def _lpips(name, trunk, heads):
    made = perceptual_weights.make(name.removeprefix("lpips_"), trunk, heads)

    def apply(variables, images):
        check(name, images.shape[1:])
        return made.apply(variables, images)

    return dataclasses.replace(made, apply=apply)


SAID = {"image": "images", "video": "clips", "voxels": "voxels"}


def _kind(shape):
    return "video" if len(shape) == 4 else "image"


def check(
    name: str,
    shape: tuple[int, ...],
    *,
    kind: str | None = None,
    floats: bool = False,
) -> None:
    """Checks, before anything is loaded, that an extractor sees images [H, W, C].

    Or other data, which are seen by those of OF_KIND and functions of the user's.

    kind: of the data; None: images or clips, by their shape.
    floats: whether it must also see values between the levels of 8 bits: `apply` then
      takes floats in 0 .. 255 as it takes uint8.

    Raises ValueError if it does not.
    """
    kind = kind or _kind(shape)
    known = OF_KIND.get(kind) or tuple(x for x in NAMES if x not in OF_OTHERS)
    if not names.is_path(name) and name not in known:
        raise ValueError(
            f"extractor {name!r} does not see {SAID[kind]}; those that do: "
            f"{', '.join(known)}"
        )
    *_, height, width, _ = shape
    least = {**SMALLEST, **OTHERS_SMALLEST}.get(name.removeprefix("lpips_"), 1)
    if min(height, width) < least:
        raise ValueError(
            f"extractor {name!r} sees nothing of {width}x{height} pixels; at "
            f"least {least} are needed"
        )
    if not floats or name in FLOATS:
        return
    problem = "it accepts only uint8"
    if names.is_path(name):
        problem = _float_problem(_function(name), shape)
    if problem:
        raise ValueError(
            f"extractor {name!r} sees no steps smaller than a level of 8 bits: "
            f"{problem}; those that do: {', '.join(FLOATS)}, and a function of your "
            "own that takes floats in 0 .. 255 as it takes uint8"
        )


def _float_problem(function, shape):
    levels = np.random.default_rng(0).integers(64, 192, (2, *shape), np.uint8)
    floats = levels.astype(np.float32)
    try:
        of_levels, of_floats, between = (
            np.asarray(function(jnp.asarray(x))["features"], np.float64)
            for x in (levels, floats, floats + 0.25)
        )
    except Exception as error:  # a user's function may raise anything
        return f"of floats it raises {type(error).__name__}: {error}"
    if not np.allclose(of_levels, of_floats, rtol=1e-3, atol=1e-3 * of_levels.std()):
        return "of floats it gives other features than of the same uint8"
    return "it rounds floats" if np.array_equal(between, of_floats) else None


def classifier(
    name: str,
    *,
    resolution: int | None = None,
    channels: int | None = None,
    data_dir: str | None = None,
    skip_corrupt: bool = False,
    frames: int = 16,
    stride: int = 1,
    data_seed: int = 0,
    size: tuple[int, int] | None = None,
    seed: int = 0,
) -> Extractor:
    """Returns a classifier of the data set, trained now or kept from an earlier time.

    It learns the training split (of a set without splits: four fifths), and its
    accuracy on the rest is part of its protocol. `seed` is that of the training,
    `data_seed` and the rest are for `gans.data.load`. Raises ValueError without labels,
    for fewer than five images, and for images that are not of `size` [H, W], if given.
    """
    load = functools.partial(
        data.load,
        name,
        resolution=resolution,
        channels=channels,
        data_dir=data_dir,
        skip_corrupt=skip_corrupt,
        frames=frames,
        stride=stride,
        seed=data_seed,
    )
    source, held_out = load(), data.held_out(load)
    spec = source.spec
    image, label = check_labelled(source, name)
    shape, n_classes = spec[image].shape, spec[label].n_classes
    if size is not None and shape[:2] != tuple(size):
        raise ValueError(
            f"extractor 'classifier': the images of {name} are {shape[1]}x{shape[0]}, "
            f"those to be scored {size[1]}x{size[0]}; --resize=PIXELS makes all square"
        )
    train, test = labelled.split(source, held_out, seed)
    described = [name, shape, seed, CLASSIFIER_STEPS, n_classes]
    key = hashlib.sha256(repr(described).encode())
    for array in (train[image], train[label], test[image], test[label]):
        key.update(np.ascontiguousarray(array))
    path = process.cache_folder() / "classifiers" / f"{key.hexdigest()[:32]}.npz"
    arrays = cache.read(path)
    if arrays is None:
        variables = small.train(
            train[image],
            train[label],
            n_classes,
            seed=seed,
            steps=CLASSIFIER_STEPS,
            progress=functools.partial(
                tqdm, desc=f"classifier of {name}", disable=None, leave=False
            ),
        )
        accuracy = small.accuracy(variables, test[image], test[label])
        arrays = {"test_accuracy": accuracy, **flatten_dict(variables, sep="/")}
        arrays = {name: np.asarray(x) for name, x in arrays.items()}
        cache.keep(path, arrays)
    protocol = {
        "weights": _checksum(arrays),
        "trained_on": name,
        "image_shape": list(shape),
        "training_seed": seed,
        "training_steps": CLASSIFIER_STEPS,
        "n_train": len(train[label]),
        "test_accuracy": float(arrays.pop("test_accuracy")),
        "n_test": len(test[label]),
        "chance": float(np.bincount(test[label]).max() / len(test[label])),
    }
    return small.make(unflatten_dict(arrays, sep="/"), protocol=protocol)


def check_labelled(source: Any, name: str) -> tuple[str, str]:
    """Returns the fields of images and of labels that a classifier learns.

    Raises ValueError if a source has not one of each, fewer than two classes or fewer
    than five images.
    """
    spec, place = source.spec, f"extractor 'classifier': {name}"
    images = [x for x, field in spec.items() if field.kind == "image"]
    labels = [x for x, field in spec.items() if field.kind == "label"]
    if len(images) != 1 or len(labels) != 1:
        raise ValueError(
            f"{place} has no labels to learn from; wanted are one field of images and "
            f"one of labels, it has {', '.join(spec)}. The extractor `random` needs no "
            "labels"
        )
    if spec[labels[0]].n_classes < 2:
        raise ValueError(f"{place} has a single class; a classifier needs two or more")
    if len(source) < 5:
        raise ValueError(f"{place} has {len(source)} images, fewer than 5")
    check("classifier", spec[images[0]].shape)
    return images[0], labels[0]


def _checksum(arrays):
    """That of the file that `cache.keep` writes, without reading it again."""
    content = io.BytesIO()
    np.savez(content, **arrays)
    return hashlib.sha256(content.getvalue()).hexdigest()
