"""R-precision: found by angles alone, chance, and the negative control."""

import numpy as np
import pytest

from gans.metrics.scores.retrieval import r_precision


def test_own_sentences_are_found_by_their_angle():
    random = np.random.default_rng(0)
    sentences = random.normal(size=(200, 16))
    own = random.integers(200, size=500)
    lengths = random.uniform(0.1, 10, (500, 1))
    images = lengths * sentences[own] + 0.01 * random.normal(size=(500, 16))
    assert r_precision(images, sentences, own, 100).all()
    # Negative control: those of others.
    assert r_precision(images, sentences, (own + 1) % 200, 100).mean() < 0.05


def test_by_chance_they_are_one_in_so_many():
    random = np.random.default_rng(0)
    images, sentences = random.normal(size=(4000, 8)), random.normal(size=(50, 8))
    found = r_precision(images, sentences, random.integers(50, size=4000), 10)
    # Of a tenth of 4000, the standard error is 0.0047.
    assert abs(found.mean() - 0.1) < 0.02
    tied = r_precision(images[:9], np.ones((50, 8)), np.arange(9), 10)
    assert not tied.any()  # a tie is no find


def test_more_candidates_than_sentences_are_refused():
    x = np.eye(3)
    with pytest.raises(ValueError, match="candidates=4: wanted 2 to 3, all sentences"):
        r_precision(x, x, np.arange(3), 4)
