"""How a kernel moves over an image."""

import dataclasses
from collections.abc import Sequence


@dataclasses.dataclass(frozen=True)
class Geometry:
    """How a kernel moves over an image: y[o] = sum_t x[strides * o + t - low] * w[t].

    All but `groups` (the `feature_group_count` of `jax.lax`) have an entry per spatial
    axis. A convolution and its two gradients share one geometry.
    """

    x: tuple[int, ...]
    w: tuple[int, ...]
    y: tuple[int, ...]
    strides: tuple[int, ...]
    low: tuple[int, ...]
    groups: int = 1

    @property
    def high(self) -> tuple[int, ...]:
        """The padding after x that the last window needs; negative values crop x."""
        axes = zip(self.x, self.w, self.y, self.strides, self.low, strict=True)
        return tuple((y - 1) * s + w - x - low for x, w, y, s, low in axes)

    @property
    def pads(self) -> list[tuple[int, int]]:
        return list(zip(self.low, self.high, strict=True))

    @property
    def reverse(self) -> "Geometry":
        """The geometry of the flipped kernel over the dilated y, which yields x."""
        axes = zip(self.y, self.strides, strict=True)
        dilated = tuple((y - 1) * s + 1 for y, s in axes)
        low = tuple(w - 1 - low for w, low in zip(self.w, self.low, strict=True))
        return Geometry(dilated, self.w, self.x, ones(self.x), low, self.groups)


def ones(axes: Sequence[int]) -> tuple[int, ...]:
    """Returns a 1 for each axis."""
    return (1,) * len(axes)
