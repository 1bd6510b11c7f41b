"""Signals, against what Orion 0.7.1 makes of a signal of NAB, and by hand."""

import pathlib

import numpy as np
import pytest

from gans.data import signals
from gans.data.signals import Signal, aggregate, filled, read, read_all, scale, windows

FIXTURE = pathlib.Path(__file__).parents[3] / "shared/reference/parity/tadgan"


def wrote(tmp_path, text, name="a.csv"):
    path = tmp_path / name
    path.write_text(text)
    return str(path)


def test_a_signal_of_nab_goes_through_as_in_orion():
    path = FIXTURE / "nab_signal.npz"
    if not path.exists():
        pytest.skip("the fixtures are not at hand")
    expected = np.load(path)
    signal = Signal(expected["timestamp"], expected["value"][:, None])
    found = aggregate(signal, 3600)
    np.testing.assert_array_equal(found.times, expected["index"])
    np.testing.assert_allclose(found.values[:, 0], expected["aggregated"], rtol=1e-12)
    scaled = scale(filled(found, "mean").values)[0]
    np.testing.assert_allclose(scaled[:, 0], expected["scaled"], atol=1e-12)
    cut = windows(scaled, 100)
    np.testing.assert_allclose(cut[0, :, 0], expected["first_window"], atol=1e-12)
    # Orion keeps a value behind the last window back, as a target that it never uses.
    np.testing.assert_allclose(cut[-2, :, 0], expected["last_window"], atol=1e-12)
    # Not so with another interval, or gaps filled otherwise.
    assert len(aggregate(signal, 1800).times) != len(expected["index"])
    other = scale(filled(found, "linear").values)[0]
    assert np.abs(other[:, 0] - expected["scaled"]).max() > 1e-3


@pytest.mark.parametrize(
    "text",
    [
        "timestamp,value\n1970-01-01 00:00:10,1.5\n1970-01-01 00:00:20,-2\n",
        "timestamp,value\n10,1.5\n20,-2\n",
        "10,1.5\n20,-2\n",
        "value,label,time\n-2,1,20.0\n\n1.5,0,1970-01-01T01:00:10+01:00\n",
        "date,v\n1969-12-31 22:00:20.000-02,-2\n1970-01-01 00:00:10Z,1.5\n",
    ],
)
def test_layouts_of_a_csv(text, tmp_path):
    signal = read(wrote(tmp_path, text))
    assert signal.name == "a" and signal.times.dtype == np.int64
    assert signal.times.tolist() == [10, 20]
    assert signal.values.tolist() == [[1.5], [-2.0]]


def test_several_columns_and_cells_without_a_value(tmp_path):
    path = wrote(tmp_path, "date,x,y,z\n0,1,,3\n1,nan,5,6\n")
    signal = read(path)
    assert signal.columns == ("x", "y", "z") and signal.values.shape == (2, 3)
    assert np.isnan(signal.values).sum() == 2
    assert read(path, columns=["z", "x"]).values[0].tolist() == [3, 1]
    assert read(wrote(tmp_path, "v\n7\n8\n")).times.tolist() == [0, 1]


@pytest.mark.parametrize(
    "text, said",
    [
        ("timestamp,value\n0,1\n1,x\n", "line 3: 'x' is not a number"),
        ("timestamp,value\n0,1\n1,inf\n", "line 3: 'inf' is not finite"),
        ("timestamp,value\n0,1\nsoon,2\n", "line 3: 'soon' is not a time"),
        ("timestamp,value\n2014-13-01,2\n", "line 2: '2014-13-01' is not a time"),
        ("timestamp,value\nnan,2\n", "line 2: 'nan' is not a time"),
        ("timestamp,value\n0.5,1\n", "line 2: '0.5' is not a time in whole"),
        ("timestamp,value\n0,1,2\n", "line 2: 3 cells; wanted 2"),
        ("timestamp,value\n", "has no rows"),
        ("timestamp,label\n1,2\n", "has no values"),
        ("", "is empty"),
    ],
)
def test_what_cannot_be_read_is_named_by_its_line(text, said, tmp_path):
    with pytest.raises(ValueError, match=said):
        read(wrote(tmp_path, text))


def test_missing_values_may_be_refused(tmp_path):
    path = wrote(tmp_path, "timestamp,value\n0,1\n60,\n")
    with pytest.raises(ValueError, match=r"a.csv, line 3: no value"):
        read(path, missing="refuse")
    gap = aggregate(Signal(np.array([0, 10, 30]), np.ones((3, 1)), "s"), 10)
    with pytest.raises(ValueError, match=r"s: no value at the time 20 \(row 2\)"):
        filled(gap, "refuse")
    with pytest.raises(ValueError, match="'vlue' among .*did you mean 'value'"):
        read(path, columns=["vlue"])


def test_arrays_and_folders(tmp_path):
    np.savez(tmp_path / "b.npz", one=np.arange(3), two=np.ones((4, 2)))
    wrote(tmp_path, "v\n7\n8\n")
    found = read_all(str(tmp_path))
    assert [s.name for s in found] == ["a", "one", "two"]
    assert [s.values.shape for s in found] == [(2, 1), (3, 1), (4, 2)]
    assert [s.name for s in read_all(str(tmp_path), "t*")] == ["two"]
    with pytest.raises(FileNotFoundError, match="no signals called x"):
        read_all(str(tmp_path), "x")
    with pytest.raises(ValueError, match=r"holds 2 signals \(one, two\)"):
        read(str(tmp_path / "b.npz"))
    np.save(tmp_path / "c.npy", np.array([1.0, np.inf]))
    with pytest.raises(ValueError, match="c, row 1: inf"):
        read(str(tmp_path / "c.npy"))


def test_intervals_take_the_mean_of_what_is_there():
    times = np.array([5, 6, 9, 26, 27])  # intervals of 10 from 5 on: [5, 15), [25, 35)
    values = np.array([[1, 1], [2, np.nan], [6, 3], [4, np.nan], [8, np.nan]])
    signal = Signal(times, values)
    found = aggregate(signal, 10)
    assert found.times.tolist() == [5, 15, 25]
    nan = np.nan
    np.testing.assert_array_equal(found.values, [[3, 2], [nan, nan], [6, nan]])
    largest = aggregate(signal, 10, "max").values
    np.testing.assert_array_equal(largest, [[6, 3], [nan, nan], [8, nan]])
    # Regular times stay as they are, by themselves.
    regular = Signal(np.arange(4) * 300, np.arange(4.0)[:, None])
    assert aggregate(regular).values.tolist() == regular.values.tolist()
    with pytest.raises(ValueError, match="interval=1 s makes 1000000001 values of 2"):
        aggregate(Signal(np.array([0, 10**9]), np.ones((2, 1))), 1)


def test_gaps_are_filled():
    signal = Signal(np.arange(5), np.array([[np.nan, 1, np.nan, np.nan, 4]]).T)
    assert filled(signal).values[:, 0].tolist() == [1, 1, 2, 3, 4]
    assert filled(signal, "mean").values[:, 0].tolist() == [2.5, 1, 2.5, 2.5, 4]
    with pytest.raises(ValueError, match="channel 0 has no values"):
        filled(Signal(np.arange(2), np.full((2, 1), np.nan)))


def test_scale_and_windows():
    values = np.array([[0.0, 5], [10, 5], [5, 5], [20, 5]])
    scaled, low, high = scale(values)
    assert scaled.tolist() == [[-1, 0], [0, 0], [-0.5, 0], [1, 0]]
    assert scale(np.array([[30.0, 6]]), low, high)[0].tolist() == [[2, 1]]
    cut = windows(values, 2)
    assert cut.shape == (3, 2, 2) and cut[1].tolist() == [[10, 5], [5, 5]]
    assert windows(values, 2, step=2).shape == (2, 2, 2)
    with pytest.raises(ValueError, match="4 values are fewer than a window of 5"):
        windows(values, 5)
    assert signals.METHODS and signals.MISSING
