"""The networks of progressive growing (arXiv 1710.10196), from 4x4 pixels.

Table 2 and section 4 there: equalised learning rates, pixel norm in the generator, the
deviation over the batch in the discriminator. A network is made for one resolution. As
it grows, layers keep their names, so that a state passes from one to the next; with
`fading` the newest are faded in (figure 2), by `alpha` in the collection "fade".

Deviation: the mean of 2x2 pixels comes before bias and activation, not after, as in the
authors' code by default. Kernels of layers that double the size correlate; the authors'
are ours turned by 180 degrees.
"""

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import Array

from gans.layers import Layers, fir
from gans.layers.conv import Conv
from gans.layers.growth import alpha_of, channels, mixed, sides
from gans.layers.minibatch import MinibatchStdDev
from gans.layers.resample import (
    ConvDownsample,
    UpsampleConv,
    downsample,
    upsample,
)
from gans.layers.styled import Mapping, normalised

BLUR = (1 / 4, 1 / 2, 1 / 4)  # of arXiv 1812.04948, along each axis


class Generator(nn.Module):
    """z [B, L] -> images [B, *shape] float32, linear, nominally in [-1, 1].

    Labels are appended to z, and both are normalised together.

    Raises ValueError for a shape that is not square or not a power of two from 4.

    Attributes:
      shape: (H, W, C).
      n_classes: number of classes, if conditional.
      mapping_layers: dense layers, as wide as z, between z and the first map; none in
        the paper.
      channel_base: times 1 / r, the channels of a map of r x r pixels, up to
        channel_max.
      channel_max: the most channels of a map.
      fading: whether the last resolution is faded in.
      layers: how layers are made.
    """

    shape: tuple[int, int, int]
    n_classes: int | None = None
    mapping_layers: int = 0
    channel_base: int = 16384
    channel_max: int = 512
    fading: bool = False
    layers: Layers = Layers(norm="pixel", equalised=True)

    slots = ("norm", "equalised", "dtype")

    @nn.compact
    def __call__(self, z: Array, label: Array | None = None, *, train: bool) -> Array:
        make = self.layers.factory(self, train, kernel_init="he")

        def conv(cls, side, h, name):
            h = make(cls, channels(self, side), (3, 3), name=f"b{side}_{name}")(h)
            return make.norm(jax.nn.leaky_relu(h, 0.2), f"b{side}_{name}_norm")

        def to_image(h, side):
            out = make(Conv, self.shape[-1], (1, 1), gain=1, name=f"torgb{side}")
            return out(h).astype(jnp.promote_types(h.dtype, jnp.float32))

        if self.n_classes is not None:
            z = jnp.concatenate([z, jax.nn.one_hot(label, self.n_classes)], axis=1)
        h, last = normalised(z), None
        if self.mapping_layers:
            h = Mapping(z.shape[1], self.mapping_layers, name="mapping")(h, None)
        for side in sides(self.shape):
            if side == 4:
                h = self._first(make, h)
                h = conv(Conv, side, h, "conv")
            else:
                last = h
                h = conv(UpsampleConv, side, h, "conv0")
                h = conv(Conv, side, h, "conv1")
        image = to_image(h, side)
        if not self.fading:
            return image
        return mixed(upsample(to_image(last, side // 2)), image, alpha_of(self))

    def _first(self, make, h):
        """[B, L] -> [B, 4, 4, C], with a bias for each channel."""
        n = channels(self, 4)
        # As if it were a 4x4 convolution of a map of one pixel.
        dense = make(nn.Dense, 16 * n, gain=2**0.5 / 4, use_bias=False, name="dense")
        bias = self.param("bias", nn.initializers.zeros, (n,))
        h = dense(h).reshape(-1, 4, 4, n)
        h = jax.nn.leaky_relu(h + bias.astype(h.dtype), 0.2)
        return make.norm(h, "norm")


class Discriminator(nn.Module):
    """Images [B, H, W, C] in [-1, 1] -> logits [B] float32.

    The output of each block is sown in `features` as hidden0, hidden1 ..., and with
    labels those of the classes, [B, n_classes], as "classes" (see the term
    `auxiliary_classifier`). Batches are multiples of `group`, or smaller.

    Raises ValueError for images that are not square or not a power of two from 4.

    Attributes:
      n_classes: number of classes, if conditional.
      channel_base: times 1 / r, the channels of a map of r x r pixels, up to
        channel_max.
      channel_max: the most channels of a map.
      fading: whether the first resolution is faded in.
      blur: whether maps are blurred before they are halved (arXiv 1812.04948).
      group: of how many examples minibatch standard deviations are; 1 for none.
      select: with labels, the logit is the one of the label, and there are no others
        (arXiv 1812.04948, the authors' code).
      layers: how layers are made.
    """

    n_classes: int | None = None
    channel_base: int = 16384
    channel_max: int = 512
    fading: bool = False
    blur: bool = False
    group: int = 4
    select: bool = False
    layers: Layers = Layers(equalised=True)

    slots = ("equalised", "dtype")

    @property
    def mixes_batch(self) -> bool:
        """Whether a logit depends on other examples of its batch."""
        return self.group > 1

    @nn.compact
    def __call__(self, x: Array, label: Array | None = None, *, train: bool) -> Array:
        make = self.layers.factory(self, train, kernel_init="he")

        def conv(cls, width, h, name, size=(3, 3)):
            return jax.nn.leaky_relu(make(cls, width, size, name=name)(h), 0.2)

        def from_image(x, side):
            return conv(Conv, channels(self, side), x, f"fromrgb{side}", (1, 1))

        x = x.astype(self.layers.dtype)
        every = sides(x.shape[1:])
        h = from_image(x, every[-1])
        for i, side in enumerate(reversed(every[1:])):
            h = conv(Conv, channels(self, side), h, f"b{side}_conv0")
            h = fir.blur(h, BLUR) if self.blur else h
            h = conv(ConvDownsample, channels(self, side // 2), h, f"b{side}_conv1")
            if self.fading and i == 0:
                h = mixed(from_image(downsample(x), side // 2), h, alpha_of(self))
            self.sow("features", f"hidden{i}", h)
        if self.group > 1:
            h = MinibatchStdDev(self.group)(h)
        width = channels(self, 4)
        h = conv(Conv, width, h, "b4_conv")
        self.sow("features", f"hidden{len(every) - 1}", h)
        h = h.reshape(len(x), -1)
        h = jax.nn.leaky_relu(make(nn.Dense, width, name="dense")(h), 0.2)
        n = self.n_classes or 0
        out = make(nn.Dense, n if n and self.select else 1 + n, gain=1, name="out")(h)
        out = out.astype(jnp.promote_types(out.dtype, jnp.float32))
        if n and self.select:
            return (out * jax.nn.one_hot(label, n)).sum(axis=1)
        if n:
            self.sow("features", "classes", out[:, 1:])
        return out[:, 0]
