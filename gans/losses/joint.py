"""Structured joint embedding of images and sentences (arXiv 1605.05395, 1605.05396)."""

import jax.numpy as jnp
from jax import Array


def structured(scores: Array, same: Array, margin: float = 1.0) -> Array:
    """The surrogate of equation 2 of arXiv 1605.05396, of one batch.

    Deviations: the mean over all others of the batch takes the place of the largest of
    the classes, and each pair is a class of its own.

    Args:
      scores: [B, B], of image i and sentence j.
      same: bool [B, B], whether sentence j is as true of image i as its own, which is
        then no mistake; the diagonal is.
      margin: by which the right ones should be ahead.

    Returns: [].
    """
    right, wrong = jnp.diagonal(scores), ~same
    n = jnp.maximum(wrong.sum(), 1)
    of_images = jnp.maximum(0, margin + scores - right[:, None])
    of_sentences = jnp.maximum(0, margin + scores - right[None])
    return jnp.sum(wrong * (of_images + of_sentences)) / n
