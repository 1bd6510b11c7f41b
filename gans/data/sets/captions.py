"""Pictures with sentences: `captions:PATH`, and digits in words, `captions:digits`."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from PIL import Image

from gans.data import altered, captioned, reading, sentences, tree, wording
from gans.data.captioned import Captioned
from gans.data.notes import note
from gans.data.sets import NoSplit, expanded, options
from gans.data.sets.folder import OPTIONS, reader
from gans.data.source import InMemory, Streamed, hold
from gans.data.spec import Field

NAMES = ("captions:PATH",)
SEEDED = False
DIGITS = "digits"
MOST_WORDS, MOST_SENTENCES = 32, 16


def load(
    argument: str,
    *,
    resolution: int | None = None,
    channels: int | None = None,
    split: str = "train",
    skip_corrupt: bool = False,
    **_unused,
) -> InMemory | Streamed:
    """Pictures `image` uint8 [R, R, C] and their sentences `caption` int32 [K, T].

    PATH is a folder of pictures with a .txt beside each, a sentence a line; or a table,
    or a folder with captions.csv (.tsv, .json, .jsonl), with the columns `file` and
    `caption`, and perhaps `split`. Without the column, the pictures are strips of
    squares NAME_00.png, NAME_01.png ... beside the table, square i of row i.
    `gans.data.captioned` has all names of columns. Splits of a folder are its
    sub-folders train and test. Pictures are read as those of `folder:PATH`, with its
    options.

    The words are those of the training set. Others are left out of what is said of test
    pictures, which is noted. At most 16 sentences of 32 words are kept of a picture.

    "PATH:embeddings=FILE.npy" has vectors, float [N, K, D] in the order of the
    pictures, in place of words: the field `embedding` [K, D].

    "digits" has scikit-learn's digits, with sentences such as "a large thin three,
    slanted to the left" (see `gans.data.sentences`), and their `label`.

    Raises FileNotFoundError and ValueError for what cannot be read, NoSplit for a split
    that is not there, OptionWanted where another `resolution` or `skip_corrupt` is the
    answer.
    """
    if argument == DIGITS:
        return _digits(resolution or 32, channels or 1, split)
    name = f"captions:{argument}"
    path, given = options(name, argument, {**OPTIONS, "embeddings": ()})
    every = captioned.find(name, path)
    rows = _split(name, every, split)
    if "embeddings" in given:
        field, texts = _embeddings(name, path, given["embeddings"], len(every))
        texts = texts[rows]
    else:
        train = [every[i] for i in _split(name, every, "train")]
        field, known = _vocabulary(name, train)
        texts = _numbered(name, [every[i] for i in rows], known, field, split)
        rows = rows[texts[:, 0, 0] > 0]
        texts = texts[texts[:, 0, 0] > 0]
    read = reader(name, resolution, channels, given)
    reading.check_pixels([every[i].path for i in rows[:100]], read)
    picture = _Pictures(read)
    lost = {}
    if skip_corrupt:
        intact = reading.intact([every[i] for i in rows], picture, name)
        lost["corrupt"] = len(rows) - len(intact)
        rows, texts = rows[intact], texts[intact]
    files = [every[i] for i in rows]
    if not files:
        raise ValueError(f"{name}: no picture of the split {split!r} has a known word")
    paths = sorted({x.path for x in files})
    whole = files[0].place is None
    if not resolution and not whole:
        resolution = picture(files[0]).shape[0]
    size = (resolution,) * 2 if resolution else reading.common_size(paths, read)
    text = "embedding" if "embeddings" in given else "caption"
    spec = {"image": Field("image", (*size, read.channels), "uint8"), text: field}

    def take(indices: np.ndarray) -> dict[str, np.ndarray]:
        images = np.stack([picture(files[i]) for i in indices])
        return {"image": images, text: texts[indices]}

    @functools.cache
    def changed() -> dict[str, Any]:
        own = {key: x for key, x in lost.items() if x}
        return own | (altered.of_files(paths, read) if whole else {})

    return hold(Streamed(name, take, len(files), spec, changed))


def attributes(argument: str) -> Callable[[np.ndarray], dict[str, np.ndarray]] | None:
    """Returns what tells words that are true of pictures, or None for other sets.

    It is uint8 [N, H, W, C] -> {"size": words [N], ...}.
    """
    if argument != DIGITS:
        return None
    return lambda images: sentences.words_of(
        sentences.measured(np.asarray(images).mean(-1))
    )


class _Pictures:
    """A picture of a file, or a square of a strip, as uint8 [R, R, C]."""

    def __init__(self, read: reading.Reader):
        self._read = read
        self._strip = functools.lru_cache(maxsize=2)(self._opened)

    def _opened(self, path: str) -> np.ndarray:
        with self._read.reading(path) as image:
            return np.asarray(image.convert("RGB"))

    def __call__(self, one: Captioned) -> np.ndarray:
        if one.place is None:
            return self._read(one.path)
        strip = self._strip(one.path)
        side = strip.shape[1]
        square = strip[one.place * side : (one.place + 1) * side]
        return self._read.fit(Image.fromarray(square))


def _split(name: str, every: Sequence[Captioned], split: str) -> np.ndarray:
    """The rows of a split; all are "train" where none is said of any."""
    said = {x.split for x in every}
    known = tree.splits(said - {""})
    if not {"train", "test"} & known.keys():  # such as folders of subjects
        known = {"train": None}
    if split not in known:
        raise NoSplit(f"{name} has no split {split!r}, only {', '.join(known)}")
    rows = [i for i, x in enumerate(every) if known[split] in (None, x.split)]
    return np.array(rows, int)


def _vocabulary(name: str, train: Sequence[Captioned]) -> tuple[Field, dict[str, int]]:
    """The field of the training's sentences, and {word: its number}."""
    split = [[wording.words(text) for text in x.captions] for x in train]
    split = [[x for x in own if x] for own in split]
    longest = max((len(x) for own in split for x in own), default=0)
    most = max(map(len, split), default=0)
    if not longest:
        raise ValueError(f"{name}: there is no word in any sentence")
    if longest > MOST_WORDS or most > MOST_SENTENCES:
        note(
            f"{name}: up to {most} sentences of up to {longest} words; kept are "
            f"{MOST_SENTENCES} of {MOST_WORDS} at most"
        )
    found = ("", *sorted({word for own in split for x in own for word in x}))
    shape = (min(most, MOST_SENTENCES), min(longest, MOST_WORDS))
    field = Field("captions", shape, "int32", len(found), found)
    return field, {word: i for i, word in enumerate(found) if i}


def _numbered(name, rows, known, field, split) -> np.ndarray:
    """The sentences int32 [N, K, T] of a split; says which words are not known."""
    words = [[wording.words(text) for text in x.captions] for x in rows]
    strange = sorted({w for own in words for x in own for w in x} - known.keys())
    if strange:
        some = ", ".join(strange[:8]) + (", ..." if len(strange) > 8 else "")
        note(
            f"{name}: {len(strange)} words of the split {split!r} are not in the "
            f"training set, and left out: {some}"
        )
    tokens = wording.numbered(words, known, field.shape)
    without = int((tokens[:, 0, 0] == 0).sum())
    if without:
        note(f"{name}: {without} pictures without a known word are left out")
    return tokens


def _embeddings(name, path, file, n) -> tuple[Field, np.ndarray]:
    root = expanded(path)
    root = root if os.path.isdir(root) else os.path.dirname(root)
    try:
        found = np.load(os.path.join(root, file), allow_pickle=False)
    except Exception as error:
        raise ValueError(f"{name}: {file} is not a readable .npy: {error}") from None
    found = np.asarray(found)
    found = found[:, None] if found.ndim == 2 else found
    if found.ndim != 3 or len(found) != n or found.dtype.kind != "f":
        raise ValueError(
            f"{name}: {file} is {found.dtype} {[*found.shape]}; wanted floats "
            f"[{n}, K, D], a row for each picture"
        )
    if not np.isfinite(found).all():
        raise ValueError(f"{name}: {file} has values that are not finite")
    found = found.astype(np.float32)
    return Field("embeddings", found.shape[1:], "float32"), found


@functools.lru_cache(maxsize=4)
def _digits(resolution: int, channels: int, split: str) -> InMemory:
    if split not in sentences.TEMPLATES:
        known = ", ".join(sentences.TEMPLATES)
        raise NoSplit(f"captions:digits has no split {split!r}, only {known}")
    # scikit-learn takes a second to import: only who asks for digits waits for it.
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    raw, seed = load_digits(), list(sentences.TEMPLATES).index(split)
    rows = train_test_split(
        np.arange(len(raw.target)), test_size=0.2, stratify=raw.target, random_state=0
    )[seed]
    images = sentences.draw(raw.images[rows], resolution, seed)
    digit = np.repeat(raw.target[rows], sentences.DRAWN)
    values = sentences.measured(images)
    said = sentences.words_of(values)
    kept = sentences.clear(values)
    kept &= sentences.held_out(digit, said) == (split == "test")
    said = {name: x[kept] for name, x in said.items()}
    found = sentences.written(digit[kept], said, split, seed)
    field, known = sentences.vocabulary()
    words = [[wording.words(text) for text in own] for own in found]
    arrays = {
        "image": np.repeat(images[kept][..., None], channels, axis=-1),
        "caption": wording.numbered(words, known, field.shape),
        "label": digit[kept].astype(np.int32),
    }
    label = Field("label", (), "int32", 10, tuple(sentences.DIGITS))
    image = Field("image", arrays["image"].shape[1:], "uint8")
    spec = {"image": image, "caption": field, "label": label}
    return InMemory("captions:digits", arrays, spec)
