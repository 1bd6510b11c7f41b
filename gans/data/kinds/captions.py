"""Captions [K, T]: up to K sentences of one example, as numbers of words, int32.

Word 0 comes after the last word of a sentence, and a sentence of zeros alone is none:
those that there are come first. A field's `names` are its words, of which word 0 is "".
What a sentence says of a picture it is taken to say of its mirror image.
"""

from __future__ import annotations

import numpy as np

from gans.data.kinds import label
from gans.data.wording import words
from gans.names import nearest

AXES = ("K", "T")
DTYPES = label.DTYPES
RANGE = None
MIRRORED = False
PLACELESS = True
CLASSES = True
decode = label.decode
encode = label.encode
flip = label.flip


def of_text(field, text: str) -> np.ndarray:
    """Returns int32 [K, T] of a `gans.data.spec.Field`: one sentence.

    Raises ValueError for a text without words, for one that is too long, and for a word
    that the field does not have, with the nearest one.
    """
    found, longest = words(text), field.shape[1]
    if not found:
        raise ValueError(f"text {text!r} has no words")
    if field.names is None:
        raise ValueError(f"text {text!r}: the words of the data have no names")
    known = {word: i for i, word in enumerate(field.names)}
    for word in found:
        if word not in known:
            near = nearest(word, known)
            raise ValueError(
                f"text {text!r}: {word!r} is not one of the {len(known) - 1} words of "
                f"the training{near}"
            )
    if len(found) > longest:
        raise ValueError(
            f"text {text!r} has {len(found)} words; sentences of the training have "
            f"{longest} at most"
        )
    tokens = np.zeros(field.shape, np.int32)
    tokens[0, : len(found)] = [known[word] for word in found]
    return tokens


def text_of(field, x: np.ndarray) -> str:
    """Returns the first sentence of an example [K, T] as text."""
    names = field.names or [*map(str, range(field.n_classes))]
    return " ".join(names[i] for i in np.asarray(x)[0] if i)
