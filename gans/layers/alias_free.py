"""The layers of StyleGAN3's synthesis network (arXiv 2106.12423, figure 4b)."""

import dataclasses
import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax import Array

from gans.layers import lowpass
from gans.layers.conv import conv
from gans.layers.modulated import modulated_conv
from gans.layers.styled import LinearEqualised

TAPS = 6  # of a filter, for each sample of the lower rate
MARGIN = 10  # pixels around the image, as long as a layer's map is not the last


@dataclasses.dataclass(frozen=True)
class Band:
    """A map of features, as a sampled signal.

    Attributes:
      channels: of the map.
      size: pixels along its side, with the margin.
      rate: pixels along the side of the image.
      cutoff: where filters begin to fade, in waves along the side of the image.
      half_width: of the transition band, likewise.
    """

    channels: int
    size: int
    rate: int
    cutoff: float
    half_width: float

    @property
    def critical(self) -> bool:
        """Whether the cutoff is as high as the rate allows."""
        return 2 * self.cutoff >= self.rate


@dataclasses.dataclass(frozen=True)
class Plan:
    """How a layer goes from a map to the next one, at an intermediate rate.

    Attributes:
      up, down: factors to the intermediate rate and from it.
      up_filter: [taps], [1.0] without; down_filter: [taps] or, radial, [taps, taps].
      pad: before and after, around the upsampled map.
    """

    up: int
    down: int
    up_filter: np.ndarray
    down_filter: np.ndarray
    pad: tuple[int, int]


@functools.cache
def plan(before: Band, after: Band, kernel: int, radial: bool) -> Plan:
    """Returns the plan of a layer with a kernel of that size.

    Appendix C of arXiv 2106.12423: the intermediate rate is twice the larger one.
    radial: the down filter is, but for that to a critically sampled map.
    """
    rate = 2 * max(before.rate, after.rate)
    up, down = rate // before.rate, rate // after.rate
    rising = lowpass.kaiser(TAPS * up, before.cutoff, before.half_width, rate)
    design = lowpass.jinc if radial and not after.critical else lowpass.kaiser
    falling = design(TAPS * down, after.cutoff, after.half_width, rate)
    # The convolution widens the map by kernel - 1; filters and crops narrow it.
    total = (after.size - 1) * down + 1 - (before.size + kernel - 1) * up
    total += len(rising) + len(falling) - 2
    low = (total + up) // 2
    return Plan(up, down, rising, falling, (low, total - low))


class AliasFreeLayer(nn.Module):
    """x [B, S, S, I], w [B, N] -> [B, T, T, O]: a layer between two bands.

    Modulated convolution, bias, filtered leaky ReLU; x is first divided by the root of
    its running mean square, so that signals keep their size. That mean, `magnitude` [],
    in the collection "magnitude", forgets half in `magnitude_images` images; in a
    training pass it moves before it is used.

    Parameters: `kernel` [K, K, I, O], `bias` [O], and `affine`, the dense layer from w
    to the style.
    """

    before: Band
    after: Band
    kernel: int
    radial: bool
    magnitude_images: float
    clamp: float | None
    dtype: Any

    @nn.compact
    def __call__(self, x: Array, w: Array, *, train: bool) -> Array:
        made = plan(self.before, self.after, self.kernel, self.radial)
        y, bias = _convolved(self, x, w, self.kernel, train)
        pads = (made.pad, made.pad)
        rates = {"up": made.up, "down": made.down, "pad": pads}
        return lowpass.filtered_lrelu(
            y, bias, made.up_filter, made.down_filter, **rates, clamp=self.clamp
        )


class AliasFreeToImage(nn.Module):
    """x [B, H, W, I], w [B, N] -> [B, H, W, O], linear: no filter, no demodulation.

    As `AliasFreeLayer`, with a 1x1 kernel and styles times 1 / sqrt(I).
    """

    before: Band
    after: Band
    magnitude_images: float
    clamp: float | None
    dtype: Any

    @nn.compact
    def __call__(self, x: Array, w: Array, *, train: bool) -> Array:
        y, bias = _convolved(self, x, w, 1, train, image=True)
        return lowpass.filtered_lrelu(y, bias, gain=1, slope=1, clamp=self.clamp)


def _convolved(layer, x, w, size, train, image=False):
    """(modulated convolution of x, bias), inside the compact method of a layer."""
    x = x.astype(layer.dtype)
    gain = jax.lax.rsqrt(_magnitude(layer, x, train))
    inputs, outputs = x.shape[-1], layer.after.channels
    style = LinearEqualised(inputs, bias_init=1.0, name="affine")(w)
    normal, zeros = nn.initializers.normal(1.0), nn.initializers.zeros
    kernel = layer.param("kernel", normal, (size, size, inputs, outputs))
    bias = layer.param("bias", zeros, (outputs,))
    if image:
        style = style * (gain / math.sqrt(inputs))
        return modulated_conv(x, kernel, style, demodulate=False), bias
    full = functools.partial(conv, padding=size - 1)
    y = modulated_conv(x, kernel, style, operation=full)
    return y * gain.astype(y.dtype), bias


def _magnitude(layer, x, train):
    """The running mean square of x, moved first in a training pass."""
    kept = layer.variable("magnitude", "magnitude", jnp.ones, ())
    moves = train and layer.is_mutable_collection("magnitude")
    if moves and not layer.is_initializing():
        wide = jax.lax.stop_gradient(x).astype(kept.value.dtype)
        share = 1 - 0.5 ** (len(x) / layer.magnitude_images)
        kept.value += share * (jnp.mean(jnp.square(wide)) - kept.value)
    return kept.value
