"""A discriminator as an extractor of features (arXiv 1511.06434, section 5.1).

Any network of a run that takes the data's images and sows maps in `features` is one:
the outputs of its convolutional layers, or of its blocks, as its file says. A label
that it takes beside the image is 0 for all, so that features know nothing of classes.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from gans import core, names
from gans.data import kinds
from gans.data.spec import Field, Spec

SIDE = 4  # of the maps after pooling
BATCH = 64


@dataclasses.dataclass(frozen=True)
class Critic:
    """A network of images, closed over its variables.

    Attributes:
      name: in the GAN.
      net: the network.
      field: of the images.
      others: its other inputs, of one example, which are zeros here; None stays None.
      maps: {layer: [h, w, C]}, from the first to the last.
    """

    name: str
    net: core.Bound
    field: Field
    others: tuple[jax.ShapeDtypeStruct | None, ...]
    maps: dict[str, tuple[int, ...]]

    def layers(self, x: Array) -> dict[str, Array]:
        """x [B, H, W, C] in [-1, 1] -> {layer: [B, h, w, C]}; traced."""
        return _maps(self.net, x, self.others)

    def features(self, images: np.ndarray) -> np.ndarray:
        """uint8 [N, H, W, C] -> float32 [N, D]: all layers pooled and flattened."""
        return np.concatenate([*map(np.asarray, self._batches(images))])[: len(images)]

    def _batches(self, images):
        for start in range(0, len(images), BATCH):
            rows = np.minimum(np.arange(start, start + BATCH), len(images) - 1)
            yield self._pooled(images[rows])

    @functools.cached_property
    def _pooled(self):
        decode = kinds.of(self.field).decode

        @jax.jit
        def apply(images):
            maps = self.layers(decode(images)).values()
            return jnp.concatenate(
                [pooled(h).reshape(len(h), -1).astype(jnp.float32) for h in maps], 1
            )

        return apply


def _maps(net, x, others):
    def zeros(y):
        return jnp.zeros((len(x), *y.shape[1:]), y.dtype)

    sown = net.features(x, *jax.tree.map(zeros, others))
    return {name: h for name, h in sown.items() if h.ndim == 4}


def pooled(h: Array, side: int = SIDE) -> Array:
    """Maps [B, h, w, C] -> the maxima of side x side cells, [B, side, side, C].

    Cells cover the map, and overlap by a row where the side does not divide it. An axis
    that is no longer than the side stays as it is.
    """
    for axis in (1, 2):
        n = h.shape[axis]
        if n > side:
            cells = [(i * n // side, -(-(i + 1) * n // side)) for i in range(side)]
            maxima = [
                jax.lax.slice_in_dim(h, a, b, axis=axis).max(axis) for a, b in cells
            ]
            h = jnp.stack(maxima, axis)
    return h


def find(
    gan: core.GAN, state: core.State, spec: Spec, network: str | None = None
) -> Critic:
    """Returns the network of a GAN whose features are probed: by default its first.

    Raises ValueError if it has none, or none of this name.
    """
    fields = [field for field in spec.values() if field.kind == "image"]
    if not fields:
        held = ", ".join(dict.fromkeys(field.kind for field in spec.values()))
        raise ValueError(f"this run is of {held} data; wanted images")
    bound, found = core.bind(gan, state, train=False, ema=True), {}
    for name, net in gan.nets.items():
        first, *others = net.inputs
        alike = [f for f in fields if tuple(f.shape) == tuple(first.shape[1:])]
        if net.frozen or not alike:
            continue
        field = alike[0]
        x = jax.ShapeDtypeStruct((1, *field.shape), jnp.float32)
        try:
            maps = jax.eval_shape(lambda x, n=name, o=others: _maps(bound[n], x, o), x)
        except KeyError:  # it sows nothing
            continue
        if maps:
            sizes = {layer: h.shape[1:] for layer, h in maps.items()}
            found[name] = Critic(name, bound[name], field, tuple(others), sizes)
    if not found:
        raise ValueError(
            f"none of the networks {', '.join(gan.nets)} takes images of "
            f"{list(fields[0].shape)} and sows maps in `features`, as discriminators do"
        )
    return found[names.check(network or next(iter(found)), found, "--network")]


def untrained(gan: core.GAN, state: core.State, seed: int) -> core.State:
    """Returns the state with the first weights of another seed, at the same step."""
    init: Any = jax.jit(functools.partial(core.init, gan))
    return init(jax.random.key(seed)).replace(step=state.step)
