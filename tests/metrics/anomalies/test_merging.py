import numpy as np
from scipy import stats

from gans.metrics.anomalies import merging


def test_each_step_has_the_windows_that_cover_it_the_latest_first():
    rows = merging.covering(np.array([[1.0, 2, 3], [4, 5, 6]]))
    none = np.nan
    expected = [[1, none, none], [4, 2, none], [none, 5, 3], [none, none, 6]]
    np.testing.assert_array_equal(rows, expected)


def test_the_median_is_the_references(toy):
    made = merging.median(toy["y_hat"])
    wanted = toy["predictions_min_q25_median_q75_max"]
    np.testing.assert_allclose(made[:, 0], wanted[:, 2], atol=1e-9)
    # Negative control: the mean of the windows is another series.
    mean = np.nanmean(merging.covering(toy["y_hat"][..., 0]), axis=1)
    assert np.abs(mean - wanted[:, 2]).max() > 1e-2


def test_channels_are_merged_each_by_itself():
    windows = np.random.default_rng(0).normal(size=(7, 4, 2))
    both = merging.median(windows)
    assert both.shape == (10, 2)
    np.testing.assert_array_equal(both[:, 1:], merging.median(windows[..., 1:]))


def test_the_densest_critic_value_is_the_references(toy):
    critic, size = toy["critic"][:, 0], toy["y"].shape[1]
    found = merging.densest(critic, size)
    np.testing.assert_allclose(found, toy["critic_kde_max"], atol=1e-9)
    # Negative control: neither the median nor the mean of the windows.
    rows = merging.covering(np.repeat(critic[:, None], size, axis=1))
    for other in np.nanmedian(rows, axis=1), np.nanmean(rows, axis=1):
        assert np.abs(other - toy["critic_kde_max"]).max() > 1e-2


def test_the_densest_value_is_scipys_and_equal_values_are_kept():
    critic = np.random.default_rng(1).normal(size=30)
    found = merging.densest(critic, 5)
    inside = critic[8:13][::-1]  # the windows of step 12
    density = stats.gaussian_kde(inside)(inside)
    assert found[12] == inside[np.argmax(density)]
    np.testing.assert_array_equal(merging.densest(np.full(9, 0.1), 4), 0.1)
