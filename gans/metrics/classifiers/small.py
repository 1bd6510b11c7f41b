"""A small classifier of a data set's own labels, for features where Inception has none.

Digits, letters or microscope pictures mean little to a network that learnt photographs.
A thousand labelled images train this one in seconds; its scores compare runs on that
one data set, with that one trained classifier, and nothing beyond.

The features are a layer of 64 without activation, between the convolutions and the
logits, each scaled to mean 0 and variance 1 over the training images. A Frechet
distance takes them for a Gaussian: ReLU would make half of every feature a spike at 0,
tanh two spikes at -1 and 1, and both leave some dead and the covariance singular.
Without the scaling the distance would grow with the length of training, as the logits
do. About ten directions hold most of the variance, as the classes lie in nine.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn
from jax import Array

from gans.layers.conv import Conv
from gans.metrics.features.extractor import Extractor

BATCH = 128
LEARNING_RATE = 5e-3
N_FEATURES = 64


class Classifier(nn.Module):
    """x [B, H, W, C] in [-1, 1] -> (features [B, 64], logits [B, n_classes]), float32.

    3x3 convolutions, the first at full resolution and the others with stride 2 until
    the map is 4x4 or less, of 8, 16, 32 and then 64 channels; then two dense layers.
    """

    n_classes: int

    @nn.compact
    def __call__(self, x: Array) -> tuple[Array, Array]:
        init = nn.initializers.he_normal()
        h = nn.leaky_relu(Conv(8, (3, 3), kernel_init=init)(x))
        while max(h.shape[1:3]) > 4:
            width = min(2 * h.shape[-1], 64)
            h = nn.leaky_relu(Conv(width, (3, 3), 2, kernel_init=init)(h))
        h = nn.Dense(N_FEATURES, name="features")(h.reshape(len(h), -1))
        logits = nn.Dense(self.n_classes, name="logits")(h)
        mean = self.variable("scaling", "mean", jnp.zeros, N_FEATURES)
        deviation = self.variable("scaling", "deviation", jnp.ones, N_FEATURES)
        return (h - mean.value) / deviation.value, logits


def train(
    images: np.ndarray,
    labels: np.ndarray,
    n_classes: int,
    *,
    seed: int,
    steps: int = 1500,
    progress: Callable[[range], Iterable[int]] = lambda steps: steps,
) -> dict[str, Any]:
    """Returns the variables of a `Classifier`, the same ones for the same arguments.

    Adam with one cycle of the learning rate, on `steps` batches of 128 images that are
    drawn anew for each, and shifted at random by up to a fourteenth of their size.

    Args:
      images: uint8 [N, H, W, C]; H and W at least 8, C = 1 or 3.
      labels: int32 [N], in [0, n_classes).
      seed: of the first weights, the batches and the shifts.
      steps: 1500 are enough for MNIST; 400 for scikit-learn's digits.
      progress: is given the range of steps and yields it again: tqdm, for example.

    Raises ValueError for images, labels or steps other than these.
    """
    _check(images, labels, n_classes)
    if steps < 1:
        raise ValueError(f"classifier: steps={steps}, accepted are 1 and more")
    module = Classifier(n_classes)
    key_init, key = jax.random.split(jax.random.key(seed))
    # At LLVM's usual level compiling it takes 7 s, here 1 s, to the same bits.
    quick = {"xla_backend_optimization_level": "1"}
    options = quick if jax.default_backend() == "cpu" else None
    init = jax.jit(module.init, compiler_options=options)
    variables = init(key_init, jnp.zeros((1, *images.shape[1:])))
    params, scaling = variables["params"], variables["scaling"]
    schedule = optax.cosine_onecycle_schedule(steps, LEARNING_RATE, pct_start=0.2)
    tx = optax.adam(schedule)
    step = _make_step(module, tx, scaling)
    opt = tx.init(params)
    data = jnp.asarray(images), jnp.asarray(labels)
    for i in progress(range(steps)):
        params, opt = step(params, opt, *data, jax.random.fold_in(key, i))
    outputs = _outputs({"params": params, "scaling": scaling}, images)
    features = np.concatenate([f for f, _ in outputs]).astype(np.float64)
    scaling = {"mean": features.mean(axis=0), "deviation": features.std(axis=0)}
    if not scaling["deviation"].all():
        raise ValueError("classifier: the training images are all the same")
    scaling = {name: jnp.asarray(x, jnp.float32) for name, x in scaling.items()}
    return {"params": params, "scaling": scaling}


def _make_step(module, tx, scaling):
    def loss(params, x, label):
        _, logits = module.apply({"params": params, "scaling": scaling}, x)
        return optax.softmax_cross_entropy_with_integer_labels(logits, label).mean()

    @functools.partial(jax.jit, donate_argnums=(0, 1))
    def step(params, opt, images, labels, key):
        key_batch, key_shift = jax.random.split(key)
        rows = jax.random.randint(key_batch, (BATCH,), 0, len(images))
        x = _scale(_shift(images[rows], key_shift))
        grads = jax.grad(loss)(params, x, labels[rows])
        updates, opt = tx.update(grads, opt, params)
        return optax.apply_updates(params, updates), opt

    return step


def _shift(images, key):
    """Each image moved by its own whole number of pixels; its edge is repeated."""
    b, *shape = images.shape
    most = min(shape[:2]) // 14
    padded = jnp.pad(images, ((0, 0), (most, most), (most, most), (0, 0)), "edge")
    corners = jax.random.randint(key, (b, 2), 0, 2 * most + 1)

    def crop(image, corner):
        return jax.lax.dynamic_slice(image, (*corner, 0), shape)

    return jax.vmap(crop)(padded, corners)


def _scale(images):
    return images / 127.5 - 1


def _apply(variables, images):
    n_classes = variables["params"]["logits"]["bias"].shape[0]
    return Classifier(n_classes).apply(variables, _scale(images))


def _outputs(variables, images) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    apply = jax.jit(_apply)
    for start in range(0, len(images), 500):
        yield jax.device_get(apply(variables, images[start : start + 500]))


def accuracy(
    variables: dict[str, Any], images: np.ndarray, labels: np.ndarray
) -> float:
    """Share of images uint8 [N, H, W, C] whose largest logit is at their label [N]."""
    outputs = _outputs(variables, images)
    guesses = np.concatenate([logits.argmax(axis=-1) for _, logits in outputs])
    return float(np.mean(guesses == labels))


def make(variables: dict[str, Any], *, protocol: dict[str, Any]) -> Extractor:
    """Returns the extractor "classifier": "features" [B, 64], "logits" [B, n_classes].

    variables: of `train`. protocol: where they come from, as JSON (data set, split,
    resolution, seed, steps, sha256 of the file ...); resize and scale are added.
    """

    def apply(variables, images):
        features, logits = _apply(variables, images)
        return {"features": features, "logits": logits}

    fixed = {"resize": "none", "scale": "x/127.5-1", "features": "64, standardised"}
    return Extractor("classifier", apply, variables, protocol | fixed)


def _check(images, labels, n_classes):
    shape = np.shape(images)
    fits = len(shape) == 4 and min(shape[1:3]) >= 8 and shape[3] in (1, 3)
    if images.dtype != np.uint8 or not fits:
        raise ValueError(
            f"classifier: images are {images.dtype} {shape}, accepted are uint8 "
            "[N, H, W, C] with H and W at least 8 and C 1 or 3"
        )
    if np.shape(labels) != shape[:1]:
        raise ValueError(
            f"classifier: labels {np.shape(labels)} for {shape[0]} images, accepted "
            "is one for each"
        )
    if not 0 <= np.min(labels) <= np.max(labels) < n_classes:
        raise ValueError(
            f"classifier: labels range over [{np.min(labels)}, {np.max(labels)}], "
            f"accepted are 0 to {n_classes - 1}"
        )
