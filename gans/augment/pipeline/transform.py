"""A transformation of the pipeline, as data."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
from jax import Array

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
