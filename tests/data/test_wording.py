"""Sentences as numbers of words."""

import numpy as np

from gans.data import wording


def test_sentences_of_words_that_are_not_known_are_none():
    known = {"a": 1, "cat": 2}
    said = [[["a", "cat"], ["dog"]], [["dog"], ["the", "cat", "a", "a"]]]
    found = wording.numbered(said, known, (2, 2))
    np.testing.assert_array_equal(found, [[[1, 2], [0, 0]], [[2, 1], [0, 0]]])
