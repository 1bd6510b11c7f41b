"""Labelled images, and others that are held out: what a classifier learns."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import numpy as np

from gans import data
from gans.data.source import Source


@dataclasses.dataclass(frozen=True, eq=False)
class Labelled:
    """Images to train on, and others to test with, both with labels.

    Attributes:
      name: of the data.
      images, test_images: uint8 [N, H, W, C].
      labels, test_labels: int32 [N], in [0, n_classes).
      classes: the names of the classes.
      own_test: whether the set has a test split; if not, a fifth of it was held out.
    """

    name: str
    images: np.ndarray
    labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray
    classes: tuple[str, ...]
    own_test: bool

    @property
    def n_classes(self) -> int:
        return len(self.classes)

    def few(self, k: int, draw: int) -> np.ndarray:
        """Returns k rows to train on of each class, drawn at random by a number.

        Raises ValueError for a class that has fewer.
        """
        random, rows = np.random.default_rng((draw, k)), []
        for i, name in enumerate(self.classes):
            own = np.flatnonzero(self.labels == i)
            if len(own) < k:
                raise ValueError(
                    f"{self.name}: class {name} has {len(own)} examples to train on, "
                    f"fewer than {k}"
                )
            rows.append(random.permutation(own)[:k])
        return np.concatenate(rows)

    def protocol(self) -> dict[str, Any]:
        """Returns what it says of itself, as JSON."""
        return {
            "data": self.name,
            "n_train": len(self.labels),
            "n_test": len(self.test_labels),
            "test": "the test split" if self.own_test else "a fifth, held out",
            "image_shape": [*self.images.shape[1:]],
            "classes": [*self.classes],
        }


def split(source: Source, held_out: Source | None, seed: int = 0) -> tuple[Any, Any]:
    """Returns the examples to train on, in random order, and those to test with.

    held_out: the test split; without one a fifth of the source, drawn by the seed.
    """
    rows = np.random.default_rng(seed).permutation(len(source))
    n = len(rows) if held_out is not None else len(rows) * 4 // 5
    train = source.take(rows[:n])
    if held_out is None:
        return train, source.take(rows[n:])
    return train, held_out.take(np.arange(len(held_out)))


def load(
    name: str,
    shape: tuple[int, int, int],
    *,
    data_dir: str | None = None,
    seed: int = 0,
    n: int | None = None,
    place: str = "--data",
) -> Labelled:
    """Returns the labelled images that a name stands for, brought to a shape [H, W, C].

    Args:
      name: of `gans.data.load`.
      data_dir: of TFDS.
      seed: of the images that are held out, and of which are taken.
      n: so many to train on, and to test with, at most; None: all.
      place: the flag or key that named it, for errors.

    Raises ValueError for data without labels, of one class, or of another shape.
    """
    given = {"resolution": shape[0], "channels": shape[2], "data_dir": data_dir}
    read = functools.partial(data.load, name, **given)
    source, held_out = read(), data.held_out(read)
    spec, place = source.spec, f"{place}={name}"
    images = [x for x, field in spec.items() if field.kind == "image"]
    labels = [x for x, field in spec.items() if field.kind == "label"]
    if len(images) != 1 or len(labels) != 1 or spec[labels[0]].n_classes < 2:
        raise ValueError(
            f"{place} holds {', '.join(spec)}; wanted are one field of images and one "
            "of labels, of two classes or more"
        )
    (image,), (label,) = images, labels
    if spec[image].shape != tuple(shape):
        raise ValueError(
            f"{place} holds images of {list(spec[image].shape)}; wanted {list(shape)}, "
            "as the run has them"
        )
    train, test = split(source, held_out, seed)
    of_test = np.random.default_rng((seed, 1)).permutation(len(test[label]))[:n]
    field = spec[label]
    return Labelled(
        name,
        train[image][:n],
        train[label][:n],
        test[image][of_test],
        test[label][of_test],
        tuple(field.names or map(str, range(field.n_classes))),
        held_out is not None,
    )
