"""The networks of StyleGAN2 (arXiv 1912.04958), for powers of two from 8x8 pixels.

Section 2 and figure 7 there; labels, and the parts of a batch that minibatch standard
deviations are of, as in the authors' later code (arXiv 2006.06676).

Deviation: convolutions of the synthesis network that double the size correlate, as all
others do, so their kernels are the authors' turned by 180 degrees.
"""

import math

import jax.numpy as jnp
from flax import linen as nn
from jax import Array

from gans import names
from gans.layers import Layers
from gans.layers.saved_styled import from_torch, of_data, to_torch
from gans.layers.style_blocks import (
    ARCHITECTURES,
    DiscriminatorBlock,
    LastBlock,
    SynthesisBlock,
)
from gans.layers.styled import Mapping
from gans.layers.styled_generator import StyledGenerator

__all__ = ["Discriminator", "Generator", "from_torch", "of_data", "to_torch"]

# Arguments of the authors' classes that a state dict does not show: our options.
ARGUMENTS = {"conv_clamp": "clamp", "mbstd_group_size": "group"}


class Generator(StyledGenerator):
    """z [B, L] -> images [B, *shape] float32, linear, nominally in [-1, 1].

    A mapping network makes w [B, w_dim] of z, and the synthesis network an image of
    `n_ws` of them, one for each layer. Random streams: "noise" and, in training with
    `mixing`, "mixing".

    Raises ValueError for a shape that is not square or not a power of two from 8.

    Attributes:
      shape, n_classes, w_dim, mapping_layers, mixing: see `StyledGenerator`.
      channel_base: times 1 / r, the channels of a map of r x r pixels, up to
        channel_max.
      channel_max: the most channels of a map.
      architecture: "skip", "resnet" or "orig" (figure 7).
      n_bfloat16: how many of the highest resolutions have the dtype of `layers` if that
        has 16 bits; the others have float32.
      clamp: the largest absolute value after an activation, 256 in 16 bits; None for
        no limit.
      layers: how layers are made.
    """

    channel_base: int = 16384
    channel_max: int = 512
    architecture: str = "skip"
    n_bfloat16: int = 0
    clamp: float | None = None
    layers: Layers = Layers()

    slots = ("dtype",)

    @property
    def n_ws(self) -> int:
        """The number of w that the synthesis network takes."""
        return 2 * len(_sides(self.shape))

    def setup(self):
        """Makes the blocks, the average w [w_dim] and the stored noise [H, W]."""
        names.check(self.architecture, ARCHITECTURES, "architecture")
        self.layers.factory(self, False, kernel_init="normal")  # checks its options
        sides = _sides(self.shape)
        self.blocks = [
            SynthesisBlock(
                _channels(self, side),
                self.shape[-1],
                self.architecture,
                side == sides[-1],
                self.clamp,
                _dtype(self, side, sides[-1]),
                name=f"b{side}",
            )
            for side in sides
        ]
        planes = [(f"b{r}_conv{i}", (r, r)) for r in sides for i in (0, 1)][1:]
        self.prepare(dict(planes), dtype=_wide(self.layers))

    def synthesis(
        self,
        ws: Array,
        *,
        train: bool,
        noise: str = "random",
        transform: Array | None = None,
    ) -> Array:
        """ws [B, n_ws, w_dim] -> images [B, *shape] float32.

        noise: "random", "const" (planes [H, W] that were drawn once and are stored in
        the collection "noise") or "none". transform: [3, 3] or [B, 3, 3], of the
        constant map, whose pixels are taken as samples of a periodic signal without
        higher frequencies; see `gans.layers.fourier.FourierFeatures` for what it means.
        """
        planes = self.noises(noise, len(ws))
        x = image = None
        for i, block in enumerate(self.blocks):
            # The w of a block's last layer is also that of the next block's first.
            first, last = max(2 * i - 1, 0), 2 * i + 1
            of_block = ws[:, first : last + 1], planes[first:last]
            x, image = block(x, image, *of_block, transform if i == 0 else None)
        return image


class Discriminator(nn.Module):
    """Images [B, H, W, C] in [-1, 1] -> logits [B] float32.

    The output of each block is sown in `features` as hidden0, hidden1 ... With labels,
    a logit is the product with what a mapping network makes of the label. Batches are
    multiples of `group`, or smaller.

    Raises ValueError for images that are not square or not a power of two from 8.

    Attributes:
      n_classes: number of classes, if conditional.
      mapping_layers: depth of the mapping network, if conditional.
      channel_base: times 1 / r, the channels of a map of r x r pixels, up to
        channel_max.
      channel_max: the most channels of a map.
      architecture: "resnet", "skip" or "orig" (figure 7).
      group: of how many examples minibatch standard deviations are; 1 for none.
      n_bfloat16: how many of the highest resolutions have the dtype of `layers` if that
        has 16 bits; the others have float32.
      clamp: the largest absolute value after an activation, 256 in 16 bits; None for
        no limit.
      layers: how layers are made.
    """

    n_classes: int | None = None
    mapping_layers: int = 8
    channel_base: int = 16384
    channel_max: int = 512
    architecture: str = "resnet"
    group: int = 4
    n_bfloat16: int = 0
    clamp: float | None = None
    layers: Layers = Layers()

    slots = ("dtype",)

    @property
    def mixes_batch(self) -> bool:
        """Whether a logit depends on other examples of its batch."""
        return self.group > 1

    def alternates(self, n: int) -> bool:
        """Whether two batches of n, with their examples in turn, keep their logits.

        A group is of every (n / group)-th example, so of one of them.
        """
        return n % self.group == 0

    @nn.compact
    def __call__(self, x: Array, label: Array | None = None, *, train: bool) -> Array:
        names.check(self.architecture, ARCHITECTURES, "architecture")
        self.layers.factory(self, train, kernel_init="normal")  # checks its options
        sides = _sides(x.shape[1:])
        h, image, wide = None, x, _wide(self.layers)
        for i, side in enumerate(reversed(sides[1:])):
            block = DiscriminatorBlock(
                _channels(self, side),
                _channels(self, side // 2),
                self.architecture,
                self.clamp,
                _dtype(self, side, sides[-1]),
                name=f"b{side}",
            )
            h, image = block(h, image)
            self.sow("features", f"hidden{i}", h)
        width = _channels(self, 4)
        n = 1 if self.n_classes is None else width
        last = LastBlock(
            width, n, self.architecture, self.group, self.clamp, wide, name="b4"
        )
        out = last(h, image)
        if self.n_classes is not None:
            mapping = Mapping(
                width, self.mapping_layers, self.n_classes, wide, name="mapping"
            )
            out = out * mapping(None, label) / math.sqrt(width)
        return out.sum(axis=1)


def _sides(shape):
    """4, 8 ... up to the resolution of a shape (H, W, C)."""
    height, width = shape[:2]
    n = height.bit_length() - 2
    if height != width or height != 2 ** (n + 1) or height < 8:
        raise ValueError(
            f"stylegan2: images of {height}x{width}; accepted are squares of 8, 16, 32 "
            "or a larger power of two"
        )
    return [4 * 2**i for i in range(n)]


def _channels(module, side):
    n = min(module.channel_base // side, module.channel_max)
    if n < 1:
        raise ValueError(
            f"stylegan2: channel_base={module.channel_base} and channel_max="
            f"{module.channel_max} leave no channels at {side}x{side} pixels; accepted "
            f"are at least {side} and 1"
        )
    return n


def _wide(layers):
    return jnp.promote_types(layers.dtype, jnp.float32)


def _dtype(module, side, largest):
    """Of a block: 16 bits, where they are asked for, at high resolutions only."""
    high = side * 2**module.n_bfloat16 > largest
    return module.layers.dtype if high else _wide(module.layers)
