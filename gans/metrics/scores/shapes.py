"""Distances of shapes, and how well a set of shapes covers another.

Coverage and minimum matching distance are those of P. Achlioptas et al. (arXiv
1707.02392, section 3), of voxels in place of points.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

CHUNK = 256  # shapes at a time


def chamfer(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Chamfer distances of shapes a, bool [N, D, H, W], and b [M, D, H, W]: [N, M].

    How far a voxel of one is from the nearest of the other, on average, plus the same
    in the other direction, halved; in voxels. From a shape without voxels everything is
    as far as the diagonal; two of them are equal.
    """
    there = _far(a, b)
    back = there if a is b else _far(b, a)
    return (there + back.T) / 2


def overlap(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """1 - |a & b| / |a | b| of shapes, bool [N, D, H, W] and [M, D, H, W]: [N, M].

    Two shapes without voxels are equal.
    """
    a, b = (x.reshape(len(x), -1).astype(np.float32) for x in (a, b))
    both = a @ b.T
    either = a.sum(1)[:, None] + b.sum(1) - both
    return 1 - np.where(either > 0, both / np.maximum(either, 1), 1)


DISTANCES = {"chamfer": chamfer, "overlap": overlap}


def coverage(distances: np.ndarray) -> float:
    """The share of references that are the nearest to at least one sample.

    distances: [N samples, M references].
    """
    return len(np.unique(distances.argmin(1))) / distances.shape[1]


def matching(distances: np.ndarray) -> tuple[float, float]:
    """The mean distance of references from the nearest sample, and its standard error.

    distances: [N samples, M references].
    """
    nearest = distances.min(0)
    return float(nearest.mean()), float(nearest.std() / np.sqrt(len(nearest)))


def _far(a, b):
    """The mean distance of the voxels of each of a from those of each of b: [N, M]."""
    diagonal = float(np.linalg.norm(a.shape[1:]))
    flat = a.reshape(len(a), -1).astype(np.float32)
    counts = flat.sum(1)
    found = np.empty((len(a), len(b)), np.float32)
    for i in range(0, len(b), CHUNK):
        part = np.stack([_field(x, diagonal) for x in b[i : i + CHUNK]])
        found[:, i : i + CHUNK] = flat @ part.reshape(len(part), -1).T
    empty = counts == 0
    found /= np.maximum(counts, 1)[:, None]
    if empty.any():
        found[empty] = np.where(b.any((1, 2, 3)), diagonal, 0)
    return found


def _field(x, diagonal):
    """How far each voxel is from the nearest that is occupied [D, H, W]."""
    if not x.any():
        return np.full(x.shape, diagonal, np.float32)
    return ndimage.distance_transform_edt(~x).astype(np.float32)
