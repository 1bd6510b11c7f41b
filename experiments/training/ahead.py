"""The loop of compiled calls, in which the host keeps a little ahead of the device."""

from __future__ import annotations

import collections
from collections.abc import Callable, Iterator
from typing import Any

import jax

from gans.core import State


def steps(
    call: Callable[[State, int], tuple[State, Any]],
    state: State,
    start: int,
    stop: int,
    per_call: int,
    *,
    ahead: int = 1,
) -> Iterator[tuple[int, State, Any]]:
    """Yields (step, state, found) after each call, until `stop` steps are done.

    Calls return before their work is done. So that the device always has work and its
    queue stays short, at most `ahead` calls are under way beyond the one waited for.

    Args:
      call: (state, step) -> (state, found): `per_call` steps from `step` on. It may
        donate the state, so each that is yielded is good until the next is asked for.
      state: after `start` steps.
    """
    under_way = collections.deque()
    for step in range(start, stop, per_call):
        state, found = call(state, step)
        under_way.append(found)
        if len(under_way) > ahead:
            jax.block_until_ready(under_way.popleft())
        yield step + per_call, state, found
