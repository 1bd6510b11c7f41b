"""What overlapping windows say of each step, as one value a step."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

_ROWS = 512  # steps whose densities are computed at once


def covering(windows: np.ndarray) -> np.ndarray:
    """Returns what each window says of each step, [n + size - 1, size].

    Row t holds windows[t - j, j] for j = 0, 1, ..., so the window that began last
    comes first; NaN where there is no such window, near both ends.

    Args: windows [n, size], of which each begins a step after the one before.
    """
    n, size = windows.shape
    padded = np.full((n + 2 * (size - 1), size), np.nan)
    padded[size - 1 : size - 1 + n] = windows
    offsets = np.arange(size)
    return sliding_window_view(padded, size, axis=0)[:, offsets, offsets[::-1]]


def median(windows: np.ndarray) -> np.ndarray:
    """Returns the median of all that the windows say of a step, [n + size - 1, C].

    Args: windows [n, size, C], see `covering`.
    """
    return np.stack([_median(covering(x)) for x in np.moveaxis(windows, -1, 0)], -1)


def _median(rows):
    """Of rows [N, k] without their NaN; numpy's own is slow where there are some."""
    counts = np.sum(~np.isnan(rows), axis=1)
    rows = np.sort(rows, axis=1)  # NaN last
    low, high = (np.take_along_axis(rows, i[:, None], 1)[:, 0] for i in _middle(counts))
    return (low + high) / 2


def _middle(counts):
    return (counts - 1) // 2, counts // 2


def densest(critic: np.ndarray, size: int) -> np.ndarray:
    """Returns the likeliest critic value of each step, [n + size - 1].

    A window's value counts for all its steps. Of the values that cover a step it is the
    one where a Gaussian kernel density estimate of them, of Scott's bandwidth, is
    greatest (section IV-B); the window that began last, of equals.

    Args: critic [n], one value a window; size of the windows.
    """
    rows = covering(np.repeat(np.asarray(critic, float)[:, None], size, axis=1))
    chunks = np.pad(rows, ((0, -len(rows) % _ROWS), (0, 0)), constant_values=np.nan)
    with jax.enable_x64(True):
        found = _densest(chunks.reshape(-1, _ROWS, size))
    return np.asarray(found).reshape(-1)[: len(rows)]


@jax.jit
def _densest(chunks):
    return jax.lax.map(jax.vmap(_mode), chunks)


def _mode(x):
    """The value of x [k] of the greatest density; NaN are missing values."""
    known = ~jnp.isnan(x)
    n, x = known.sum(), jnp.where(known, x, 0)
    total = functools.partial(jnp.sum, where=known)
    variance = total((x - total(x) / n) ** 2) / (n - 1) * n ** (-2 / 5)
    density = jnp.exp(-((x[:, None] - x) ** 2) / (2 * variance)) @ known.astype(x.dtype)
    # Without variance, or of a single value, all densities are NaN: the first it is.
    return x[jnp.argmax(jnp.where(known, jnp.nan_to_num(density), -1))]
