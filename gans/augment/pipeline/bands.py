"""Image-space filtering: four bands of frequencies, each amplified at random."""

import jax.numpy as jnp
import numpy as np
from jax import Array

from gans.augment.pipeline.transform import Transform, normal

# The wavelet "symlets 2" of arXiv 2006.06676, appendix B.4.
SYM2 = -0.129409522551, 0.224143868042, 0.836516303737, 0.482962913145
BANDS = 4
# The expected power of natural images in each band, low to high.
POWER = np.array([10, 1, 1, 1]) / 13


def _bank():
    """The filters [4, 43] of the bands, low to high; their sum is an impulse.

    Each of three levels splits the lowest band in two, by the wavelet's low-pass filter
    and its high-pass filter, each followed by itself mirrored.
    """
    low = np.array(SYM2)
    high = low * (-1) ** np.arange(len(low))
    low, high = (np.convolve(f, f[::-1]) / 2 for f in (low, high))
    found = np.eye(BANDS, 1)
    for band in range(1, BANDS):
        wide = np.zeros((BANDS, 2 * found.shape[1] - 1))
        wide[:, ::2] = found
        found = np.stack([np.convolve(f, low) for f in wide])
        centre = (found.shape[1] - len(high)) // 2
        found[band, centre : centre + len(high)] += high
    return found


BANK = _bank()
REACH = BANK.shape[1] // 2  # pixels on each side that a filter looks at


def gains(value: Array, fired: Array) -> Array:
    """The gain [B, 4] of each band, from a value and a coin [B, 4] for each.

    Where a band is amplified, all are scaled so that the expected power stays.
    """
    alone = jnp.where(fired, transform.made(value), 1)
    each = jnp.where(jnp.eye(BANDS) == 1, alone[:, :, None], 1)
    share = jnp.asarray(POWER, each.dtype)
    power = jnp.sum(share * each**2, axis=-1, keepdims=True)
    return jnp.prod(each / jnp.sqrt(power), axis=1)


def amplify(x: Array, gains: Array) -> Array:
    """x [B, H, W, C], with gains [B, 4] of its bands -> the same shape.

    Rows and columns are filtered alike; what is outside is the image's reflection.
    """
    gains = gains.astype(x.dtype)
    height, width = (
        jnp.einsum("nk,kij->nij", gains, _matrices(n).astype(x.dtype), precision=HIGH)
        for n in x.shape[1:3]
    )
    x = jnp.einsum("nij,njwc->niwc", height, x, precision=HIGH)
    return jnp.einsum("nij,nhjc->nhic", width, x, precision=HIGH)


HIGH = "highest"


def _matrices(n):
    """[4, n, n]: the filter of each band along an axis of n > 21 pixels."""
    found = np.zeros((BANDS, n, n))
    at = np.arange(n)
    for tap in range(-REACH, REACH + 1):
        pixel = np.abs(at + tap)
        pixel = np.minimum(pixel, 2 * (n - 1) - pixel)
        np.add.at(found, (slice(None), at, pixel), BANK[:, REACH + tap, None])
    return found


transform = Transform(normal, lambda u: 2**u, (BANDS,), (BANDS,))
TRANSFORMS = {"imgfilter": transform}
