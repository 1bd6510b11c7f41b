import re
import textwrap

import jax
import numpy as np
import pytest

from experiments.detection import Detector, Rules
from gans.data.signals import Signal


@pytest.fixture(scope="module")
def series():
    x = np.sin(np.arange(300) / 6)
    x[200:206] += 4
    return x


@pytest.fixture(scope="module")
def shown(system, series):
    """What the docstring's example leaves behind, with a smaller model."""
    config = system("series").get_config()
    config.steps_per_call = 10
    small = {"window": 12, "epochs": 1, "seed": 3, "config": config}
    small["rules"] = Rules("point", "rec", window=1.0)
    code = re.search(r"\n\n((?: {4,}.*\n)+)", textwrap.dedent(Detector.__doc__))[1]
    names = {"Detector": lambda **given: Detector(**given | small), "series": series}
    lines: list[tuple] = []
    exec(textwrap.dedent(code), names | {"print": lambda *x: lines.append(x)}, names)
    return names["detector"], lines


@pytest.fixture(scope="module")
def detector(shown):
    return shown[0]


def test_it_does_what_its_docstring_shows(shown, series):
    detector, printed = shown
    ((start, end, score),) = printed
    assert start <= 200 and end >= 205 and score > 0
    assert printed == detector.detect(series)
    assert detector.config.steps == 40  # 289 windows in batches of 8, in calls of 10


def test_a_signal_has_times_and_an_array_has_steps(detector, series):
    signal = Signal(7000 + 60 * np.arange(300), series[:, None])
    found = detector.detect(signal)
    assert found == [
        (7000 + 60 * a, 7000 + 60 * b, x) for a, b, x in detector.detect(series)
    ]


def test_another_series_has_the_scale_of_the_fitted(detector, series):
    assert (detector.low, detector.high) == (series.min(), series.max())
    part = detector.detection(series[:150])
    whole = detector.detection(series)
    # Of the same windows, but near the end.
    np.testing.assert_allclose(part.made[:139], whole.made[:139], rtol=1e-4, atol=1e-5)


def test_gaps_are_interpolated(detector, series):
    gaps = series.copy()
    gaps[20] = np.nan
    assert len(detector.detect(gaps)) == 1


@pytest.mark.slow
def test_the_same_seed_makes_the_same_model(detector, series):
    config = detector.config
    again = Detector(window=12, epochs=1, seed=3, config=config).fit(series)
    for a, b in zip(
        jax.tree.leaves(detector.state.params),
        jax.tree.leaves(again.state.params),
        strict=True,
    ):
        np.testing.assert_array_equal(a, b)


def test_what_does_not_fit_is_refused(detector, series):
    config = detector.config
    with pytest.raises(ValueError, match="call fit"):
        Detector(config=config).detect(series)
    with pytest.raises(ValueError, match="2 channels, the fitted one 1"):
        detector.detect(np.zeros((50, 2)))
    with pytest.raises(ValueError, match="has 5 steps, fewer than window=12"):
        Detector(window=12, config=config).fit(series[:5])
    with pytest.raises(ValueError, match="window=1, epochs=35: wanted"):
        Detector(window=1, config=config)
    with pytest.raises(ValueError, match="batch_sise"):
        Detector(config=config, changes={"batch_sise": 3})
    with pytest.raises(ValueError, match=r"shape \(2, 2, 2\); wanted"):
        detector.detect(np.zeros((2, 2, 2)))
