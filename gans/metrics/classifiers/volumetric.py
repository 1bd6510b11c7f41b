"""Small 3-D classifiers of data with three axes, for features of their own.

They learn the data's own labels, if there are any, and to tell examples as they are
from altered ones (self-supervision): `motion` of clips, `solids` of volumes.
"""

from __future__ import annotations

import dataclasses
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

BATCH = 32
LEARNING_RATE = 3e-3
N_FEATURES = 64


class Classifier(nn.Module):
    """x [B, T, H, W, C] in [-1, 1] -> (features [B, 64], logits [B, n_classes]).

    3x3x3 convolutions of 8, 16, 32 and then 64 channels, with stride 2 along each axis
    that is longer than 4, until none is; then two dense layers. Features are scaled to
    mean 0 and variance 1 over the training examples. All float32.
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


@dataclasses.dataclass(frozen=True)
class Learner:
    """What a classifier learns, of one kind of data.

    Attributes:
      name: of the extractor.
      kind: of the data.
      things: what errors call the examples.
      alterations: the names of what is done to half of the examples.
      altered: (x [B, ...], labels [B], n_classes, key) -> x and classes [B], traced;
        those as they are keep their labels, the others come after them.
      least: of the first axis, and of the other two.
      classifies: whether logits of the labels are given, too.
    """

    name: str
    kind: str
    things: str
    alterations: tuple[str, ...]
    altered: Callable[[Array, Array, int, Array], tuple[Array, Array]]
    least: tuple[int, int]
    classifies: bool = False

    def train(
        self,
        examples: np.ndarray,
        labels: np.ndarray | None,
        n_classes: int,
        *,
        seed: int,
        steps: int = 400,
        progress: Callable[[range], Iterable[int]] = lambda steps: steps,
    ) -> dict[str, Any]:
        """Returns the variables of a `Classifier`, the same for the same arguments.

        Adam with one cycle of the learning rate, on `steps` batches of 32 examples;
        half of them are altered.

        examples: uint8 [N, T, H, W, C], C = 1 or 3. labels: int32 [N] in [0,
        n_classes), or None with n_classes = 1.

        Raises ValueError for examples other than these.
        """
        self._check(examples)
        labels = np.zeros(len(examples), np.int32) if labels is None else labels
        module = Classifier(n_classes + len(self.alterations))
        key_init, key = jax.random.split(jax.random.key(seed))
        # At LLVM's usual level compiling takes several times as long, to the same bits.
        quick = {"xla_backend_optimization_level": "1"}
        options = quick if jax.default_backend() == "cpu" else None
        init = jax.jit(module.init, compiler_options=options)
        variables = init(key_init, jnp.zeros((1, *examples.shape[1:])))
        params, scaling = variables["params"], variables["scaling"]
        rate = optax.cosine_onecycle_schedule(steps, LEARNING_RATE, pct_start=0.2)
        tx = optax.adam(rate)
        opt = tx.init(params)

        @jax.jit
        def step(params, opt, x, labels, key):
            def loss(params):
                changed, known = self.altered(x, labels, n_classes, key)
                variables = {"params": params, "scaling": scaling}
                _, logits = module.apply(variables, _scale(changed))
                found = optax.softmax_cross_entropy_with_integer_labels(logits, known)
                return found.mean()

            updates, opt = tx.update(jax.grad(loss)(params), opt, params)
            return optax.apply_updates(params, updates), opt

        random = np.random.default_rng(seed)
        for i in progress(range(steps)):
            rows = random.integers(len(examples), size=BATCH)
            batch = examples[rows], labels[rows]
            params, opt = step(params, opt, *batch, jax.random.fold_in(key, i))
        found = _outputs({"params": params, "scaling": scaling}, examples)[0]
        scaling = {"mean": found.mean(0), "deviation": found.std(0)}
        if not scaling["deviation"].all():
            raise ValueError(
                f"{self.name}: the training {self.things} are all the same"
            )
        scaling = {name: jnp.asarray(x, jnp.float32) for name, x in scaling.items()}
        return {"params": params, "scaling": scaling}

    def accuracy(
        self,
        variables: dict[str, Any],
        examples: np.ndarray,
        labels: np.ndarray | None,
        n_classes: int,
        seed: int = 0,
    ) -> float:
        """Returns the share of examples, half of them altered, that are told rightly.

        examples: uint8 [N, T, H, W, C]; labels: int32 [N] or None; see `train`.
        """
        labels = np.zeros(len(examples), np.int32) if labels is None else labels
        key = jax.random.key(seed)
        x, known = self.altered(jnp.asarray(examples), labels, n_classes, key)
        found = _outputs(variables, np.asarray(x))[1].argmax(-1)
        return float(np.mean(found == known))

    def make(
        self, variables: dict[str, Any], *, protocol: dict[str, Any], logits: int = 0
    ) -> Extractor:
        """Returns the extractor: "features" [B, 64] of examples uint8 [B, T, H, W, C].

        variables: of `train`. protocol: where they come from, as JSON. logits: so many,
        those of the labels, are there, too.
        """

        def apply(variables, examples):
            features, found = _apply(variables, examples)
            own = {"logits": found[:, :logits]} if logits else {}
            return {"features": features, **own}

        fixed = {"resize": "none", "scale": "x/127.5-1"}
        fixed["features"] = "64, standardised"
        return Extractor(self.name, apply, variables, protocol | fixed)

    def _check(self, x):
        (first, others), shape = self.least, np.shape(x)
        fits = len(shape) == 5 and shape[1] >= first and shape[4] in (1, 3)
        if x.dtype != np.uint8 or not fits or min(shape[2:4]) < others:
            raise ValueError(
                f"{self.name}: {self.things} are {x.dtype} {shape}, accepted are uint8 "
                f"[N, T, H, W, C] with T at least {first}, H and W at least {others} "
                "and C 1 or 3"
            )


def _scale(x):
    return x / 127.5 - 1


def _apply(variables, x):
    n_classes = variables["params"]["logits"]["bias"].shape[0]
    return Classifier(n_classes).apply(variables, _scale(x))


def _outputs(variables, x):
    apply = jax.jit(_apply)
    parts = [
        jax.device_get(apply(variables, x[i : i + BATCH]))
        for i in range(0, len(x), BATCH)
    ]
    return [np.concatenate(x).astype(np.float64) for x in zip(*parts, strict=True)]
