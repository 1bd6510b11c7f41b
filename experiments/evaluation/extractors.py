"""Feature extractors by name, and where their weights are found."""

from __future__ import annotations

import functools
import hashlib
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict
from tqdm import tqdm

from experiments import process
from experiments.evaluation import pretrained as files
from experiments.files import replacing
from gans import data, names
from gans.metrics.classifiers import small
from gans.metrics.features import inception, lpips, pth, squeezenet
from gans.metrics.features.extractor import Extractor

LPIPS = ("lpips_vgg", "lpips_alex", "lpips_squeeze")
NAMES = ("inception", "squeezenet", "classifier", *LPIPS)
OURS = ("inception", "squeezenet", "classifier", "lpips")  # so our names begin
FLOATS = ("squeezenet", "classifier", *LPIPS)  # those that see fractions of a level
CLASSIFIER_STEPS = 1500
SMALLEST = {"vgg": 16, "alex": 31, "squeeze": 17}  # pixels, of which a tap is left
# torchvision's files, whose names end in their checksums, and the LPIPS authors'.
TRUNKS = {
    "vgg": ("vgg16-397923af.pth", "528 MB"),
    "alex": ("alexnet-owt-7be5be79.pth", "233 MB"),
    "squeeze": ("squeezenet1_1-b8a52dc0.pth", "5 MB"),
}
HEADS = {"vgg": "a78928a0", "alex": "df73285e", "squeeze": "4a5350f2"}


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
        "lpips-heads": path}.
      trained_on: arguments of `gans.data.load`, of the labelled set that the classifier
        learns.

    Raises ValueError for a name or function that is not known, FileNotFoundError where
    there are no weights.
    """
    weights = weights or {}
    names.check(name, NAMES, "extractor", own=True)
    if names.is_path(name):
        return functools.partial(_of_user, name, _function(name))
    if name == "inception":
        path = files.find(files.INCEPTION, weights.get(name))
        return functools.partial(_inception, path, resize)
    if name == "squeezenet":
        path = files.find(files.SQUEEZENET, weights.get(name))
        return functools.partial(_squeezenet, path)
    if name in LPIPS:
        net = name.removeprefix("lpips_")
        return functools.partial(_lpips, net, *_lpips_files(net, weights))
    if not trained_on:
        raise ValueError(
            "extractor 'classifier' needs labelled data to learn from: name a data set "
            "with --classifier-data"
        )
    return functools.partial(classifier, **trained_on)


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


def _lpips_files(net, weights):
    """The paths of trunk and heads."""
    name, size = TRUNKS[net]
    trunk = files.Weights(
        f"the trunk of lpips_{net}",
        flag="--lpips-trunk-weights",
        variable="GANS_LPIPS_TRUNK",
        what=f"torchvision's {name}, {size}",
        sha256=name.removesuffix(".pth").rpartition("-")[2],
        url=f"https://download.pytorch.org/models/{name}",
    )
    heads = files.Weights(
        f"the heads of lpips_{net}",
        flag="--lpips-heads-weights",
        variable="GANS_LPIPS_HEADS",
        what=f"lpips/weights/v0.1/{net}.pth of richzhang/PerceptualSimilarity",
        sha256=HEADS[net],
        url="https://raw.githubusercontent.com/richzhang/PerceptualSimilarity/master/"
        f"lpips/weights/v0.1/{net}.pth",
    )
    try:  # the heads are small: they come first
        path = files.find(heads, weights.get("lpips-heads"))
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"{error}. lpips_{net} needs {trunk.what}, by {trunk.flag}, too"
        ) from None
    return (files.find(trunk, weights.get("lpips-trunk")), trunk), (path, heads)


def _lpips(net, trunk, heads):
    given = {"trunk": trunk, "heads": heads}
    sha256 = {part: files.checksum(path) for part, (path, _) in given.items()}
    variables = lpips.from_pth(net, *(pth.read(path) for path, _ in given.values()))
    made = lpips.make(net, variables, sha256=sha256)

    def apply(variables, images):
        check(f"lpips_{net}", images.shape[1:])
        return made.apply(variables, images)

    name = made.name
    if not all(sha256[p].startswith(wanted.sha256) for p, (_, wanted) in given.items()):
        # Heads on a trunk that is not theirs do not give LPIPS.
        name += f"-{sha256['trunk'][:8]}"
    return Extractor(name, apply, made.variables, made.protocol)


def check(name: str, shape: tuple[int, ...], *, floats: bool = False) -> None:
    """Checks, before anything is loaded, that an extractor sees images [H, W, C].

    floats: whether it must also see values between the levels of 8 bits: `apply` then
      takes floats in 0 .. 255 as it takes uint8.

    Raises ValueError if it does not.
    """
    net = name.removeprefix("lpips_")
    if name in LPIPS and min(shape[:2]) < SMALLEST[net]:
        raise ValueError(
            f"extractor {name!r} sees nothing of {shape[1]}x{shape[0]} pixels; at "
            f"least {SMALLEST[net]} are needed"
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


def distance(
    extractor: Extractor,
) -> tuple[Callable[[jax.Array, jax.Array], jax.Array], str]:
    """Returns d(x, y) of images, floats [B, H, W, C] in [-1, 1] -> [B], and what it is.

    It is LPIPS of the extractors of that name, else its own; both are quadratic in
    small differences. The extractor must accept floats, see `check`.
    """
    is_lpips = extractor.name.startswith("lpips")

    def features(variables, images):
        h = extractor.apply(variables, (images + 1) * 127.5)["features"]
        return h if is_lpips else h / jnp.linalg.norm(h, axis=-1, keepdims=True)

    @jax.jit
    def squared(variables, x, y):
        return jnp.sum((features(variables, x) - features(variables, y)) ** 2, axis=-1)

    protocol = "LPIPS" if is_lpips else "|f(x)/|f(x)| - f(y)/|f(y)||^2 of features f"
    return functools.partial(squared, extractor.variables), protocol


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
    load = functools.partial(
        data.load, name, resolution=resolution, channels=channels, data_dir=data_dir
    )
    source, held_out = load(), data.held_out(load)
    spec = source.spec
    images = [x for x, field in spec.items() if field.kind == "image"]
    labels = [x for x, field in spec.items() if field.kind == "label"]
    if len(images) != 1 or len(labels) != 1:
        raise ValueError(
            f"extractor 'classifier': {name} has no labels to learn from; wanted are "
            f"one field of images and one of labels, it has {', '.join(spec)}"
        )
    (image,), (label,) = images, labels
    shape, n_classes = spec[image].shape, spec[label].n_classes
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

    described = [name, shape, seed, CLASSIFIER_STEPS, n_classes]
    key = hashlib.sha256(repr(described).encode())
    for array in (train[image], train[label], test[image], test[label]):
        key.update(np.ascontiguousarray(array))
    path = process.cache_folder() / "classifiers" / f"{key.hexdigest()[:32]}.npz"
    if not path.is_file():
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
        _keep(path, flatten_dict(variables, sep="/"), accuracy)
    with np.load(path) as kept:
        arrays = dict(kept)
    accuracy = float(arrays.pop("test_accuracy"))
    protocol = {
        "weights": files.checksum(path),
        "trained_on": name,
        "image_shape": list(shape),
        "training_seed": seed,
        "training_steps": CLASSIFIER_STEPS,
        "n_train": n,
        "test_accuracy": accuracy,
        "n_test": len(test[label]),
    }
    return small.make(unflatten_dict(arrays, sep="/"), protocol=protocol)


def _keep(path: Path, arrays, accuracy):
    path.parent.mkdir(parents=True, exist_ok=True)
    content = io.BytesIO()
    arrays = {name: np.asarray(x) for name, x in arrays.items()}
    np.savez(content, test_accuracy=accuracy, **arrays)
    with replacing(path) as temporary:
        Path(temporary).write_bytes(content.getvalue())
