"""Sentences as numbers of words."""

from __future__ import annotations

import re
from collections.abc import Iterable

import numpy as np

_WORD = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)*")


def words(text: str) -> list[str]:
    """Returns the words of a text, in lower case, without punctuation."""
    return _WORD.findall(text.lower())


def numbered(
    sentences: Iterable[Iterable[list[str]]], known: dict[str, int], shape: tuple
) -> np.ndarray:
    """Returns int32 [N, K, T] of N examples of sentences, each a list of words.

    known: {word: its number}; other words are left out, and sentences of them alone.
    shape: (K, T), to which both are cut.
    """
    k, t = shape
    rows = [list(x) for x in sentences]
    tokens = np.zeros((len(rows), k, t), np.int32)
    for row, own in zip(tokens, rows, strict=True):
        kept = [[known[word] for word in x if word in known][:t] for x in own]
        for place, numbers in zip(row, filter(None, kept), strict=False):
            place[: len(numbers)] = numbers
    return tokens
