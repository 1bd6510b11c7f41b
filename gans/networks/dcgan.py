"""Plain convolutional networks, as in DCGAN (arXiv 1511.06434) and after it."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import Array

from gans import names
from gans.layers.conditional import check_label, embed_label, label_map
from gans.layers.conv import Conv, ConvTranspose
from gans.layers.initial import initialiser
from gans.layers.minibatch import with_minibatch
from gans.layers.norm import layer_maker, norm_maker
from gans.layers.virtual import with_reference

# Of hidden layers, by name: (h, slope) -> h.
ACTIVATIONS = {
    "leaky_relu": jax.nn.leaky_relu,
    "tanh": lambda h, slope: jnp.tanh(h),
}


class Generator(nn.Module):
    """z [B, L] -> images [B, *shape] float32 in [-1, 1].

    A dense layer to the smallest map, then transposed convolutions (4x4, stride 2),
    each followed by `norm` and activation, and tanh.

    Attributes:
      shape: (H, W, C).
      widths: channels of the smallest map and after each transposed convolution.
      final: the layer to C channels, "transpose" (4x4, stride 2) or "conv" (3x3).
      norm: "batch", "pixel", "virtual" or None (see `networks`). The gain of "batch" is
        per class with condition="projection".
      spectral: spectral normalisation of every kernel (arXiv 1802.05957).
      equalised: equalised learning rate of every kernel (arXiv 1710.10196), instead of
        kernel_init.
      activation: of hidden layers, "leaky_relu" or "tanh".
      slope: of LeakyReLU; 0 is ReLU.
      condition: None, "concat" (arXiv 1411.1784) or "projection" (arXiv 1802.05637).
    """

    shape: tuple[int, int, int]
    widths: tuple[int, ...] = (1024, 512, 256, 128)
    final: str = "transpose"
    norm: str | None = "batch"
    n_reference: int = 64
    spectral: bool = False
    equalised: bool = False
    activation: str = "leaky_relu"
    slope: float = 0.0
    kernel_init: str = "normal"
    condition: str | None = None
    n_classes: int | None = None
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, z: Array, label: Array | None = None, *, train: bool) -> Array:
        z, n = with_reference(self, z, train)
        normalise = norm_maker(
            self,
            ("batch", "pixel", "virtual"),
            train,
            self.n_classes if self.condition == "projection" else None,
            _around_one,
        )
        make = functools.partial(
            layer_maker(train, spectral=self.spectral, equalised=self.equalised),
            kernel_init=initialiser(self.kernel_init),
            dtype=self.dtype,
        )
        deconv = functools.partial(
            make, ConvTranspose, kernel_size=(4, 4), strides=(2, 2)
        )
        act = ACTIVATIONS[names.check(self.activation, ACTIVATIONS, "activation")]
        known = ("concat", "projection") if self.norm == "batch" else ("concat",)
        height, width = self._smallest()

        def activate(h, name):
            return act(normalise(h, name, label), self.slope)

        h = embed_label(z, label, self.condition, self.n_classes, known)
        h = make(nn.Dense, height * width * self.widths[0], name="dense")(h)
        h = activate(h.reshape(-1, height, width, self.widths[0]), "norm0")
        for i, features in enumerate(self.widths[1:], 1):
            h = activate(deconv(features, name=f"deconv{i}")(h), f"norm{i}")
        if self.final == "transpose":
            h = deconv(self.shape[-1], gain=1, name="out")(h)
        else:
            h = make(Conv, self.shape[-1], (3, 3), gain=1, name="out")(h)
        return jnp.tanh(h[n:].astype(jnp.float32))

    def _smallest(self):
        if self.final not in ("transpose", "conv"):
            raise ValueError(f"final={self.final!r} is neither 'transpose' nor 'conv'")
        scale = 2 ** (len(self.widths) - (self.final == "conv"))
        height, width = self.shape[:2]
        if height % scale or width % scale:
            raise ValueError(
                f"widths={self.widths} with final={self.final!r} enlarge by {scale}, "
                f"which does not divide the resolution {height}x{width}"
            )
        return height // scale, width // scale


class Critic(nn.Module):
    """Images [B, H, W, C] in [-1, 1] -> logits [B] float32.

    Convolutions with activation, then a dense layer on the flattened map. The activated
    outputs of the convolutions are sown in `features` as hidden0, hidden1 ...

    Attributes:
      layers: (features, kernel size, stride) of each convolution.
      norm: "batch", "virtual" or None; the first convolution is never normalised.
      spectral, equalised, activation, slope: as in the generator.
      minibatch: None, "stddev" or "discrimination": joins the flattened map.
      dropout: share of all these dropped in training; then pass `key`.
      condition: None, "concat" (the label as one more channel) or "projection".
    """

    layers: tuple[tuple[int, int, int], ...] = (
        (128, 4, 2),
        (256, 4, 2),
        (512, 4, 2),
        (1024, 4, 2),
    )
    norm: str | None = None
    n_reference: int = 64
    spectral: bool = False
    equalised: bool = False
    minibatch: str | None = None
    activation: str = "leaky_relu"
    slope: float = 0.2
    dropout: float = 0.0
    kernel_init: str = "normal"
    condition: str | None = None
    n_classes: int | None = None
    dtype: Any = jnp.float32

    @property
    def mixes_batch(self) -> bool:
        """Whether a logit depends on other examples of its batch."""
        return self.norm == "batch" or self.minibatch is not None

    @nn.compact
    def __call__(self, x: Array, label: Array | None = None, *, train: bool) -> Array:
        x, n = with_reference(self, x, train)
        normalise = norm_maker(
            self, ("batch", "virtual"), train, scale_init=_around_one
        )
        known = ("concat", "projection")
        check_label(label, self.condition, self.n_classes, known)
        act = ACTIVATIONS[names.check(self.activation, ACTIVATIONS, "activation")]
        init = initialiser(self.kernel_init)
        make = functools.partial(
            layer_maker(train, spectral=self.spectral, equalised=self.equalised),
            dtype=self.dtype,
        )
        h = x.astype(self.dtype)
        if self.condition == "concat":
            h = label_map(h, label, self.n_classes)
        for i, (features, size, stride) in enumerate(self.layers):
            kernel, strides = (size, size), (stride, stride)
            h = make(
                Conv, features, kernel, strides, kernel_init=init, name=f"conv{i}"
            )(h)
            h = normalise(h, f"norm{i}") if i > 0 else h
            h = act(h, self.slope)
            self.sow("features", f"hidden{i}", h[n:])
        h = with_minibatch(h[n:].reshape(len(h) - n, -1), self.minibatch)
        h = nn.Dropout(self.dropout, deterministic=not train)(h)
        logits = make(nn.Dense, 1, gain=1, kernel_init=init, name="out")(h)[:, 0]
        if self.condition == "projection":
            v = make(nn.Embed, self.n_classes, h.shape[-1], gain=1, name="label")(label)
            logits = logits + jnp.sum(v * h, axis=-1)
        return logits.astype(jnp.float32)


def _around_one(key, shape, dtype=jnp.float32):
    """Gains of batch normalisation from N(1, 0.02), as in DCGAN's own code."""
    return 1 + 0.02 * jax.random.normal(key, shape, dtype)
