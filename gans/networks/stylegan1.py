"""The networks of StyleGAN (arXiv 1812.04948), from 4x4 pixels.

Section 2, figure 1b and appendix C there. They grow as those of pggan do, whose
discriminator this is, with a blur before maps are halved.

Deviation: the gain sqrt(2) of the mapping network's layers follows their bias, not
their kernel, as in StyleGAN2.
"""

import jax.numpy as jnp
from flax import linen as nn
from jax import Array

from gans.layers import Layers, fir
from gans.layers.adaptive import AdaptiveLayer
from gans.layers.conv import conv
from gans.layers.growth import channels, mixed, sides
from gans.layers.resample import upsample, upsample_conv
from gans.layers.styled import ConvEqualised
from gans.layers.styled_generator import StyledGenerator
from gans.networks.pggan import BLUR
from gans.networks.pggan import Discriminator as Growing


class Generator(StyledGenerator):
    """z [B, L] -> images [B, *shape] float32, linear, nominally in [-1, 1].

    A mapping network makes w [B, w_dim] of z, and the synthesis network, which begins
    with a constant map, an image of `n_ws` of them, one for each layer.

    Raises ValueError for a shape that is not square or not a power of two from 4.

    Attributes:
      shape, n_classes, w_dim, mapping_layers, mixing: see `StyledGenerator`.
      channel_base: times 1 / r, the channels of a map of r x r pixels, up to
        channel_max.
      channel_max: the most channels of a map.
      noise: whether layers get noise.
      fading: whether the last resolution is faded in.
      layers: how layers are made.
    """

    channel_base: int = 16384
    channel_max: int = 512
    noise: bool = True
    fading: bool = False
    layers: Layers = Layers()

    slots = ("dtype",)

    @property
    def n_ws(self) -> int:
        """The number of w that the synthesis network takes."""
        return 2 * len(sides(self.shape))

    def setup(self):
        """Makes the layers, the average w [w_dim] and the stored noise [H, W]."""
        self.layers.factory(self, False, kernel_init="normal")  # checks its options
        every = sides(self.shape)
        wide = jnp.promote_types(self.layers.dtype, jnp.float32)
        ones, first = nn.initializers.ones, (4, 4, channels(self, 4))
        self.const = self.param("const", ones, first)
        self.steps = [
            AdaptiveLayer(channels(self, side), operation, name=f"b{side}_conv{i}")
            for side in every
            for i, operation in enumerate((_doubling if side > 4 else None, conv))
        ]
        c = self.shape[-1]
        self.to_image = {
            f"{side}": ConvEqualised(c, (1, 1), act="linear", name=f"torgb{side}")
            for side in every[-1 - self.fading :]
        }
        planes = {f"b{r}_noise{i}": (r, r) for r in every for i in (0, 1)}
        self.prepare(planes, dtype=wide, together=True)
        if self.fading:
            self.alpha = self.variable("fade", "alpha", jnp.ones, ())

    def synthesis(self, ws: Array, *, train: bool, noise: str = "random") -> Array:
        """ws [B, n_ws, w_dim] -> images [B, *shape] float32.

        noise: "random", "const" (planes [H, W] that were drawn once and are stored in
        the collection "noise") or "none".
        """
        planes = self.noises(noise if self.noise else "none", len(ws))
        x = jnp.broadcast_to(self.const, (len(ws), *self.const.shape))
        x, last = x.astype(self.layers.dtype), None
        for i, layer in enumerate(self.steps):
            last = x if i == self.n_ws - 2 else last
            x = layer(x, ws[:, i], planes[i])
        image = self._image(x)
        if not self.fading:
            return image
        return mixed(upsample(self._image(last)), image, self.alpha.value)

    def _image(self, x):
        image = self.to_image[f"{x.shape[1]}"](x)
        return image.astype(jnp.promote_types(x.dtype, jnp.float32))


class Discriminator(Growing):
    """Images [B, H, W, C] in [-1, 1] -> logits [B] float32: that of pggan, with a blur.

    Attributes:
      blur: whether maps are blurred before they are halved.
      select: with labels, the logit is the one of the label.
    """

    blur: bool = True
    select: bool = True


def _doubling(x, kernel):
    """x [B, H, W, I] -> [B, 2H, 2W, O]: convolved when doubled, and blurred."""
    return fir.blur(upsample_conv(x, kernel), BLUR)
