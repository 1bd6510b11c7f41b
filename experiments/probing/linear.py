"""A linear classifier of features: what they say of classes without further layers."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

C = (1e-3, 1e-2, 1e-1, 1.0, 10.0)
FOLDS = 3
ITERATIONS, TOLERANCE = 300, 1e-3  # of liblinear
MOST = 1000  # examples on which C is chosen


class Found(NamedTuple):
    """The accuracy on test examples, and the C that was chosen."""

    accuracy: float
    c: float


class Scaled:
    """Features [N, D] brought to mean 0 and variance 1 over some rows, over sqrt(D).

    So rows have length 1 on average, and the same C fit features of any number.
    """

    def __init__(self, x: np.ndarray):
        self.mean = x.mean(0, dtype=np.float64)
        deviation = x.std(0, dtype=np.float64)
        self.scale = np.where(deviation > 0, deviation, 1) * np.sqrt(x.shape[1])

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """[N, D] -> float64 [N, D]."""
        return (x - self.mean) / self.scale


def accuracy(
    train: tuple[np.ndarray, np.ndarray],
    test: tuple[np.ndarray, np.ndarray],
    seed: int = 0,
    cs: Sequence[float] = C,
) -> Found:
    """Learns (features [N, D], labels [N]) and returns how often it is right on others.

    A linear L2-SVM (squared hinge), one class against all others, by liblinear. C is
    chosen by cross-validation, in 3 folds of at most 1,000 training examples; the mean
    of the three is compared, and of equal ones the smaller C is taken. Where a class
    has one example alone, C is 1.
    """
    from sklearn.model_selection import StratifiedKFold, train_test_split

    x, y = train
    scaled = Scaled(x)
    x, of_test = scaled(x), scaled(test[0])
    if x.shape[0] < x.shape[1]:
        # The weights lie in the span of the examples: as many coordinates are enough,
        # for the same result in a fraction of the time.
        basis, coordinates = np.linalg.qr(x.T)
        x, of_test = coordinates.T, of_test @ basis
    counts = np.bincount(y)
    folds = min(FOLDS, int(counts[counts > 0].min()))
    best = 1.0
    if folds > 1:
        some = np.arange(len(y))
        if len(y) > MOST:
            try:
                some, _ = train_test_split(
                    some, train_size=MOST, stratify=y, random_state=seed
                )
            except ValueError:  # a class is too rare for that
                some = np.random.default_rng(seed).permutation(len(y))[:MOST]
        parts = StratifiedKFold(folds, shuffle=True, random_state=seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of folds without a rare class
            rows = [*parts.split(some, y[some])]
        means = [
            np.mean([
                _right(x[some[a]], y[some[a]], x[some[b]], y[some[b]], c, seed)
                for a, b in rows
            ])
            for c in cs
        ]  # fmt: skip
        best = cs[int(np.argmax(means))]
    return Found(_right(x, y, of_test, test[1], best, seed), float(best))


def _right(x, y, of_test, labels, c, seed):
    from sklearn.svm import LinearSVC  # takes a second to import

    given = {"max_iter": ITERATIONS, "tol": TOLERANCE, "random_state": seed}
    machine = LinearSVC(C=c, dual=True, **given)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of iterations that are not enough
        machine.fit(x, y)
    return float(np.mean(machine.predict(of_test) == labels))
