"""Directions in W: closed-form factors of the styles, and what labels differ by."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np


def closed_form(affines: Iterable[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Returns (values [w_dim], directions [w_dim, w_dim]) of affine weights, SeFa.

    Shen and Zhou, arXiv 2007.06600, equation 5. A direction, a row of length 1, is one
    along which the styles of all layers change most, then most across the earlier ones:
    the eigenvectors of A A^T, where A [w_dim, all channels] has the weights of all
    layers side by side, each channel scaled to length 1. The eigenvalues fall; the
    authors' code does not sort them. The sign is free: the largest number is positive.

    affines: [w_dim, C] each, of the layers in question. In float64.
    """
    a = np.concatenate([np.asarray(x, np.float64) for x in affines], axis=1)
    a = a / np.linalg.norm(a, axis=0, keepdims=True)
    values, vectors = np.linalg.eigh(a @ a.T)
    return values[::-1], _signed(vectors[:, ::-1].T)


def _signed(vectors):
    largest = np.abs(vectors).argmax(1)[:, None]
    return vectors * np.sign(np.take_along_axis(vectors, largest, axis=1))


def between_classes(w: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Returns the direction [w_dim], of length 1, from those outside to those inside.

    It is the normal of the plane that separates them best, if both scatter alike about
    their means: Fisher's linear discriminant. InterFaceGAN (arXiv 1907.10786) takes the
    normal of a linear SVM, which has a parameter to be chosen.

    w: [N, w_dim]. inside: [N], which have the label. Raises ValueError if all or none
    have it.
    """
    w, inside = np.asarray(w, np.float64), np.asarray(inside, bool)
    if inside.all() or not inside.any():
        raise ValueError("all samples have the label, or none")
    means = w[inside].mean(0), w[~inside].mean(0)
    centred = np.where(inside[:, None], w - means[0], w - means[1])
    scatter = centred.T @ centred / len(w)
    # Dimensions without any scatter are left out, as they would be divided by zero.
    values, vectors = np.linalg.eigh(scatter)
    kept = values > 1e-6 * values[-1]
    along = vectors[:, kept]
    normal = along @ ((along.T @ (means[0] - means[1])) / values[kept])
    return normal / np.linalg.norm(normal)


def accuracy(w: np.ndarray, inside: np.ndarray, direction: np.ndarray) -> float:
    """Returns the mean share of both sides [N] that a threshold along w tells right.

    w: [N, w_dim]; the threshold is in the middle of the two means. 0.5 is chance.
    """
    along = w @ direction
    middle = (along[inside].mean() + along[~inside].mean()) / 2
    right = (along > middle) == inside
    return float((right[inside].mean() + right[~inside].mean()) / 2)
