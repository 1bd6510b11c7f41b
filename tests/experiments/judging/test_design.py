"""Trials: each picture once, models balanced, sides too."""

import collections

import pytest

from experiments.judging import design as designs

MODELS = ("a", "b", "c")


def made(task, **options):
    given = {"trials": 8, "catches": 3, "seconds": 1.0, "seed": 0, **options}
    return designs.make(task, MODELS, **given)


@pytest.mark.parametrize(
    "task, n", [("choice", 8 * 3 + 3), ("single", 8 * 3 * 2 + 3), ("staircase", 33)]
)
def test_each_picture_is_shown_once(task, n):
    design = made(task)
    trials = [t for part in design.parts for block in part for t in block]
    assert len(trials) == design.n_trials == n
    shown = [i for trial in trials for i in trial]
    assert sorted(shown) == list(range(len(design.pictures)))
    assert designs.Design.of_json(design.as_json()) == design


def test_blocks_are_balanced():
    (blocks,) = made("choice").parts
    design, left = made("choice"), collections.Counter()
    for block in blocks:
        pairs = [[design.pictures[i] for i in trial] for trial in block]
        fakes = [next(x for x in pair if x != "real") for pair in pairs]
        assert sorted(x for x in fakes if x != "catch") == [*MODELS]
        assert all("real" in pair and len(pair) == 2 for pair in pairs)
        left.update(pair[0] for pair in pairs)
    assert [left[model] for model in MODELS] == [4, 4, 4]
    design = made("single")
    for block in design.parts[0]:
        shown = collections.Counter(design.pictures[i] for (i,) in block)
        assert shown["real"] == 3 and all(shown[model] == 1 for model in MODELS)


def test_a_staircase_is_of_one_model():
    design = made("staircase")
    for part, model in zip(design.parts, design.models, strict=True):
        shown = collections.Counter(design.pictures[i] for b in part for (i,) in b)
        assert shown == {model: 4, "real": 4, "catch": 3}
    with pytest.raises(ValueError, match="--trials=7: half"):
        made("staircase", trials=7)


def test_the_order_is_that_of_the_seed_alone():
    assert made("choice") == made("choice") != made("choice", seed=1)


def test_codes_are_veiled_and_there_only_where_they_are_needed():
    assert designs.codes(made("choice"), "x") == []
    design = made("staircase")
    codes = designs.codes(design, "abc")
    truth = [{"real": 0, "catch": 2}.get(x, 1) for x in design.pictures]
    assert codes != truth and designs.codes(design, "abd") != codes
    # The hash of "a" as Fowler, Noll and Vo publish it: e40c292c.
    assert designs._fnv1a("a") == 0xE40C292C ^ 0xE40C
