"""Digits with sentences about them, which are true of each picture: `captions:digits`.

scikit-learn's digits (see `gans.data.sets.digits`) are drawn small and large, with thin
and thick strokes, slanted and upright. What a sentence says of this is measured in the
picture that was drawn, and those where it is hard to tell are left out.

Held out for the test set are a fifth of the digits, a fifth of the combinations of
digit, size, stroke and slant (with every word, and every pair of words, left in the
training set), and three of the templates of sentences, of the words of the others.
"""

from __future__ import annotations

import re

import numpy as np
from PIL import Image

from gans.data import wording
from gans.data.spec import Field

DIGITS = "zero one two three four five six seven eight nine".split()
# What is measured, with the words for it, from the least value to the largest.
WORDS = {
    "size": ("small", "large"),
    "stroke": ("thin", "thick"),
    "slant": ("left", "upright", "right"),
}
# Ends of the values that a word is used for: of the first, of the second ...
CLEAR = {
    "size": ((0.0, 0.62), (0.72, 1.0)),
    "stroke": ((0.0, 0.165), (0.195, 1.0)),
    "slant": ((-9.0, -0.25), (-0.13, 0.13), (0.25, 9.0)),
}
# How digits are drawn: height, share of the brightness that is ink, and shear.
HEIGHTS = ((0.5, 0.6), (0.74, 0.88))
LEVELS = ((0.6, 0.68), (0.25, 0.33))
SHEARS = ((-0.55, -0.35), (-0.1, 0.1), (0.35, 0.55))
DRAWN = 6  # pictures of each digit, before those that are hard to tell
N_SENTENCES, N_WORDS = 4, 16  # of a picture, of a sentence at most
CHUNK = 256  # pictures measured at a time
SLANTS = {
    "left": ("slanted to the left", "leaning left"),
    "right": ("slanted to the right", "leaning right"),
    "upright": ("upright", "upright"),
}
TEMPLATES = {
    "train": (
        "a {size} {stroke} {digit}, {slant}",
        "the digit {digit} is {size} and {stroke} and {slant}",
        "a {stroke} {digit}, {size} and {slant}",
        "a {size} {digit} with {stroke} strokes, {slant}",
        "a {size} {digit}",
        "a {stroke} {digit}, {slant}",
    ),
    "test": (
        "{slant}, a {stroke} and {size} {digit}",
        "a digit with {stroke} strokes, {slant}, the {size} {digit}",
        "{digit}, {size}, {stroke}, {slant}",
    ),
}


def draw(raw: np.ndarray, resolution: int, seed: int) -> np.ndarray:
    """Returns pictures uint8 [N * DRAWN, R, R] of digits [N, 8, 8] in 0..16.

    The i-th digit's come one after the other, from i * DRAWN on.
    """
    random = np.random.default_rng(seed)
    pictures = np.empty((len(raw) * DRAWN, resolution, resolution), np.uint8)
    for i, digit in enumerate(np.repeat(raw, DRAWN, axis=0)):
        height, level, shear = (
            random.uniform(*ends[random.integers(len(ends))])
            for ends in (HEIGHTS, LEVELS, SHEARS)
        )
        # A margin of two pixels, so that strokes end inside of what is drawn.
        ink = Image.fromarray(np.pad(digit / 16, 2).astype(np.float32))
        k = 8 / (height * resolution)  # pixels of the digit in one of the picture
        corner = 6 - k * resolution / 2
        at = (k, k * shear, corner - k * shear * resolution / 2, 0, k, corner)
        size = (resolution, resolution)
        found = ink.transform(
            size, Image.Transform.AFFINE, at, Image.Resampling.BICUBIC
        )
        sharp = (np.asarray(found) - level) / min(k, 0.5) + 0.5  # black outside
        pictures[i] = np.rint(255 * np.clip(sharp, 0, 1))
    return pictures


def measured(images: np.ndarray) -> dict[str, np.ndarray]:
    """Returns {"size", "stroke", "slant": [N]} of pictures uint8 [N, H, W], W = H.

    size: the height of the ink, as a share of the picture's. stroke: the mean width of
    strokes, twice the ink by the length of its edges, as a share of that height. slant:
    the shear of the ink's second moments, positive if it leans to the right. Pictures
    without ink are small, thin and upright.
    """
    parts = [images[i : i + CHUNK] for i in range(0, len(images), CHUNK)]
    found = [_measured(np.asarray(x, np.float32) / 255) for x in parts]
    return {name: np.concatenate([x[name] for x in found]) for name in WORDS}


def _measured(x):
    n, ink = x.shape[1], np.maximum(x.sum((1, 2)), 1e-6)
    places = np.arange(n, dtype=np.float32) - (n - 1) / 2
    height = np.maximum((x.max(2) > 0.5).sum(1), 1) / n
    by_row, by_column = x.sum(2), x.sum(1)
    y, across = by_row @ places / ink, by_column @ places / ink
    moment = by_row @ places**2 / ink - y**2
    mixed = (x @ places) @ places / ink - y * across
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1)))
    down, right = np.diff(padded, axis=1), np.diff(padded, axis=2)
    edges = np.hypot(down[:, :, :-1], right[:, :-1]).sum((1, 2))
    return {
        "size": height,
        "stroke": 2 * ink / (np.maximum(edges, 1e-6) * n * height),
        "slant": -mixed / np.maximum(moment, 1e-6),
    }


def words_of(values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Returns {"size", "stroke", "slant": words [N]} of what `measured` returns."""
    found = {}
    for name, ends in CLEAR.items():
        borders = [(a[1] + b[0]) / 2 for a, b in zip(ends, ends[1:], strict=False)]
        found[name] = np.array(WORDS[name])[np.searchsorted(borders, values[name])]
    return found


def clear(values: dict[str, np.ndarray]) -> np.ndarray:
    """Returns bool [N], whose values of `measured` are all well inside of a word's."""
    inside = [
        np.any([(a <= values[name]) & (values[name] <= b) for a, b in ends], axis=0)
        for name, ends in CLEAR.items()
    ]
    return np.all(inside, axis=0)


def held_out(digit: np.ndarray, said: dict[str, np.ndarray]) -> np.ndarray:
    """Returns bool [N], which combinations are those of the test set.

    digit: int [N]; said: as of `words_of`, [N] each.
    """
    size, stroke, slant = (
        np.select([said[name] == word for word in words], range(len(words)))
        for name, words in WORDS.items()
    )
    return (digit + size + 2 * stroke + slant) % 5 == 0


def written(
    digit: np.ndarray, said: dict[str, np.ndarray], split: str, seed: int
) -> list[list[str]]:
    """Returns the sentences of each picture, of different templates in random order.

    digit: int [N]; said: as of `words_of`, [N] each.
    """
    random, templates = np.random.default_rng(seed), TEMPLATES[split]
    found = []
    for i, number in enumerate(digit):
        words = {name: str(x[i]) for name, x in said.items()}
        order = random.permutation(len(templates))[:N_SENTENCES]
        ways = random.integers(2, size=len(order))
        found.append(
            [
                templates[t].format(
                    digit=DIGITS[number],
                    size=words["size"],
                    stroke=words["stroke"],
                    slant=SLANTS[words["slant"]][way],
                )
                for t, way in zip(order, ways, strict=True)
            ]
        )
    return found


def vocabulary() -> tuple[Field, dict[str, int]]:
    """Returns the field of these sentences, and {word: its number}."""
    every = [*DIGITS, *(word for words in WORDS.values() for word in words)]
    texts = [*TEMPLATES["train"], *TEMPLATES["test"]]
    every += [word for ways in SLANTS.values() for way in ways for word in way.split()]
    every += [w for text in texts for w in wording.words(re.sub("{.*?}", "", text))]
    names = ("", *sorted(set(every)))
    field = Field("captions", (N_SENTENCES, N_WORDS), "int32", len(names), names)
    return field, {word: i for i, word in enumerate(names) if i}
