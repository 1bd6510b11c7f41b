"""Regularisers of logits, of samples and of parameters, without their weights.

Those of examples return one number per example; the caller takes the mean.
"""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from gans.sharding import split


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


def path_lengths(synthesis: Callable[[Array], Array], ws: Array, key: Array) -> Array:
    """How far each image moves with its styles, |J^T y| of equation 4 in 1912.04958.

    J is the derivative of an image by its styles and y an image of N(0, 1) noise,
    divided by the root of the number of its pixels H W. The length is the root of the
    squares' sum over w_dim and mean over the layers. With this scale the weight 2 is
    the paper's gamma_pl = ln 2 / (r^2 (ln r - ln 2)), r = H = W (appendix B), of the
    lengths in raw units. A length of 0, whose root has no derivative, gets the
    subgradient 0.

    Args:
      synthesis: ws -> images [B, H, W, C], each of its own styles.
      ws: [B, layers, w_dim].
      key: draws y.

    Returns: [B] float32.
    """

    def along_noise(ws):
        images = _wide(synthesis(ws))
        noise = split(jax.random.normal(key, images.shape, images.dtype))
        return jnp.sum(images * noise) / math.sqrt(images.shape[1] * images.shape[2])

    slopes = _wide(jax.grad(along_noise)(ws))
    squares = jnp.mean(jnp.sum(jnp.square(slopes), axis=2), axis=1)
    flat = squares == 0
    return jnp.where(flat, 0.0, jnp.sqrt(jnp.where(flat, 1.0, squares)))


def _wide(x):
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))
