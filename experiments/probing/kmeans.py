"""Features of one layer of K-means (Coates, Lee and Ng, AISTATS 2011).

Patches of 6x6 pixels, each normalised to mean 0 and variance 1 (10 is added to the
variance, of levels 0 to 255) and whitened by ZCA; K centroids; activations "K-means
(triangle)", max(0, mean distance - distance); their sums over the four quadrants.

Deviations: K-means in mini-batches; 400 centroids, where the paper goes up to 4,000.
"""

from __future__ import annotations

import dataclasses
import warnings

import numpy as np

PATCH, CENTROIDS, N_PATCHES = 6, 400, 50_000
_ADDED, _WHITENING = 10.0, 0.1
_BATCH = 64  # images encoded at once


@dataclasses.dataclass(frozen=True, eq=False)
class KMeans:
    """What was learnt of patches [P]: their mean [P], the whitening [P, P], [K, P]."""

    mean: np.ndarray
    whitening: np.ndarray
    centroids: np.ndarray

    def features(self, images: np.ndarray) -> np.ndarray:
        """uint8 [N, H, W, C] -> float32 [N, 4 K]."""
        starts = range(0, len(images), _BATCH)
        return np.concatenate([self._encoded(images[i : i + _BATCH]) for i in starts])

    def _encoded(self, images):
        patches = _patches(images)  # [n, h, w, P]
        x = (_normalised(patches) - self.mean) @ self.whitening
        squares = (x**2).sum(-1, keepdims=True) + (self.centroids**2).sum(1)
        distance = np.sqrt(np.maximum(squares - 2 * x @ self.centroids.T, 0))
        active = np.maximum(distance.mean(-1, keepdims=True) - distance, 0)
        h, w = active.shape[1] // 2, active.shape[2] // 2
        quadrants = [
            active[:, rows, columns].sum((1, 2))
            for rows in (slice(None, h), slice(h, None))
            for columns in (slice(None, w), slice(w, None))
        ]
        return np.concatenate(quadrants, 1).astype(np.float32)


def learn(images: np.ndarray, seed: int = 0, n_centroids: int = CENTROIDS) -> KMeans:
    """Returns the features learnt of images uint8 [N, H, W, C], without labels.

    Raises ValueError for images smaller than a patch and its neighbour.
    """
    from sklearn.cluster import MiniBatchKMeans  # takes a second to import

    if min(images.shape[1:3]) <= PATCH:
        raise ValueError(
            f"K-means features: images of {images.shape[2]}x{images.shape[1]} pixels; "
            f"wanted at least {PATCH + 1}"
        )
    random = np.random.default_rng(seed)
    chosen = images[random.integers(len(images), size=N_PATCHES)]
    rows, columns = (random.integers(n - PATCH + 1, size=N_PATCHES) for n in
                     images.shape[1:3])  # fmt: skip
    y, x = np.indices((PATCH, PATCH))
    at = np.arange(N_PATCHES)[:, None, None]
    patches = chosen[at, rows[:, None, None] + y, columns[:, None, None] + x]
    patches = _normalised(patches.reshape(N_PATCHES, -1))
    mean = patches.mean(0)
    values, vectors = np.linalg.eigh(np.cov(patches, rowvar=False))
    scale = (values + _WHITENING) ** -0.5
    whitening = ((vectors * scale) @ vectors.T).astype(np.float32)
    kmeans = MiniBatchKMeans(n_centroids, random_state=seed, n_init=1, max_iter=20)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of centroids that are alike
        kmeans.fit((patches - mean) @ whitening)
    return KMeans(mean, whitening, kmeans.cluster_centers_.astype(np.float32))


def _normalised(patches):
    x = patches.astype(np.float32)
    x = x - x.mean(-1, keepdims=True)
    return x / np.sqrt(x.var(-1, keepdims=True) + _ADDED)


def _patches(images):
    """All patches [n, h, w, P] of images [n, H, W, C], in the order of `learn`."""
    views = np.lib.stride_tricks.sliding_window_view(images, (PATCH, PATCH), (1, 2))
    views = np.moveaxis(views, 3, -1)  # [n, h, w, PATCH, PATCH, C]
    return views.reshape(*views.shape[:3], -1)
