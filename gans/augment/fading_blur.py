"""A blur of a discriminator's inputs that fades out (arXiv 2106.12423, appendix G)."""

import dataclasses
from typing import ClassVar

import jax.numpy as jnp
from jax import Array, lax

from gans import names
from gans.augment.base import Augment

MOST = 30  # taps to each side, of the largest sigma


def blurred(x: Array, sigma: Array) -> Array:
    """x [B, H, W, C] -> the same shape, by taps 2^-(i / sigma)^2 for i to 3 sigma.

    sigma [] is in pixels: the distance at which a tap is half as high as the middle
    one. Taps sum to 1, and beyond the image are zeros. Below a third nothing is done.
    """
    reach = jnp.floor(3 * sigma)

    def tap(i):
        return jnp.where(jnp.abs(i) <= reach, 2.0 ** -((i / sigma) ** 2), 0)

    def matrix(size):
        total = tap(jnp.arange(-MOST, MOST + 1)).sum()
        return tap(jnp.arange(size)[:, None] - jnp.arange(size)) / total

    def blur(x):
        rows, columns = (matrix(n).astype(x.dtype) for n in x.shape[1:3])
        return jnp.einsum("hi,bijc,wj->bhwc", rows, x, columns)

    return lax.cond(reach > 0, blur, lambda x: x, x)


@dataclasses.dataclass(frozen=True, kw_only=True)
class FadingBlur(Augment):
    """`blurred` from `sigma` pixels, linear to 0 at step `stop`.

    Raises ValueError for a sigma outside (0, 10] or stop < 1.
    """

    name: ClassVar[str] = "fading_blur"
    kinds: ClassVar[tuple[str, ...]] = ("image",)
    sigma: float = 10.0
    stop: int = 6250

    def __post_init__(self):
        super().__post_init__()
        held = names.holds((0 < self.sigma) & (3 * self.sigma <= MOST))
        self._require(held, "sigma", f"above 0 and at most {MOST / 3:g} pixels")
        self._require(self.stop >= 1, "stop", "at least 1 step")

    def apply(self, x: Array, key: Array, step: Array, p: Array | None = None) -> Array:
        """x [B, H, W, C], step [] -> the same shape; nothing is drawn, and no p."""
        return blurred(x, self.sigma * jnp.maximum(1 - step / self.stop, 0))
