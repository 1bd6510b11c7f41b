"""The networks of StyleGAN2 (arXiv 1912.04958), for powers of two from 8x8 pixels.

Section 2 and figure 7 there; labels, and the parts of a batch that minibatch standard
deviations are of, as in the authors' later code (arXiv 2006.06676).

Deviation: convolutions of the synthesis network that double the size correlate, as all
others do, so their kernels are the authors' turned by 180 degrees.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax import Array

from gans import names
from gans.layers import Layers
from gans.layers.saved_styled import from_torch, of_data, to_torch
from gans.layers.style_blocks import (
    ARCHITECTURES,
    NOISE,
    DiscriminatorBlock,
    LastBlock,
    SynthesisBlock,
)
from gans.layers.styled import Mapping, truncated
from gans.sharding import split

__all__ = ["Discriminator", "Generator", "from_torch", "of_data", "to_torch"]

# Arguments of the authors' classes that a state dict does not show: our options.
ARGUMENTS = {"conv_clamp": "clamp", "mbstd_group_size": "group"}


class Generator(nn.Module):
    """z [B, L] -> images [B, *shape] float32, linear, nominally in [-1, 1].

    A mapping network makes w [B, w_dim] of z, and the synthesis network an image of
    `n_ws` of them, one for each layer. Random streams: "noise" and, in training with
    `mixing`, "mixing".

    Raises ValueError for a shape that is not square or not a power of two from 8.

    Attributes:
      shape: (H, W, C).
      n_classes: number of classes, if conditional.
      w_dim: length of w, and width of the mapping network.
      mapping_layers: its depth.
      channel_base: times 1 / r, the channels of a map of r x r pixels, up to
        channel_max.
      channel_max: the most channels of a map.
      architecture: "skip", "resnet" or "orig" (figure 7).
      mixing: in training, the probability that the last layers of a batch, from a
        random one on, take the w of a second z (arXiv 1812.04948, section 3.1).
      n_bfloat16: how many of the highest resolutions have the dtype of `layers` if that
        has 16 bits; the others have float32.
      clamp: the largest absolute value after an activation, 256 in 16 bits; None for
        no limit.
      layers: how layers are made.
    """

    shape: tuple[int, int, int]
    n_classes: int | None = None
    w_dim: int = 512
    mapping_layers: int = 8
    channel_base: int = 16384
    channel_max: int = 512
    architecture: str = "skip"
    mixing: float = 0.9
    n_bfloat16: int = 0
    clamp: float | None = None
    layers: Layers = Layers()

    slots = ("dtype",)
    streams = ("noise", "mixing")

    @property
    def n_ws(self) -> int:
        """The number of w that the synthesis network takes."""
        return 2 * len(_sides(self.shape))

    def setup(self):
        """Makes the blocks, the average w [w_dim] and the stored noise [H, W]."""
        names.check(self.architecture, ARCHITECTURES, "architecture")
        names.number(self.mixing, lambda p: (0 <= p) & (p <= 1), "mixing", "in [0, 1]")
        for name in ("w_dim", "mapping_layers"):
            names.number(getattr(self, name), lambda n: n >= 1, name, "of at least 1")
        self.layers.factory(self, False, kernel_init="normal")  # checks its options
        sides = _sides(self.shape)
        self.w = Mapping(
            self.w_dim,
            self.mapping_layers,
            self.n_classes,
            _wide(self.layers),
            name="mapping",
        )
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
        self.w_avg = self.variable("style", "w_avg", jnp.zeros, (self.w_dim,))
        planes = [(f"b{r}_conv{i}", (r, r)) for r in sides for i in (0, 1)][1:]
        self.planes = [
            self.variable("noise", name, self._noise, plane) for name, plane in planes
        ]

    def __call__(
        self,
        z: Array,
        label: Array | None = None,
        *,
        train: bool,
        truncation: Array | None = None,
    ) -> Array:
        """Returns images [B, *shape]; truncation: psi [B] of `truncated`."""
        ws = self.styles(z, label, train=train)
        if truncation is not None:
            ws = truncated(ws, self.w_avg.value, truncation)
        return self.synthesis(ws, train=train)

    def mapping(self, z: Array, label: Array | None = None, *, train: bool) -> Array:
        """z [B, L] -> ws [B, n_ws, w_dim], the same for each layer.

        In training, the average w moves by 0.005 of its distance to the batch's mean.
        """
        w = self.w(z, label)
        moves = train and self.is_mutable_collection("style")
        if moves and not self.is_initializing():
            new = jax.lax.stop_gradient(w).mean(axis=0)
            self.w_avg.value += 0.005 * (new - self.w_avg.value)
        return jnp.repeat(w[:, None], self.n_ws, axis=1)

    def styles(
        self,
        z: Array,
        label: Array | None = None,
        key: Array | None = None,
        *,
        train: bool,
    ) -> Array:
        """As `mapping`, in training mixed: z [B, L] -> ws [B, n_ws, w_dim].

        key: of the second z, of whether there is mixing, and from which layer on; None:
          the stream "mixing".
        """
        ws = self.mapping(z, label, train=train)
        if not (train and self.mixing):
            return ws
        key = self.make_rng("mixing") if key is None else key
        key_z, key_coin, key_cut = jax.random.split(key, 3)
        other = self.w(split(jax.random.normal(key_z, z.shape, z.dtype)), label)
        mixes = jax.random.bernoulli(key_coin, self.mixing)
        cut = jax.random.randint(key_cut, (), 1, self.n_ws)
        layer = jnp.arange(self.n_ws)[:, None]
        return jnp.where(mixes & (layer >= cut), other[:, None], ws)

    def synthesis(self, ws: Array, *, train: bool, noise: str = "random") -> Array:
        """ws [B, n_ws, w_dim] -> images [B, *shape] float32.

        noise: "random", "const" (planes [H, W] that were drawn once and are stored in
        the collection "noise") or "none".
        """
        planes = self._planes(names.check(noise, NOISE, "noise"), len(ws))
        x = image = None
        for i, block in enumerate(self.blocks):
            # The w of a block's last layer is also that of the next block's first.
            first, last = max(2 * i - 1, 0), 2 * i + 1
            x, image = block(x, image, ws[:, first : last + 1], planes[first:last])
        return image

    def _planes(self, noise, n):
        """For each layer [H, W, 1], [n, H, W, 1] or None."""
        planes = [plane.value[..., None] for plane in self.planes]
        if noise == "const":
            return planes
        if noise == "none":
            return [None] * len(planes)
        # Of one draw, because a compiler takes as long for each as for a layer; and in
        # a loop, because XLA would compute it again for each channel and tap.
        ends = np.cumsum([plane.size for plane in planes])
        keys = jax.random.split(self.make_rng("noise"))
        halves = jax.lax.map(
            lambda key: jax.random.normal(key, (n, ends[-1] // len(keys))), keys
        )
        parts = jnp.split(jnp.concatenate([*halves], axis=1), ends[:-1], axis=1)
        pairs = zip(parts, planes, strict=True)
        return [part.reshape(n, *plane.shape) for part, plane in pairs]

    def _noise(self, shape):
        return jax.random.normal(self.make_rng("noise"), shape)


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
