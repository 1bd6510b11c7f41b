"""The generator of StyleGAN3 (arXiv 2106.12423), for powers of two from 8x8 pixels.

Section 3 and appendices C, F and G there: configurations T and R. The discriminator is
that of stylegan2.

Deviations: kernels are not first scaled to mean square 1, nor styles by the mean square
of the batch's; demodulation cancels both. The average of w and of magnitudes moves in
the generator's own updates.
"""

import math

import jax.numpy as jnp
from jax import Array

from gans import names
from gans.layers import Layers
from gans.layers.alias_free import MARGIN, AliasFreeLayer, AliasFreeToImage, Band
from gans.layers.fourier import FourierFeatures
from gans.layers.saved_alias_free import from_torch, of_data
from gans.layers.styled_generator import MappedGenerator

__all__ = ["Generator", "bands", "from_torch", "of_data"]

# Arguments of the authors' class that a state dict does not show: our options.
ARGUMENTS = {"conv_clamp": "clamp"}

CRITICAL = 2  # layers at the end that are sampled as sparsely as the image
FIRST_CUTOFF, FIRST_STOPBAND, LAST_STOPBAND = 2.0, 2**2.1, 2**0.3
SCALE = 0.25  # of the image, which the last layer makes four times as large


class Generator(MappedGenerator):
    """z [B, L] -> images [B, *shape] float32, linear, nominally in [-1, 1].

    A mapping network makes w [B, w_dim] of z, and the synthesis network an image of
    `n_ws` of them: one for its input, which is made of sines, and one for each layer.

    Raises ValueError for a shape that is not square or not a power of two from 8.

    Attributes:
      shape, n_classes, w_dim, mapping_layers: see `MappedGenerator`.
      depth: layers of the synthesis network, without the one to the image.
      channel_base: times 1 / r, the channels of a map whose cutoff is that of r x r
        pixels, up to channel_max.
      channel_max: the most channels of a map.
      rotation: configuration R in place of T: filters are radial and kernels 1x1, so
        that turned input makes a turned image.
      magnitude_images: after how many images the running mean squares of the layers'
        inputs have forgotten half.
      n_bfloat16: how many of the highest sampling rates have the dtype of `layers` if
        that has 16 bits; the others have float32.
      clamp: the largest absolute value after an activation; None for no limit.
      layers: how layers are made.
    """

    mapping_layers: int = 2
    depth: int = 14
    channel_base: int = 32768
    channel_max: int = 512
    rotation: bool = False
    magnitude_images: float = 20_000
    n_bfloat16: int = 0
    clamp: float | None = 256.0
    layers: Layers = Layers()

    slots = ("dtype",)
    pace = 0.002

    @property
    def n_ws(self) -> int:
        """The number of w that the synthesis network takes."""
        return self.depth + 2

    def setup(self):
        """Makes the layers and the average w [w_dim]."""
        least = CRITICAL + 1
        names.number(self.depth, lambda n: n >= least, "depth", f"of at least {least}")
        names.number(
            self.magnitude_images, lambda n: n > 0, "magnitude_images", "above 0"
        )
        self.layers.factory(self, False, kernel_init="normal")  # checks its options
        found = bands(self.shape, self.depth, self.channel_base, self.channel_max)
        wide = jnp.promote_types(self.layers.dtype, jnp.float32)
        self.prepare_mapping(dtype=wide)
        first = found[0]
        self.features = FourierFeatures(
            first.channels, first.size, first.rate, first.cutoff, name="input"
        )

        def options(i, band):
            high = band.rate * 2**self.n_bfloat16 > self.shape[0]
            return {
                "before": found[max(i - 1, 0)],
                "after": band,
                "magnitude_images": self.magnitude_images,
                "clamp": self.clamp,
                "dtype": self.layers.dtype if high else wide,
                "name": f"layer{i}",
            }

        kind = {"kernel": 1 if self.rotation else 3, "radial": self.rotation}
        made = [AliasFreeLayer(**kind, **options(i, band))
                for i, band in enumerate(found[:-1])]  # fmt: skip
        made += [AliasFreeToImage(**options(self.depth, found[-1]))]
        self.steps = made

    def synthesis(
        self, ws: Array, *, train: bool, transform: Array | None = None
    ) -> Array:
        """ws [B, n_ws, w_dim] -> images [B, *shape] float32.

        transform: [3, 3] or [B, 3, 3], of the input; see `FourierFeatures`.
        """
        x = self.features(ws[:, 0], transform)
        for i, layer in enumerate(self.steps):
            x = layer(x, ws[:, i + 1], train=train)
        return x.astype(jnp.promote_types(x.dtype, jnp.float32)) * SCALE


def bands(
    shape: tuple[int, int, int], depth: int, channel_base: int, channel_max: int
) -> list[Band]:
    """Returns the bands that the `depth` layers and the one to the image end in.

    Appendix C.3 of arXiv 2106.12423, "flexible layers": cutoffs and stop bands grow
    geometrically up to the last two, which are sampled critically. shape: (H, W, C).

    Raises ValueError for one that is not square or not a power of two from 8, and where
    no channels are left.
    """
    height, width, channels = shape
    if height != width or height < 8 or height & (height - 1):
        raise ValueError(
            f"stylegan3: images of {height}x{width}; accepted are squares of 8, 16, 32 "
            "or a larger power of two"
        )
    half, found = height / 2, []
    for i in range(depth + 1):
        share = min(i / (depth - CRITICAL), 1)
        cutoff = FIRST_CUTOFF * (half / FIRST_CUTOFF) ** share
        stop = FIRST_STOPBAND * (half * LAST_STOPBAND / FIRST_STOPBAND) ** share
        rate = 2 ** math.ceil(math.log2(min(2 * stop, height)))
        n = round(min(channel_base / 2 / cutoff, channel_max))
        if n < 1:
            raise ValueError(
                f"stylegan3: channel_base={channel_base} and channel_max={channel_max} "
                f"leave no channels at {height}x{height} pixels; accepted are at least "
                f"{height} and 1"
            )
        size = height if i >= depth - 1 else rate + 2 * MARGIN
        width = max(stop, rate / 2) - cutoff
        found.append(Band(channels if i == depth else n, size, rate, cutoff, width))
    return found
