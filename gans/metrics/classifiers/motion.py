"""A small 3-D classifier of clips, for features that see motion as well as content.

It learns the data's own labels, if there are any, on clips as they are, and to tell
from these what has been done to others in time (self-supervision after arXiv
1603.08561, and after 2004.06130 for speed): a frame that stands still, frames in random
order, motion at half the speed, and a cut to another clip in the middle. All these
consist of real frames, so that only motion tells them apart.

Its Frechet distance is no FVD, whose network has learnt Kinetics (arXiv 1812.01717); it
compares runs on one data set, with one trained classifier, and nothing beyond.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn
from jax import Array

from gans.layers.conv import Conv
from gans.metrics.features.extractor import Extractor

ALTERED = ("still", "shuffled", "slow", "cut")
BATCH = 32
LEARNING_RATE = 3e-3
N_FEATURES = 64
SMALLEST = (4, 8)  # frames, and pixels of the shorter side


class Classifier(nn.Module):
    """x [B, T, H, W, C] in [-1, 1] -> (features [B, 64], logits [B, n_classes]).

    3x3x3 convolutions of 8, 16, 32 and then 64 channels, with stride 2 along each axis
    that is longer than 4, until none is; then two dense layers. Features are scaled to
    mean 0 and variance 1 over the training clips. All float32.
    """

    n_classes: int

    @nn.compact
    def __call__(self, x: Array) -> tuple[Array, Array]:
        init, h, width = nn.initializers.he_normal(), x, 8
        while max(h.shape[1:4]) > 4:
            strides = tuple(1 + (n > 4) for n in h.shape[1:4])
            h = Conv(width, (3, 3, 3), strides, kernel_init=init)(h)
            h, width = nn.leaky_relu(h), min(2 * width, 64)
        h = nn.Dense(N_FEATURES, name="features")(h.reshape(len(h), -1))
        logits = nn.Dense(self.n_classes, name="logits")(h)
        mean = self.variable("scaling", "mean", jnp.zeros, N_FEATURES)
        deviation = self.variable("scaling", "deviation", jnp.ones, N_FEATURES)
        return (h - mean.value) / deviation.value, logits


def train(
    clips: np.ndarray,
    labels: np.ndarray | None,
    n_classes: int,
    *,
    seed: int,
    steps: int = 400,
    progress: Callable[[range], Iterable[int]] = lambda steps: steps,
) -> dict[str, Any]:
    """Returns the variables of a `Classifier`, the same ones for the same arguments.

    Adam with one cycle of the learning rate, on `steps` batches of 32 clips; half of
    them are altered, each in one of four ways.

    clips: uint8 [N, T, H, W, C], T at least 4, H and W at least 8, C = 1 or 3.
    labels: int32 [N] in [0, n_classes), or None with n_classes = 1.

    Raises ValueError for clips other than these.
    """
    _check(clips)
    labels = np.zeros(len(clips), np.int32) if labels is None else labels
    module = Classifier(n_classes + len(ALTERED))
    key_init, key = jax.random.split(jax.random.key(seed))
    # At LLVM's usual level compiling takes several times as long, to the same bits.
    quick = {"xla_backend_optimization_level": "1"}
    options = quick if jax.default_backend() == "cpu" else None
    init = jax.jit(module.init, compiler_options=options)
    variables = init(key_init, jnp.zeros((1, *clips.shape[1:])))
    params, scaling = variables["params"], variables["scaling"]
    tx = optax.adam(optax.cosine_onecycle_schedule(steps, LEARNING_RATE, pct_start=0.2))
    opt = tx.init(params)

    @jax.jit
    def step(params, opt, clips, labels, key):
        def loss(params):
            x, known = altered(clips, labels, n_classes, key)
            _, logits = module.apply({"params": params, "scaling": scaling}, _scale(x))
            found = optax.softmax_cross_entropy_with_integer_labels(logits, known)
            return found.mean()

        updates, opt = tx.update(jax.grad(loss)(params), opt, params)
        return optax.apply_updates(params, updates), opt

    random = np.random.default_rng(seed)
    for i in progress(range(steps)):
        rows = random.integers(len(clips), size=BATCH)
        batch = clips[rows], labels[rows]
        params, opt = step(params, opt, *batch, jax.random.fold_in(key, i))
    found = _outputs({"params": params, "scaling": scaling}, clips)[0]
    scaling = {"mean": found.mean(0), "deviation": found.std(0)}
    if not scaling["deviation"].all():
        raise ValueError("motion: the training clips are all the same")
    scaling = {name: jnp.asarray(x, jnp.float32) for name, x in scaling.items()}
    return {"params": params, "scaling": scaling}


def altered(clips: Array, labels: Array, n_classes: int, key: Array):
    """Returns clips [B, T, H, W, C] of which half are altered, and classes [B]; traced.

    Those as they are keep their labels; the classes of ALTERED come after them.
    """
    key_kind, key_order = jax.random.split(key)
    b, t = clips.shape[:2]
    # -1, ..., -1, 0, ..., 3: as they are with probability 1/2.
    kind = jax.random.randint(key_kind, (b,), 0, 2 * len(ALTERED)) - len(ALTERED)
    kind = jnp.maximum(kind, -1)
    times = jnp.arange(t)
    shuffled = jax.vmap(lambda k: jax.random.permutation(k, t))(
        jax.random.split(key_order, b)
    )
    whole = jnp.broadcast_to(times, (b, t))
    orders = [whole, whole * 0, shuffled, whole // 2, whole]
    order = jnp.stack(orders, 1)[jnp.arange(b), kind + 1]
    other = (jnp.arange(b)[:, None] + ((kind == 3)[:, None] & (times >= t // 2))) % b
    return clips[other, order], jnp.where(kind < 0, labels, n_classes + kind)


def accuracy(
    variables: dict[str, Any],
    clips: np.ndarray,
    labels: np.ndarray | None,
    n_classes: int,
    seed: int = 0,
) -> float:
    """Share of clips, half of them altered, that are told rightly.

    clips: uint8 [N, T, H, W, C]; labels: int32 [N] or None; see `train`.
    """
    labels = np.zeros(len(clips), np.int32) if labels is None else labels
    x, known = altered(jnp.asarray(clips), labels, n_classes, jax.random.key(seed))
    return float(np.mean(_outputs(variables, np.asarray(x))[1].argmax(-1) == known))


def make(variables: dict[str, Any], *, protocol: dict[str, Any]) -> Extractor:
    """Returns the extractor "motion": "features" [B, 64] of clips [B, T, H, W, C].

    Clips are uint8. variables: of `train`. protocol: where they come from, as JSON.
    """

    def apply(variables, clips):
        return {"features": _apply(variables, clips)[0]}

    fixed = {"resize": "none", "scale": "x/127.5-1", "features": "64, standardised"}
    return Extractor("motion", apply, variables, protocol | fixed)


def _scale(clips):
    return clips / 127.5 - 1


def _apply(variables, clips):
    n_classes = variables["params"]["logits"]["bias"].shape[0]
    return Classifier(n_classes).apply(variables, _scale(clips))


def _outputs(variables, clips):
    apply = jax.jit(_apply)
    parts = [
        jax.device_get(apply(variables, clips[i : i + BATCH]))
        for i in range(0, len(clips), BATCH)
    ]
    return [np.concatenate(x).astype(np.float64) for x in zip(*parts, strict=True)]


def _check(clips):
    shape = np.shape(clips)
    fits = len(shape) == 5 and shape[1] >= SMALLEST[0] and shape[4] in (1, 3)
    if clips.dtype != np.uint8 or not fits or min(shape[2:4]) < SMALLEST[1]:
        raise ValueError(
            f"motion: clips are {clips.dtype} {shape}, accepted are uint8 "
            "[N, T, H, W, C] with T at least 4, H and W at least 8 and C 1 or 3"
        )
