import numpy as np
import pytest

from gans.metrics.anomalies import errors, merging


def test_a_rolling_mean_has_more_values_before_than_after():
    x = np.array([1.0, 2, 4, 8])
    np.testing.assert_allclose(errors.rolling_mean(x, 2), [1, 1.5, 3, 6])
    np.testing.assert_allclose(errors.rolling_mean(x, 3), [1.5, 7 / 3, 14 / 3, 6])
    np.testing.assert_allclose(errors.rolling_mean(x, 1), x)


@pytest.mark.parametrize("kind", errors.ERRORS)
@pytest.mark.parametrize("around", [10, 6])
def test_errors_are_the_references(kind, around, toy):
    true, made = toy["true"], merging.median(toy["y_hat"])[:, 0]
    found = errors.ERRORS[kind](true, made, *[around] * (kind != "point"))
    name = f"errors/{kind}/score_window={around}/smooth="
    np.testing.assert_allclose(found, toy[f"{name}False/smoothing_window=9"], atol=1e-9)
    for given, window in (("9", 9), ("0.05", 8)):  # trunc(0.05 * 160)
        wanted = toy[f"{name}True/smoothing_window={given}"]
        np.testing.assert_allclose(
            errors.rolling_mean(found, window), wanted, atol=1e-9
        )
    # Negative control: windows of another length.
    if kind != "point":
        other = errors.ERRORS[kind](true, made, around + 2)
        assert np.abs(other - found).max() > 1e-2
    assert np.abs(errors.rolling_mean(found, 11) - wanted).max() > 1e-3


def table(x, y):
    """The distance by the usual table, a cell after another."""
    cost = np.full((len(x) + 1, len(y) + 1), np.inf)
    cost[0, 0] = 0
    for i, a in enumerate(x):
        for j, b in enumerate(y):
            least = min(cost[i, j], cost[i, j + 1], cost[i + 1, j])
            cost[i + 1, j + 1] = (a - b) ** 2 + least
    return np.sqrt(cost[-1, -1])


def test_time_warping_is_the_references_and_the_tables(toy):
    a, b = toy["dtw/a"], toy["dtw/b"]
    found = errors._dtw(a[:, None], b[:, None])
    np.testing.assert_allclose(found, toy["dtw/value"], rtol=1e-6)  # float32 here
    assert abs(np.linalg.norm(a - b) - toy["dtw/value"]) > 0.1  # negative control
    x, made = np.random.default_rng(0).normal(size=(2, 40))
    found = errors.dtw(x, made, 4)
    np.testing.assert_allclose(found[12], table(x[8:13], made[8:13]), rtol=1e-12)


def test_time_warping_is_stored_late_and_zero_at_both_ends():
    x, spike = np.zeros(60), np.zeros(60)
    spike[30] = 1
    (late,) = np.nonzero(errors.dtw(x, spike))
    assert (late.min(), late.max()) == (30, 40)
    (around,) = np.nonzero(errors.area(x, spike))
    assert (around.min(), around.max()) == (26, 35)
    found = errors.dtw(x + 1, spike)
    assert not found[:5].any() and not found[-6:].any() and found[5:-6].all()
    assert not errors.dtw(x[:11], spike[:11]).any()  # no longer than a window


def test_several_channels_have_the_mean_of_their_errors():
    x, made = np.random.default_rng(0).normal(size=(2, 30, 2))
    both = errors.smoothed("area", x, made, 3)
    one, other = (errors.smoothed("area", x[:, [i]], made[:, [i]], 3) for i in (0, 1))
    np.testing.assert_allclose(both, (one + other) / 2)
