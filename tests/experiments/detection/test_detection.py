import numpy as np
import pytest

from experiments.detection.detection import Rules, detect, merge


def test_a_spike_is_found_by_every_rule(spiked):
    signal, windows, critic = spiked
    merged = merge(windows, critic)
    for error in ("point", "area", "dtw"):
        for combine in ("mult", "sum", "rec", "critic"):
            found = detect(signal, merged, Rules(error, combine, window=1.0))
            first, last, score = max(found.found, key=lambda x: x[2])
            assert 200 < first <= 300 and 305 <= last < 400 and score > 0
            assert found.errors.shape == found.critic.shape == found.scores.shape
    timed = (signal.times[first], signal.times[last], score)
    assert timed in found.intervals
    # The reconstruction is in the signal's units: right but for the spike.
    off = np.abs(found.made - signal.values)[:, 0]
    np.testing.assert_allclose(off[300:306], 3)
    assert np.delete(off, slice(300, 306)).max() < 1e-9


def test_the_scale_may_be_that_of_another_signal(spiked):
    signal, windows, critic = spiked
    merged = merge(windows, critic)
    own = detect(signal, merged)
    given = detect(signal, merged, None, *(np.array([x]) for x in (-1.0, 4.0)))
    assert np.abs(own.made - given.made).max() > 0.01


def test_few_windows_still_have_scores(spiked):
    signal, windows, critic = spiked
    short = type(signal)(signal.times[:25], signal.values[:25], "short")
    found = detect(short, merge(windows[:10], critic[:10]))
    assert np.isfinite(found.scores).all()


def test_nan_of_the_model_is_an_error(spiked):
    signal, windows, critic = spiked
    with pytest.raises(FloatingPointError, match="spiked: the model makes NaN"):
        detect(signal, merge(windows * np.nan, critic))


@pytest.mark.parametrize(
    "given, said",
    [
        ({"error": "dwt"}, "error: 'dwt' is not one of area, dtw, point.*'dtw'"),
        ({"combine": "product"}, "combination: 'product' is not one of critic, mult"),
        ({"window": 0.0}, "window=0.0: wanted a share above 0"),
        ({"weight": 1.5}, "weight=1.5: wanted a share from 0 to 1"),
        ({"padding": -1}, "padding=-1: wanted a number from 0 on"),
    ],
)
def test_rules_that_are_none_are_refused(given, said):
    with pytest.raises(ValueError, match=said):
        Rules(**given)
