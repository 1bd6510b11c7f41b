import csv

import numpy as np
import pytest

from experiments.detection import Rules, folder, table, training
from gans.metrics.anomalies.intervals import Counts

RULES = Rules("point", "rec", window=1.0)
SPIKE = slice(200, 206)


@pytest.fixture
def config(system, tmp_path):
    """Of tests/systems/series, on a folder of three signals with a spike each."""
    data = tmp_path / "signals"
    data.mkdir()
    for i, n in enumerate((300, 320, 300)):
        x = np.sin(np.arange(n) / (6 + i))
        x[SPIKE] += 9
        rows = [("timestamp", "value"), *enumerate(map(float, x))]
        with open(data / f"s{i}.csv", "w", newline="") as file:
            csv.writer(file).writerows(rows)
    labels = ["signal,start,end", *(f"s{i},200,205" for i in range(3))]
    (tmp_path / "labels.csv").write_text("\n".join(labels))
    config = system("series").get_config()
    config.data = f"series:{data}:window=12"
    config.steps, config.steps_per_call = 100, 10
    return config


@pytest.mark.slow
def test_a_folder_is_trained_once_and_detected_by_any_rule(
    config, tmp_path, monkeypatch, capsys
):
    trained, train = [], training.train_many

    def counted(signals, config, seeds):
        trained.append((len(signals), config.steps))
        if len(trained) == 2:
            raise KeyboardInterrupt
        return train(signals, config, seeds)

    monkeypatch.setattr(training, "train_many", counted)
    where, true = str(tmp_path / "out"), str(tmp_path / "labels.csv")
    out = str(tmp_path / "x.csv")

    def run(**options):
        given = {"true": true, "seeds": 2, "at_once": 3, "rules": RULES} | options
        return folder.train_folder(config, where, **given)

    with pytest.raises(KeyboardInterrupt):
        run()
    said = run()  # goes on with the second group
    assert trained == [(3, 100)] * 3
    assert [line.split()[:3] for line in said[1:4]] == [
        [f"s{i}", "2", "2"] for i in range(3)
    ]
    assert said[4].startswith("F1 1.000, standard deviation 0.000 (1.000 1.000)")
    other = run(rules=Rules("area", "critic"))  # trains none
    assert len(trained) == 3 and other[-2] != said[-2]
    run(out=out)
    (first, *_), rows = (
        list(csv.reader(open(out))),
        csv.DictReader(open(tmp_path / "out/table.csv")),
    )
    assert first[0] == "signal"
    assert [row["tp"] for row in rows] == ["1"] * 6
    # A model that has diverged is named, and the others are counted.
    (kept,) = tmp_path.glob("out/*/s0-*0.npz")
    before = kept.read_bytes()
    with np.load(kept) as file:
        np.savez(kept, made=file["made"] * np.nan, critic=file["critic"])
    capsys.readouterr()
    assert run()[1].split()[:3] == ["s0", "1", "1"]
    assert "seed 0: s0: the model makes NaN of it; it is not" in capsys.readouterr().err
    kept.write_bytes(before)
    # A third seed trains only what there is not.
    run(seeds=3)
    assert trained[3:] == [(3, 100)]
    with pytest.raises(ValueError, match="of another config: epochs: None -> 2; take"):
        run(epochs=2)


def test_each_signal_has_a_file_of_its_own(tmp_path):
    names = ("a/b", "a_b", "a%2Fb", "a b")
    paths = {folder._path(tmp_path, folder.Job(name, 0)) for name in names}
    assert len(paths) == len(names)
    assert {path.parent for path in paths} == {tmp_path / folder.KEPT}


def test_the_folder_of_a_run_is_refused(config, series_run):
    with pytest.raises(ValueError, match="is that of a run; take another one"):
        folder.train_folder(config, str(series_run))


def test_steps_are_whole_calls_of_the_longest_signal(config):
    # 2 epochs of 100 windows in batches of 8 are 25 steps, in calls of 10.
    assert training.steps_of(2, [100, 60], config) == 30
    assert training.steps_of(0.01, [100], config) == 10


def test_seeds_are_one_for_each_signal():
    with pytest.raises(ValueError, match=r"seeds \[1, 1\]: wanted 2, all different"):
        training.train_many([np.zeros((30, 1))] * 2, None, [1, 1])


def test_a_set_has_the_scores_of_summed_counts_for_each_seed():
    def row(name, seed, *counts):
        return table.Row(name, seed, 2, Counts(*counts) if counts else None)

    rows = [row("a", 0, 1, 0, 0), row("a", 1, 1, 1, 0)]
    rows += [row("b", 0, 0, 3, 1), row("b", 1, 1, 0, 0), row("c", 0), row("c", 1)]
    said = table.lines(rows, Rules())
    assert [x.split() for x in said[1:4]] == [
        ["a", "4", "2", "1", "0"],
        ["b", "4", "1", "3", "1"],
        ["c", "4"],
    ]
    # Sums are (1, 3, 1) and (2, 1, 0): F1 2 / 6 and 4 / 5.
    assert said[4] == "F1 0.567, standard deviation 0.330 (0.333 0.800)"
    plain = table.lines([row("c", 0)], Rules())
    assert len(plain) == 3 and "protocol" not in plain[-1]


def test_a_table_has_empty_cells_where_scores_are_undefined(tmp_path):
    rows = [table.Row("a", 0, 0, Counts(0, 0, 0)), table.Row("b", 0, 1, None)]
    table.write(tmp_path / "t.csv", rows)
    head, a, b = (tmp_path / "t.csv").read_text().splitlines()
    assert head == "signal,seed,anomalies,tp,fp,fn,f1,precision,recall"
    assert (a, b) == ("a,0,0,0,0,0,,,", "b,0,1")
