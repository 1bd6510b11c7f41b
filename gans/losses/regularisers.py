"""Regularisers of logits, of samples and of parameters, without their weights.

Those of examples return one number per example; the caller takes the mean.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax import Array


def lecam(
    on_real: Array, on_fake: Array, mean_real: Array, mean_fake: Array
) -> tuple[Array, Array]:
    """Squared distance of each side's logits from the other side's running mean.

    Equation 3 of arXiv 2104.03310 (weight 0.3 for BigGAN on CIFAR, decay 0.99 of the
    means). Deviation from the authors' code, which lets distances count only where a
    logit is on its own side of the other's mean: here, as in the paper, all do.

    Args: on_real [B], on_fake [B]; mean_real [], mean_fake [], constants.
    Returns: of the real and of the fake, each [B] float32; their means are added.
    """
    on_real, on_fake = _wide(on_real), _wide(on_fake)
    return (on_real - mean_fake) ** 2, (on_fake - mean_real) ** 2


def consistency(logits: Array, augmented: Array) -> Array:
    """Squared difference of logits [B] of examples and of the same, augmented.

    CR-GAN, arXiv 1910.12027 (weight 10; its experiments too regularise the last layer
    alone): real images, and the same flipped and shifted. Of generated ones too: bCR,
    arXiv 2002.04724, algorithm 1 (weights 10). Of generated ones of nearby latents:
    zCR, algorithm 2 there (weight 5). Gradients flow through both.
    Returns: [B] float32.
    """
    return (_wide(logits) - _wide(augmented)) ** 2


def latent_diversity(fake: Array, neighbours: Array) -> Array:
    """Minus the squared distance of G(z) and G(z + noise), both [B, ...].

    The generator's side of zCR, arXiv 2002.04724, algorithm 2 (weight 0.5): nearby
    latents are not to give the same image. The distance is the Euclidean one, over all
    axes of an example, so it has no bound. Returns: [B] float32.
    """
    squares = jnp.square(_wide(fake) - _wide(neighbours))
    return -jnp.sum(squares.reshape(len(fake), -1), axis=1)


def orthogonal(params: Any, *, off_diagonal: bool = True) -> Array:
    """Sum over kernels of |W^T W - I|^2 (Frobenius), diagonals left out by default.

    Without the diagonal: section 3.1 of arXiv 1809.11096 (weight 1e-4), which leaves
    the columns' lengths alone; with it: what that section makes of arXiv 1609.07093,
    where absolute values are summed. A kernel [..., O] counts as the matrix
    W [everything else, O], and so does every other array of two axes or more, tables
    of embeddings too; arrays of fewer do not. Returns: [] float32.
    """
    total = jnp.zeros(())
    for kernel in jax.tree.leaves(params):
        if kernel.ndim < 2:
            continue
        w = _wide(kernel.reshape(-1, kernel.shape[-1]))
        n_rows, n_columns = w.shape
        if n_rows < n_columns:
            # |W^T W| = |W W^T|, the smaller one; the rest is the columns' lengths.
            lengths = jnp.sum(jnp.square(w), axis=0)
            spared = jnp.square(lengths) if off_diagonal else 2 * lengths - 1
            total += jnp.sum(jnp.square(w @ w.T)) - jnp.sum(spared)
            continue
        eye = jnp.eye(n_columns, dtype=w.dtype)
        gram = w.T @ w
        total += jnp.sum(jnp.square(gram * (1 - eye) if off_diagonal else gram - eye))
    return total


def historical(params: Any, average: Any) -> Array:
    """Squared distance of all parameters from `average`, the same tree: [] float32.

    Section 3.3 of arXiv 1606.03498, which names no weight: the average is that of
    their past values, a constant.
    """
    squares = jax.tree.map(
        lambda p, a: jnp.sum(jnp.square(_wide(p) - _wide(a))), params, average
    )
    return sum(jax.tree.leaves(squares), jnp.zeros(()))


def running_mean(average: Any, params: Any, n: Array) -> Any:
    """The mean of n + 1 values: `average` of n of them, and `params`; n [] int32."""
    return jax.tree.map(lambda a, p: a + (p - a) / (n + 1), average, params)


def _wide(x):
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))
