"""The exponential moving average of a network's variables."""

from collections.abc import Callable
from typing import Any

import jax
from jax import Array


def follow(
    old: Any,
    new: Any,
    decay: float | Callable[[Array], Array],
    step: Array,
    due: Array | bool,
) -> Any:
    """Returns the average of trees of arrays after a step: decay old + (1 - decay) new.

    decay: in [0, 1), or a schedule step -> decay. due: whether the network was updated
    in this step [] ; if not, the average stays `old`.
    """
    if due is False:
        return old
    decay = decay(step) if callable(decay) else decay

    def blend():
        return jax.tree.map(lambda a, b: a + (1 - decay) * (b - a), old, new)

    return blend() if due is True else jax.lax.cond(due, blend, lambda: old)
