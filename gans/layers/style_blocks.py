"""The blocks of StyleGAN2's networks, one resolution each (arXiv 1912.04958).

Figure 7 there: "skip" adds up images of all resolutions, "resnet" the maps of a block
with its input, and "orig" neither.
"""

import functools
from typing import Any

import jax.numpy as jnp
from flax import linen as nn
from jax import Array

from gans.layers import fir, fourier
from gans.layers.minibatch import MinibatchStdDev
from gans.layers.styled import ConvEqualised, LinearEqualised, StyledConv, ToImage

ARCHITECTURES = ("skip", "resnet", "orig")
HALF = 0.5**0.5  # keeps the variance of a sum of two


class SynthesisBlock(nn.Module):
    """x [B, H, W, I] and the image so far -> x [B, 2H, 2W, features] and the image.

    The first block takes None and None, has a constant 4x4 map and one layer in place
    of two.

    Attributes:
      features: channels.
      channels: of the image.
      architecture: see the head of this file.
      last: whether this is the highest resolution.
      clamp: see `gans.layers.styled.bias_act`.
      dtype: of the maps; the image has float32 or better.
    """

    features: int
    channels: int
    architecture: str
    last: bool
    clamp: float | None
    dtype: Any

    @nn.compact
    def __call__(
        self,
        x: Array | None,
        image: Array | None,
        ws: Array,
        noise: list,
        transform: Array | None = None,
    ) -> tuple[Array, Array | None]:
        """Returns x and the image, or None as long as there is none.

        ws [B, n + 1, N] are for n layers and the image; noise: see `StyledConv`;
        transform: of the constant map, see `gans.layers.fourier.resampled`.
        """
        conv = functools.partial(StyledConv, self.features, clamp=self.clamp)
        ws, noise = [ws[:, i] for i in range(ws.shape[1])], [*noise]
        if x is None:
            init = nn.initializers.normal(1.0)
            x = self.param("const", init, (4, 4, self.features)).astype(self.dtype)
            if transform is not None:
                x = fourier.resampled(x, transform)
            x = jnp.broadcast_to(x, (len(ws[0]), *x.shape[-3:]))
            x = conv(name="conv1")(x, ws[0], noise[0])
        else:
            x = x.astype(self.dtype)
            residual = self.architecture == "resnet"
            if residual:
                skip = ConvEqualised(
                    self.features,
                    (1, 1),
                    fir.upsample_conv,
                    use_bias=False,
                    act="linear",
                    gain=HALF,
                    name="skip",
                )(x)
            x = conv(operation=fir.upsample_conv, name="conv0")(x, ws[0], noise[0])
            gain = HALF if residual else 1.0
            x = conv(gain=gain, name="conv1")(x, ws[1], noise[1])
            x = x + skip if residual else x
        if image is not None:
            image = fir.upsample(image)
        if self.last or self.architecture == "skip":
            to_image = ToImage(self.channels, clamp=self.clamp, name="torgb")
            more = to_image(x, ws[-1])
            more = more.astype(jnp.promote_types(more.dtype, jnp.float32))
            image = more if image is None else image + more
        return x, image


class DiscriminatorBlock(nn.Module):
    """x [B, 2H, 2W, features] and the image -> x [B, H, W, out] and the image.

    The first block takes None, and makes x of the image. With "skip", the image is
    halved as well, and each block adds what it makes of it.

    Attributes:
      features, out: channels before and after.
      architecture, clamp, dtype: see `SynthesisBlock`.
    """

    features: int
    out: int
    architecture: str
    clamp: float | None
    dtype: Any

    @nn.compact
    def __call__(self, x: Array | None, image: Array) -> tuple[Array, Array]:
        conv = functools.partial(ConvEqualised, clamp=self.clamp)
        if x is not None:
            x = x.astype(self.dtype)
        if x is None or self.architecture == "skip":
            made = conv(self.features, (1, 1), name="fromrgb")(image.astype(self.dtype))
            x = made if x is None else x + made
        if self.architecture == "skip":
            image = fir.downsample(image)
        residual = self.architecture == "resnet"
        if residual:
            skip = ConvEqualised(
                self.out,
                (1, 1),
                fir.downsample_conv,
                use_bias=False,
                act="linear",
                gain=HALF,
                name="skip",
            )(x)
        x = conv(self.features, (3, 3), name="conv0")(x)
        gain = HALF if residual else 1.0
        x = conv(self.out, (3, 3), fir.downsample_conv, gain=gain, name="conv1")(x)
        return x + skip if residual else x, image


class LastBlock(nn.Module):
    """x [B, 4, 4, I] and, with "skip", the image -> [B, out].

    The deviation over groups of the batch, a 3x3 convolution and two dense layers.
    """

    features: int
    out: int
    architecture: str
    group: int
    clamp: float | None
    dtype: Any

    @nn.compact
    def __call__(self, x: Array, image: Array) -> Array:
        conv = functools.partial(ConvEqualised, self.features, clamp=self.clamp)
        x = x.astype(self.dtype)
        if self.architecture == "skip":
            x = x + conv((1, 1), name="fromrgb")(image.astype(self.dtype))
        if self.group > 1:
            x = MinibatchStdDev(self.group)(x)
        x = conv((3, 3), name="conv")(x)
        x = x.reshape(len(x), -1)
        x = LinearEqualised(self.features, act="lrelu", name="fc")(x)
        return LinearEqualised(self.out, name="out")(x)
