"""Plain convolutional networks, as in DCGAN (arXiv 1511.06434) and after it."""

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import Array

from gans import names
from gans.layers import Layers
from gans.layers.conditional import check_label, embed_label, label_map
from gans.layers.conv import Conv, ConvTranspose
from gans.layers.initial import around_one

# Of hidden layers, by name: (h, slope) -> h.
ACTIVATIONS = {
    "leaky_relu": jax.nn.leaky_relu,
    "tanh": lambda h, slope: jnp.tanh(h),
}


class Generator(nn.Module):
    """z [B, L] -> images [B, *shape] float32 in [-1, 1].

    A dense layer to the smallest map, then transposed convolutions (4x4, stride 2),
    each followed by norm and activation, and tanh.

    Attributes:
      shape: (H, W, C).
      widths: channels of the smallest map and after each transposed convolution.
      final: the layer to C channels, "transpose" (4x4, stride 2) or "conv" (3x3).
      activation: of hidden layers, "leaky_relu" or "tanh".
      slope: of LeakyReLU; 0 is ReLU.
      condition: None, "concat" (arXiv 1411.1784) or, with a norm that has gains per
        class, "projection" (arXiv 1802.05637).
      n_classes: number of classes, if conditional.
      layers: how layers are made; kernels start from "normal".
    """

    shape: tuple[int, int, int]
    widths: tuple[int, ...] = (1024, 512, 256, 128)
    final: str = "transpose"
    activation: str = "leaky_relu"
    slope: float = 0.0
    condition: str | None = None
    n_classes: int | None = None
    layers: Layers = Layers(norm="batch")

    slots = ("norm", "spectral", "equalised", "kernel_init", "dtype")

    @nn.compact
    def __call__(self, z: Array, label: Array | None = None, *, train: bool) -> Array:
        make = self.layers.factory(
            self,
            train,
            kernel_init="normal",
            n_classes=self.n_classes if self.condition == "projection" else None,
            gain_init=around_one,
        )
        act = names.pick(self.activation, ACTIVATIONS, "activation")
        known = ("concat", "projection") if self.layers.per_class else ("concat",)
        height, width = self._smallest()

        def activate(h, name):
            return act(make.norm(h, name, label), self.slope)

        h, n = make.begin(z)
        h = embed_label(h, label, self.condition, self.n_classes, known)
        h = make(nn.Dense, height * width * self.widths[0], name="dense")(h)
        h = activate(h.reshape(-1, height, width, self.widths[0]), "norm0")
        for i, c in enumerate(self.widths[1:], 1):
            h = make(ConvTranspose, c, (4, 4), (2, 2), name=f"deconv{i}")(h)
            h = activate(h, f"norm{i}")
        c = self.shape[-1]
        if self.final == "transpose":
            h = make(ConvTranspose, c, (4, 4), (2, 2), gain=1, name="out")(h)
        else:
            h = make(Conv, c, (3, 3), gain=1, name="out")(h)
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


class Discriminator(nn.Module):
    """Images [B, H, W, C] in [-1, 1] -> logits [B] float32.

    Convolutions with activation, then a dense layer on the flattened map. The activated
    outputs of the convolutions are sown in `features` as hidden0, hidden1 ... Batch
    features (`layers.minibatch`) and dropout apply to the flattened map; the first
    convolution is never normalised.

    Attributes:
      convolutions: (features, kernel size, stride) of each.
      activation, slope: as in the generator.
      condition: None, "concat" (the label as one more channel) or "projection".
      n_classes: number of classes, if conditional.
      layers: how layers are made; kernels start from "normal".
    """

    convolutions: tuple[tuple[int, int, int], ...] = (
        (128, 4, 2),
        (256, 4, 2),
        (512, 4, 2),
        (1024, 4, 2),
    )
    activation: str = "leaky_relu"
    slope: float = 0.2
    condition: str | None = None
    n_classes: int | None = None
    layers: Layers = Layers()

    slots = tuple(Layers.__dataclass_fields__)

    @property
    def mixes_batch(self) -> bool:
        """Whether a logit depends on other examples of its batch."""
        return self.layers.mixes_batch

    @nn.compact
    def __call__(self, x: Array, label: Array | None = None, *, train: bool) -> Array:
        make = self.layers.factory(
            self, train, kernel_init="normal", gain_init=around_one
        )
        known = ("concat", "projection")
        check_label(label, self.condition, self.n_classes, known)
        act = names.pick(self.activation, ACTIVATIONS, "activation")
        x, n = make.begin(x)
        h = x.astype(self.layers.dtype)
        if self.condition == "concat":
            h = label_map(h, label, self.n_classes)
        for i, (features, size, stride) in enumerate(self.convolutions):
            kernel, strides = (size, size), (stride, stride)
            h = make(Conv, features, kernel, strides, name=f"conv{i}")(h)
            h = make.norm(h, f"norm{i}") if i > 0 else h
            h = act(h, self.slope)
            self.sow("features", f"hidden{i}", h[n:])
        h = make.minibatch(h[n:].reshape(len(h) - n, -1))
        h = make.dropout(h)
        logits = make(nn.Dense, 1, gain=1, name="out")(h)[:, 0]
        if self.condition == "projection":
            v = make(nn.Embed, self.n_classes, h.shape[-1], gain=1, name="label")(label)
            logits = logits + jnp.sum(v * h, axis=-1)
        return logits.astype(jnp.float32)
