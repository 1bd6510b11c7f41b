import json

import pytest

from experiments.detection import labels


def written(path, text):
    path.write_text(text)
    return str(path)


def test_nabs_windows_are_found_by_the_name_of_the_file(tmp_path):
    windows = {
        "realAdExchange/exchange-2_cpc_results.csv": [
            ["2011-07-11 04:00:01.000000", "2011-07-17 22:00:01.000000"]
        ],
        "other/quiet.csv": [],
    }
    path = written(tmp_path / "w.json", json.dumps(windows))
    found = labels.read(path, ["exchange-2_cpc_results", "quiet"])
    # The figures of the reference, nab_signal.json.
    truth = [(1310356801, 1310940001)]
    assert found == {"exchange-2_cpc_results": truth, "quiet": []}
    with pytest.raises(ValueError, match="no signal 'quite' there; did you mean"):
        labels.read(path, ["quite"])


def test_csv_of_one_signal_of_several_and_orions(tmp_path):
    one = written(tmp_path / "a.csv", "start,end\n5,9\n1970-01-01 00:01:00,70.0\n")
    assert labels.read(one, ["x"]) == {"x": [(5, 9), (60, 70)]}
    with pytest.raises(ValueError, match="no column signal, but there are 2"):
        labels.read(one, ["x", "y"])
    several = written(tmp_path / "b.csv", "signal,start,end\nx,1,2\nx,5,6\n")
    assert labels.read(several, ["x", "y"]) == {"x": [(1, 2), (5, 6)], "y": []}
    orion = written(tmp_path / "c.csv", 'signal,events\nx,"[[1, 2], [5, 6]]"\n')
    assert labels.read(orion, ["x"]) == {"x": [(1, 2), (5, 6)]}


@pytest.mark.parametrize(
    "name, text, said",
    [
        ("a.txt", "", r"a.txt: wanted a .csv or .json file"),
        ("a.csv", "from,to\n1,2\n", "columns .*; wanted start,end or"),
        ("a.csv", "start,end\n1,2\n9,8\n", "line 3: an interval ends at 8, before"),
        ("a.csv", "start,end\nsoon,8\n", "line 2: 'soon' is neither a number"),
        ("a.csv", "start,end\n5\n", "line 2: "),
        ("a.json", "{", "wanted {signal"),
        ("a.json", '{"x": [1, 2]}', "wanted {signal"),
    ],
)
def test_other_files_are_refused(name, text, said, tmp_path):
    with pytest.raises(ValueError, match=said):
        labels.read(written(tmp_path / name, text), ["x"])
