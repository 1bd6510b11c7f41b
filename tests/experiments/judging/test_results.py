"""Figures of simulated participants, whose true rates are known."""

import json
from functools import partial

import numpy as np
import pytest
from scipy import stats

from experiments.judging import answers, rates, results
from experiments.judging import design as designs
from experiments.judging.answers import Answer, Key, Participant, read, read_key

MODELS = ("a", "b")
TRUE = {"a": 0.4, "b": 0.2, "real": 0.1, "catch": 0.0}


def study(task, trials=20):
    design = designs.make(task, MODELS, trials=trials, catches=4, seconds=1.0, seed=0)
    return Key("abc", design, {"models": [*MODELS]})


def answered(key, name, rng, true=TRUE):
    """The file of a participant who errs as often as `true` says."""
    design, given = key.design, []
    for part, blocks in enumerate(design.parts):
        for trial in (trial for block in blocks for trial in block):
            sources = [design.pictures[i] for i in trial]
            kind = next((x for x in sources if x != "real"), "real")
            wrong = rng.random() < true[kind]
            if design.task == "choice":
                real = trial[sources.index("real")]
                chosen = next(i for i in trial if (i != real) == wrong)
            else:
                chosen = trial[0] if (kind == "real") != wrong else None
            shown = [*trial][:: rng.choice([1, -1])]
            given.append({"part": part, "pictures": shown, "real": chosen})
            given[-1]["asked_ms"] = 200.0 + 10 * rng.integers(3)
    return {"study": key.study, "participant": name, "answers": given}


def write(folder, key, n, seed=0, **options):
    rng, paths = np.random.default_rng(seed), []
    for i in range(n):
        paths.append(folder / f"{i}.json")
        paths[-1].write_text(json.dumps(answered(key, f"p{i}", rng, **options)))
    return paths


@pytest.mark.parametrize("task", designs.TASKS)
def test_rates_of_known_participants(task, tmp_path):
    key = study(task, trials=60)
    report = results.of(key, read(write(tmp_path, key, 8), key))
    found = report["results"]
    for model in MODELS:
        value = found[model]["fooled"]
        low, high = value["interval"]
        assert abs(value["value"] - TRUE[model]) < 0.06 and low < TRUE[model] < high
        assert len(value["by_participant"]) == 8
        if task != "choice":
            assert abs(found[model]["real_missed"]["value"] - 0.1) < 0.06
    if task == "single":
        assert abs(found["a"]["hype_infinity"]["value"] - (0.4 + 0.1) / 2) < 0.04
    if task == "staircase":
        assert 200 <= found["a"]["hype_time_ms"]["value"] <= 220
    else:
        (test,) = report["tests"]
        assert test["p"] == 2 / 2**8 and test["difference"] > 0.05
    table = results.table(report)
    assert table[2].startswith("| a | ") and any("a less b: " in x for x in table)
    json.dumps(report, allow_nan=False)


def test_few_participants(tmp_path):
    key = study("choice")
    found = results.of(key, read(write(tmp_path, key, 2), key))
    value = found["results"]["a"]["fooled"]
    assert value["method"] == rates.WILSON
    n = round(sum(20 * x for x in value["by_participant"]))
    # Wilson's formula, written out.
    z, p, m = stats.norm.ppf(0.975), n / 40, 40
    middle = (p + z**2 / (2 * m)) / (1 + z**2 / m)
    reach = z / (1 + z**2 / m) * (p * (1 - p) / m + z**2 / (4 * m**2)) ** 0.5
    np.testing.assert_allclose(value["interval"], [middle - reach, middle + reach])
    assert found["tests"][0]["p"] >= 0.5


def test_the_inattentive_and_who_stopped_are_left_out(tmp_path):
    key = study("choice")
    paths = write(tmp_path, key, 5)
    asleep = write(tmp_path, key, 1, true=TRUE | {"catch": 1.0})
    stopped = json.loads(paths[1].read_text())
    stopped["answers"] = stopped["answers"][:3]
    paths[1].write_text(json.dumps(stopped))
    found = results.of(key, read(asleep + paths[1:], key))
    assert found["left_out"] == {
        "p0": "0 of 4 catch trials right",
        "p1": "3 of 44 trials answered",
    }
    with pytest.raises(ValueError, match="no participant is left: p0: 0 of 4 catch"):
        results.of(key, read(asleep, key))


def test_a_test_of_signs():
    # 4 participants, all differences positive: 2 of 16 sign patterns are as extreme.
    assert rates.paired_p([3, 4, 5, 6], [1, 1, 1, 1]) == 2 / 16
    assert rates.paired_p([1, 2], [2, 1]) == 1
    assert rates.mode([100, 110, 110, 120, 120]) == 115


@pytest.mark.slow
def test_coverage_and_false_alarms():
    """Participants' own rates are Beta(4, 6), 50 trials each; 300 studies."""
    rng = np.random.default_rng(0)
    holds, wilson_holds, alarms, n, trials = 0, 0, 0, 10, 50
    for _ in range(300):
        own = rng.beta(4, 6, n)
        wrong, other = rng.binomial(trials, own), rng.binomial(trials, own)
        found = rates.rate(wrong, [trials] * n)
        holds += found.interval[0] <= 0.4 <= found.interval[1]
        low, high = stats.binomtest(int(wrong.sum()), n * trials).proportion_ci(
            method="wilson"
        )
        wilson_holds += low <= 0.4 <= high
        alarms += rates.paired_p(wrong, other) < 0.05
    assert found.method == rates.BOOTSTRAP
    assert 0.9 < holds / 300 < 0.99, holds / 300
    # That trials are not independent matters: the other interval holds far too seldom.
    assert wilson_holds / 300 < 0.7
    assert 0.015 < alarms / 300 < 0.085


# --- files that are no answers --------------------------------------------------------


@pytest.mark.parametrize(
    "change, said",
    [
        (lambda x: x | {"study": "xyz"}, "of the study xyz; the key is that of abc"),
        (lambda x: [], "no file of answers"),
        (lambda x: {"study": "abc"}, "damaged: KeyError: 'answers'"),
        (
            lambda x: x | {"answers": [x["answers"][0]] * 2},
            "a trial has two answers",
        ),
        (
            lambda x: x | {"answers": [x["answers"][0] | {"pictures": [0, 0]}]},
            "no trial of pictures",
        ),
        (
            lambda x: x | {"answers": [x["answers"][0] | {"real": 999}]},
            "picture 999 was not shown",
        ),
    ],
)
def test_files_that_are_no_answers(change, said, tmp_path):
    key = study("choice")
    (path,) = write(tmp_path, key, 1)
    path.write_text(json.dumps(change(json.loads(path.read_text()))))
    with pytest.raises(ValueError, match=f"0.json: .*{said}"):
        read([path], key)
    path.write_text("{")
    with pytest.raises(ValueError, match="0.json: not JSON"):
        read([path], key)


def test_files_and_folders(tmp_path):
    key = study("choice")
    paths = write(tmp_path, key, 2)
    assert answers.files([str(tmp_path)]) == paths
    assert answers.files([str(tmp_path / "?.json"), str(paths[0])]) == paths
    with pytest.raises(FileNotFoundError, match="--answers=.*nor folder of any"):
        answers.files([str(tmp_path / "x")])
    twice = [paths[0], tmp_path / "copy.json"]
    twice[1].write_text(paths[0].read_text())
    with pytest.raises(ValueError, match="0.json and .*copy.json are of one part"):
        read(twice, key)
    with pytest.raises(FileNotFoundError, match="--key=.*no such file"):
        read_key(tmp_path / "x.key.json")
    with pytest.raises(ValueError, match="no key of a study"):
        read_key(paths[0])


def test_answer_is_wrong_where_a_generated_picture_was_believed():
    made = partial(Answer, 0, asked_ms=None)
    one = Participant(
        "x", (made(("a",), wrong=True), made(("real",), wrong=False)), None
    )
    assert results._of("a", one.answers) == [True]
