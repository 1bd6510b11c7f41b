"""The loop of calls, with calls that say when they are waited for."""

import pytest

from experiments.training import ahead


class Found:
    """Of a call; waiting for it is noted."""

    def __init__(self, step, said):
        self.step, self.said = step, said

    def block_until_ready(self):
        self.said.append(f"waited for {self.step}")
        return self


@pytest.mark.parametrize("n_ahead", [0, 1, 2])
def test_so_many_calls_are_under_way_and_not_more(n_ahead):
    said = []

    def call(state, step):
        said.append(f"called {step}")
        return state + 1, Found(step, said)

    seen = []
    for step, state, found in ahead.steps(call, 7, 10, 22, 3, ahead=n_ahead):
        seen.append((step, state, found.step))
        said.append(f"seen {step}")
    assert seen == [(13, 8, 10), (16, 9, 13), (19, 10, 16), (22, 11, 19)]
    for i, start in enumerate((10, 13, 16, 19)):
        called, shown = said.index(f"called {start}"), said.index(f"seen {start + 3}")
        waited = [x for x in said[called:shown] if x.startswith("waited")]
        assert waited == [f"waited for {start - 3 * n_ahead}"] * (i >= n_ahead)


def test_stops_with_whoever_asks():
    calls = []

    def call(state, step):
        calls.append(step)
        return state, ()

    for step, *_ in ahead.steps(call, None, 0, 100, 1):
        if step == 2:
            break
    assert calls == [0, 1]
    assert not [*ahead.steps(call, None, 5, 5, 1)]
