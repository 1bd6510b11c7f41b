"""What single filters respond to (arXiv 1511.06434, figure 5).

For a filter, a row of the images of the data that excite it most, each at its best
place there: all outside the pixels that this place sees is grey. Below it, guided
backpropagation of the same activations, each scaled to its own largest value.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from experiments.probing.features import BATCH, Critic
from experiments.probing.guided import guided
from experiments.sampling import pictures
from gans.data import kinds

FILTERS, COLUMNS = 6, 8
_GREY = -0.3  # of what a filter does not see
_GAP = 24  # pixels between trained and random


def strongest(
    critic: Critic, images: np.ndarray, n_filters: int = FILTERS, n: int = COLUMNS
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Returns {layer: (images [F, n], places [F, n, 2])} of the largest activations.

    Of each layer's first filters, the n images with the largest maxima over the map,
    and where the maxima are.
    """
    decode = kinds.of(critic.field).decode

    @jax.jit
    def largest(images):
        found = {}
        for layer, h in critic.layers(decode(images)).items():
            flat = h[..., :n_filters].reshape(len(h), -1, min(n_filters, h.shape[-1]))
            found[layer] = flat.max(1), flat.argmax(1)
        return found

    parts = []
    for start in range(0, len(images), BATCH):
        rows = np.minimum(np.arange(start, start + BATCH), len(images) - 1)
        parts.append(jax.device_get(largest(images[rows])))
    chosen = {}
    for layer, (_, width, _) in critic.maps.items():
        values, places = (
            np.concatenate([part[layer][i] for part in parts])[: len(images)]
            for i in range(2)
        )
        best = np.argsort(-values, axis=0, kind="stable")[:n].T  # [F, n]
        at = np.take_along_axis(places.T, best, 1)
        chosen[layer] = best, np.stack(np.divmod(at, width), -1)
    return chosen


def drawn(critic: Critic, images: np.ndarray, layer: str, chosen) -> np.ndarray:
    """Returns tiles [F, 2, n, H, W, C] in [-1, 1]: what is seen, and guided gradients.

    chosen: (images [F, n], places [F, n, 2]), see `strongest`.
    """
    decode = kinds.of(critic.field).decode

    def gradients(x, places, filters):
        """Of each image's activation: plain and guided, [F, H, W, C] both."""

        def activation(x):
            h = critic.layers(x)[layer]
            return h[jnp.arange(len(h)), places[:, 0], places[:, 1], filters].sum()

        return jax.grad(activation)(x), jax.grad(guided(activation))(x)

    gradients, (rows, places) = jax.jit(gradients), chosen
    tiles, filters = [], np.arange(len(rows))
    for i in range(rows.shape[1]):
        x = np.asarray(decode(images[rows[:, i]]))
        plain, found = map(np.asarray, gradients(x, places[:, i], filters))
        seen = np.where(_boxes(plain), x, np.float32(_GREY))
        largest = np.abs(found).max((1, 2, 3), keepdims=True)
        tiles.append(np.stack([seen, found / np.where(largest > 0, largest, 1)], 1))
    return np.stack(tiles, 2)


def _boxes(gradients):
    """The smallest boxes around what is not zero, bool [B, H, W, 1]."""
    seen = (gradients != 0).any(-1)
    rows, columns = seen.any(2), seen.any(1)

    def between(x):
        return (
            np.logical_or.accumulate(x, 1)
            & np.logical_or.accumulate(x[:, ::-1], 1)[:, ::-1]
        )

    return (between(rows)[:, :, None] & between(columns)[:, None])[..., None]


def picture(trained: np.ndarray, random: np.ndarray) -> np.ndarray:
    """Returns one picture, uint8 [h, w, 3], of `drawn` of both networks."""
    halves = []
    for name, tiles in (("trained", trained), ("random weights", random)):
        n = tiles.shape[2]
        grid = pictures.grid(tiles.reshape(-1, *tiles.shape[3:]), n)
        halves.append(pictures.captioned(grid, [name], 1))
    gap = np.full((len(halves[0]), _GAP, 3), 255, np.uint8)
    return np.concatenate([halves[0], gap, halves[1]], 1)
