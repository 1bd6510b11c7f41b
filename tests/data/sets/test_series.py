"""Windows of signals as a source."""

import numpy as np
import pytest

from gans import data
from gans.data.sets import NoSplit, series


def test_demo_is_a_formula_with_anomalies():
    signal, anomalies = series.demo()
    again = series.demo()[0]
    np.testing.assert_array_equal(signal.values, again.values)
    assert signal.values.shape == (2400, 1) and len(anomalies) == 5
    # A day later the signal is much the same, but where there is an anomaly.
    x = signal.values[:, 0]
    apart = np.abs(x[168:] - x[:-168])
    usual = np.quantile(apart, 0.5)
    for start, end in anomalies:
        first, last = (np.searchsorted(signal.times, x) for x in (start, end))
        assert signal.times[last] == end
        assert apart[first - 168 : last - 167].max() > 5 * usual


def test_windows_of_the_demo():
    source = data.load("series:demo:window=30:step=7")
    assert source.spec["series"].shape == (30, 1)
    assert len(source) == (2400 - 30) // 7 + 1
    taken = source.take(np.array([0, 3]))["series"]
    assert taken.dtype == np.float32 and taken.shape == (2, 30, 1)
    np.testing.assert_array_equal(taken[1], source.values[21:51])
    assert source.values.min() == -1 and source.values.max() == 1
    with pytest.raises(NoSplit, match="only train"):
        data.load("series:demo", split="test")


def test_a_folder_has_windows_of_each_signal_alone(tmp_path):
    (tmp_path / "train").mkdir()
    (tmp_path / "test").mkdir()
    for name, n in ("a", 12), ("b", 9):
        rows = "".join(f"{60 * i},{i}\n" for i in range(n))
        (tmp_path / "train" / f"{name}.csv").write_text("timestamp,value\n" + rows)
    (tmp_path / "test" / "b.csv").write_text(
        "timestamp,value\n" + "".join(f"{60 * i},{16}\n" for i in range(8))
    )
    source = data.load(f"series:{tmp_path}:window=8")
    assert source.starts.tolist() == [0, 1, 2, 3, 4, 12, 13]
    assert source.take(np.array([5]))["series"][0, 0, 0] == -1
    # A test signal is scaled as that of its name in train: 0..8 are -1..1, and 16 is 3.
    test = data.load(f"series:{tmp_path}:window=8", split="test")
    assert len(test) == 1 and (test.values == 3).all()
    only = data.load(f"series:{tmp_path}:window=8:signals=b")
    assert len(only) == 2
    hourly = data.load(f"series:{tmp_path}:window=3:interval=120")
    assert [len(x.times) for x in hourly.signals] == [6, 5]
    with pytest.raises(ValueError, match="b has 9 values, fewer than window=10"):
        data.load(f"series:{tmp_path}:window=10")
    with pytest.raises(ValueError, match="window='no' is not a whole number"):
        data.load(f"series:{tmp_path}:window=no")
    (tmp_path / "train" / "c.csv").write_text("x,y\n" + "1,2\n" * 9)
    with pytest.raises(ValueError, match="c has 2 channels, a 1"):
        data.load(f"series:{tmp_path}:window=8")
