"""What all transformations of the pipeline have in common: their random numbers."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
from jax import Array

from gans.sharding import split

uniform, normal = jax.random.uniform, jax.random.normal


class Transform(NamedTuple):
    """One transformation as data.

    Attributes:
      draw: `uniform` in [0, 1) or `normal`: what its value is made from.
      made: what it does with a value; see the file that lists the transformation.
      shape: of the value of one image.
      coins: how many parts are switched on and off by themselves: () for one.
      chance: of each coin, from the probability of the whole transformation.
    """

    draw: Callable[..., Array]
    made: Callable[..., Any]
    shape: tuple[int, ...] = ()
    coins: tuple[int, ...] = ()
    chance: Callable[[Array], Array] = lambda p: p

    def drawn(self, key: Array, n: int, dtype: Any) -> tuple[Array, Array]:
        """(values [n, *shape], coins [n, *coins] uniform in [0, 1)) for n images."""
        key_value, key_coin = jax.random.split(key)
        value = self.draw(key_value, (n, *self.shape), dtype)
        return split(value), split(uniform(key_coin, (n, *self.coins), dtype))
