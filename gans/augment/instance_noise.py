"""Normal noise on the inputs of a discriminator, of any kind of data."""

import dataclasses
from typing import ClassVar

import jax
import jax.numpy as jnp
from jax import Array

from gans import names
from gans.augment.base import Augment
from gans.sharding import split


def instance_noise(x: Array, key: Array, sigma: Array | float) -> Array:
    """x [B, ...], images or points, plus normal noise of deviation `sigma` [].

    Section 3 of arXiv 1701.04862; to be annealed: arXiv 1610.04490, on instance noise.
    """
    noise = split(jax.random.normal(key, x.shape, jnp.float32))
    return x + (sigma * noise).astype(x.dtype)


@dataclasses.dataclass(frozen=True, kw_only=True)
class InstanceNoise(Augment):
    """`instance_noise` from `sigma`, linear to 0 at step `stop` (None: never less).

    Raises ValueError for sigma < 0 or stop < 1.
    """

    name: ClassVar[str] = "instance_noise"
    sigma: float = 0.1
    stop: int | None = None

    def __post_init__(self):
        super().__post_init__()
        self._require(names.holds(self.sigma >= 0), "sigma", "at least 0")
        self._require(self.stop is None or self.stop >= 1, "stop", "at least 1 step")

    def apply(self, x: Array, key: Array, step: Array, p: Array | None = None) -> Array:
        """x [B, ...], images or points, step [] -> the same shape; no p."""
        left = 1.0 if self.stop is None else jnp.maximum(1 - step / self.stop, 0)
        return instance_noise(x, key, self.sigma * left)
