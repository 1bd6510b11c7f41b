"""The classes that samples of a conditional model are asked for."""

from __future__ import annotations

from typing import Any

import numpy as np

N_READ = 10_000  # labels of a set whose images are decoded with them


def labels_of(source: Any, field: str) -> np.ndarray:
    """Returns the labels of a source: all, [N], or N_READ where they are streamed."""
    arrays = getattr(source, "arrays", None)
    if arrays is not None:
        return np.asarray(arrays[field])
    rows = np.arange(source.length_of(field))
    if len(rows) > N_READ:
        rows = np.random.default_rng(0).permutation(rows)[:N_READ]
    parts = [rows[start : start + 256] for start in range(0, len(rows), 256)]
    return np.concatenate([source.take(part)[field] for part in parts])


def counts(source: Any, field: str) -> np.ndarray:
    """Returns how often each class is in the data [K], of a label field."""
    labels = labels_of(source, field)
    return np.bincount(labels, minlength=source.spec[field].n_classes or 0)


def in_shares(weights: np.ndarray, n: int) -> np.ndarray:
    """Returns n classes, int32, as frequent as their weights [K] say, evenly mixed.

    Each class is there n times its share, rounded by the largest remainders. Equal
    weights give the classes in turn; a class of weight 0 is never there.
    """
    exact = n * np.asarray(weights, np.float64) / np.sum(weights)
    times = np.floor(exact).astype(int)
    largest = np.argsort(times - exact, kind="stable")
    times[largest[: n - times.sum()]] += 1
    labels = np.repeat(np.arange(len(times), dtype=np.int32), times)
    # The j-th of a class that is there k times is due after (j + 1/2) / k of all.
    nth = np.arange(n) - np.repeat(np.cumsum(times) - times, times)
    due = (nth + 0.5) / np.repeat(times, times)
    # Rounded, so that what is due at once stays in the order of the classes.
    return labels[np.argsort(np.round(due, 9), kind="stable")]
