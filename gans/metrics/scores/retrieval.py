"""Whether an image finds its own sentence again, among others."""

import numpy as np


def r_precision(
    images: np.ndarray,
    sentences: np.ndarray,
    own: np.ndarray,
    candidates: int,
    seed: int = 0,
) -> np.ndarray:
    """Which images are nearest to their own sentence, of so many candidates.

    The R-precision of AttnGAN (arXiv 1711.10485, section 4), with R = 1: by the cosine
    of the angle, its own sentence is nearer than each of those drawn at random.

    Args:
      images: [N, D]; sentences: [M, D], all different.
      own: int [N], the sentence of each image.
      candidates: how many sentences each is compared with, its own included.
      seed: of the others.

    Returns: bool [N]. By chance they are one in `candidates`. Raises ValueError for
    fewer sentences than candidates.
    """
    n = len(sentences)
    if not 2 <= candidates <= n:
        raise ValueError(f"candidates={candidates}: wanted 2 to {n}, all sentences")
    scores = _unit(images) @ _unit(sentences).T
    random, found = np.random.default_rng(seed), np.empty(len(images), bool)
    for i, (row, right) in enumerate(zip(scores, own, strict=True)):
        others = random.permutation(n - 1)[: candidates - 1]
        others = others + (others >= right)
        found[i] = row[right] > row[others].max()
    return found


def _unit(x):
    return x / np.maximum(np.linalg.norm(x, axis=-1, keepdims=True), 1e-12)
