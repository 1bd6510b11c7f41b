"""Two encoders into one space, of sentences and of images (arXiv 1605.05395).

Their inner product says how well a sentence and an image go together. Deviations: words
are averaged, or read by a GRU, in place of the paper's characters and convolutions; the
images' encoder is a small convolutional network that is learnt too, and not GoogLeNet.
"""

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import Array

from gans import names
from gans.layers.conv import Conv


def _mean(h, there, width):
    n = jnp.maximum(there.sum(axis=1, keepdims=True), 1)
    return (h * there[..., None]).sum(axis=1) / n


def _gru(h, there, width):
    read = nn.RNN(nn.GRUCell(width), return_carry=True, name="gru")
    lengths = jnp.maximum(there.sum(axis=1), 1).astype(jnp.int32)
    return read(h, seq_lengths=lengths)[0]


CELLS = {"mean": _mean, "gru": _gru}


class Words(nn.Module):
    """Sentences int32 [B, T], 0 after the last word -> [B, features] float32.

    Attributes:
      n_words: of the vocabulary, word 0 included.
      features: of the result.
      cell: how words become one vector: "mean" of their vectors, or "gru".
    """

    n_words: int
    features: int = 128
    cell: str = "mean"

    @nn.compact
    def __call__(self, x: Array, *, train: bool) -> Array:
        read = names.pick(self.cell, CELLS, "words")
        h = nn.Embed(self.n_words, self.features, name="embedding")(x)
        h = read(h, (x > 0).astype(h.dtype), self.features)
        return nn.Dense(self.features, name="out")(h)


class Pictures(nn.Module):
    """Images [B, H, W, C] in [-1, 1] -> [B, features] float32.

    4x4 convolutions of stride 2 until the map is 4x4 or less, then a dense layer.

    Attributes:
      features: of the result.
      width: channels of the first convolution; the others have twice as many each, up
        to eight times.
    """

    features: int = 128
    width: int = 16

    @nn.compact
    def __call__(self, x: Array, *, train: bool) -> Array:
        init, h, i = nn.initializers.he_normal(), x, 0
        while max(h.shape[1:3]) > 4:
            width = self.width << min(i, 3)
            h = Conv(width, (4, 4), (2, 2), kernel_init=init, name=f"conv{i}")(h)
            h, i = jax.nn.leaky_relu(h, 0.2), i + 1
        return nn.Dense(self.features, name="out")(h.reshape(len(h), -1))
