"""Label maps as pictures: which class the colour of each pixel means, and how often
that is right."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

# Colours of the label maps of known data sets, in RGB, by class.
KNOWN = {
    # CMP Facade Database in the edition of pix2pix: MATLAB's jet(64), every fifth.
    "facades": {
        "background": (0, 0, 223),
        "facade": (0, 48, 255),
        "window": (0, 128, 255),
        "door": (0, 207, 255),
        "cornice": (32, 255, 223),
        "sill": (112, 255, 143),
        "balcony": (191, 255, 64),
        "blind": (255, 239, 0),
        "deco": (255, 159, 0),
        "molding": (255, 80, 0),
        "pillar": (255, 0, 0),
        "shop": (175, 0, 0),
    },
}
APART = 40.0  # levels: colours that are found lie at least so far from each other
NEAR, SHARE = 8.0, 0.001  # levels within which a colour has such a share of pixels,
PURE = 0.3  # and such a share of what lies nearer than APART; mixed ones are scattered
CANDIDATES = 512
PIXELS = 2**20  # that are looked at, at most


def nearest(x: Array, colours: Array) -> Array:
    """Returns the number of the nearest colour of each pixel, int32 [B, H, W].

    x: [B, H, W, C] in levels 0 .. 255. colours: [K, C]. Of equally near ones the first.
    """
    x, colours = jnp.asarray(x, jnp.float32), jnp.asarray(colours, jnp.float32)
    # |x|^2 is the same for all colours.
    far = (colours**2).sum(-1) - 2 * jnp.einsum(
        "bhwc,kc->bhwk", x, colours, precision=jax.lax.Precision.HIGHEST
    )
    return far.argmin(-1).astype(jnp.int32)


def distance(x: Array, colours: Array) -> Array:
    """Returns how far the pixels are from their nearest colours, on average [B].

    Arguments as for `nearest`.
    """
    x, colours = jnp.asarray(x, jnp.float32), jnp.asarray(colours, jnp.float32)
    return jnp.linalg.norm(x - colours[nearest(x, colours)], axis=-1).mean((1, 2))


def confusion(x: Array, y: Array, colours: Array) -> Array:
    """Returns how many pixels of each class of y have each class in x: [B, K, K].

    x, y: images [B, H, W, C] in levels; y are the real ones. Rows are y's classes.
    """
    k = len(colours)
    pairs = nearest(y, colours) * k + nearest(x, colours)
    counts = jax.vmap(lambda flat: jnp.bincount(flat, length=k * k))
    return counts(pairs.reshape(len(pairs), -1)).reshape(-1, k, k)


def measure(counts: np.ndarray) -> dict[str, float]:
    """Returns the scores of a confusion matrix [K, K] whose rows are real classes.

    {"pixel_accuracy", "class_accuracy": mean over the real classes, "class_iou": mean
    of intersection over union of the classes that are there on either side}, in [0, 1].
    """
    counts = np.asarray(counts, np.float64)
    right, real, made = counts.diagonal(), counts.sum(1), counts.sum(0)
    union = real + made - right
    return {
        "pixel_accuracy": float(right.sum() / counts.sum()),
        "class_accuracy": float((right[real > 0] / real[real > 0]).mean()),
        "class_iou": float((right[union > 0] / union[union > 0]).mean()),
    }


def found(images: np.ndarray) -> np.ndarray:
    """Returns the colours [K, C] that label maps uint8 [N, H, W, C] are painted in.

    Of the CANDIDATES most frequent ones, in this order, each that lies at least APART
    from those before, if there are, within NEAR of it, SHARE of the pixels and PURE of
    those nearer than APART.
    """
    flat = images.reshape(-1, images.shape[-1])
    if len(flat) > PIXELS:
        flat = flat[np.random.default_rng(0).integers(0, len(flat), PIXELS)]
    places = 256 ** np.arange(flat.shape[1])
    codes, counts = np.unique(flat.astype(np.int64) @ places, return_counts=True)
    colours, chosen = (codes[:, None] // places % 256).astype(np.float64), []
    for colour in colours[np.argsort(-counts, kind="stable")[:CANDIDATES]]:
        if all(np.linalg.norm(colour - other) >= APART for other in chosen):
            far = np.linalg.norm(colours - colour, axis=1)
            near, around = counts[far <= NEAR].sum(), counts[far < APART].sum()
            if near >= max(SHARE * len(flat), PURE * around):
                chosen.append(colour)
    return np.array(chosen)
