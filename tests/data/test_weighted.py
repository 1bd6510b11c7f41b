"""Classes that are drawn more often: what an epoch holds, resuming, mistakes."""

import numpy as np
import pytest

from gans.data import pipeline
from gans.data.cropped import Cropped
from gans.data.source import InMemory, Streamed
from gans.data.weighted import Weighted

LABELS = np.array([0] * 6 + [1] * 2 + [2] * 5, np.int32)
WEIGHTS = (1.0, 2.5, 0.4)  # 6 rows, 5 rows, 2 rows


def labelled(shuffled=False):
    order = np.random.default_rng(0).permutation(13) if shuffled else np.arange(13)
    pixels = np.indices((13, 4, 4, 1), np.uint8)[0]
    return InMemory("x", {"image": pixels[order], "label": LABELS[order]})


def drawn(batches, steps):
    """(examples, labels) of some steps, one after the other."""
    window = batches.window(0, steps)
    return window["image"][..., 0, 0, 0].ravel(), window["label"].ravel()


@pytest.mark.parametrize("shuffled", [False, True])
def test_an_epoch_has_the_rows_that_the_weights_say(shuffled):
    batches = pipeline.batches(labelled(shuffled), 13, seed=3, weights=WEIGHTS)
    parts = []
    for epoch in range(20):
        batch = batches[epoch]
        assert np.bincount(batch["label"]).tolist() == [6, 5, 2]
        examples = batch["image"][:, 0, 0, 0]
        np.testing.assert_array_equal(LABELS[examples], batch["label"])
        counts = np.bincount(examples, minlength=13)
        assert (counts[:6] == 1).all()  # weight 1: each once
        assert set(counts[6:8]) == {2, 3}  # 2.5: each twice, one a third time
        parts.append(counts)
    chosen = np.sum(parts, 0)
    assert chosen[8:].min() > 0  # 0.4: other examples in other epochs
    assert chosen[6] > 42 and chosen[7] > 42


def test_batches_are_a_function_of_the_step_alone():
    whole = pipeline.batches(labelled(), 4, seed=3, weights=WEIGHTS)
    later = pipeline.batches(labelled(), 4, seed=3, weights=WEIGHTS)
    for name, x in later[9].items():
        np.testing.assert_array_equal(x, whole.window(5, 5)[name][4])
    halves = [
        pipeline.batches(labelled(), 4, seed=3, weights=WEIGHTS, shard=(i, 2))[9]
        for i in range(2)
    ]
    both = np.concatenate([half["image"] for half in halves])
    np.testing.assert_array_equal(both, whole[9]["image"])
    # The negative control: another seed draws others.
    other = pipeline.batches(labelled(), 4, seed=4, weights=WEIGHTS)
    assert (drawn(other, 9)[0] != drawn(whole, 9)[0]).any()


def test_weights_of_one_are_an_epoch_of_each_example_once():
    batches = pipeline.batches(labelled(), 13, seed=0, weights=(1, 1, 1))
    assert sorted(drawn(batches, 1)[0]) == [*range(13)]


def test_streamed_and_cropped_sources_are_weighted_too():
    source = labelled()
    streamed = Streamed("x", source.take, len(source), source.spec)
    one, other = (
        pipeline.batches(x, 13, seed=1, weights=(0, 1, 3)) for x in (source, streamed)
    )
    np.testing.assert_array_equal(drawn(one, 2)[0], drawn(other, 2)[0])
    assert set(drawn(other, 2)[1]) == {1, 2}  # weight 0: left out
    x, y = np.indices((4, 4), np.uint8)
    places = np.broadcast_to((4 * x + y)[None, ..., None], (13, 4, 4, 1))
    cropped = Cropped(InMemory("x", {"image": places, "label": LABELS}), 2)
    batches = pipeline.batches(cropped, 13, seed=1, weights=(1, 1.5, 2))
    corners = [set(batches[i]["image"][:, 0, 0, 0]) for i in range(4)]
    assert set.union(*corners) == {0, 1, 2, 4, 5, 6, 8, 9, 10}


def test_what_an_epoch_is_can_be_said():
    found = Weighted(labelled(), WEIGHTS).epoch()
    assert found["rows"] == 13 and found["of_classes"] == [6, 5, 2]
    assert found["examples_of_classes"] == [6, 2, 5]


@pytest.mark.parametrize(
    "weights, said",
    [
        ((1, 1), "2 weights, but x has 3 classes"),
        ((1, -1, 1), "wanted numbers of at least 0"),
        ((1, float("nan"), 1), "wanted numbers of at least 0"),
        ((0, 0, 0), "some leave examples"),
    ],
)
def test_mistakes(weights, said):
    with pytest.raises(ValueError, match=said):
        Weighted(labelled(), weights)
    with pytest.raises(ValueError, match="has no labels"):
        Weighted(InMemory("x", {"image": np.zeros((2, 4, 4, 1), np.uint8)}), (1,))
