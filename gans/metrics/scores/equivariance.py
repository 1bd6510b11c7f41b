"""Whether moved or turned input makes a moved or turned image (arXiv 2106.12423).

Appendix E there. An image is [B, H, W, C] in NumPy; what happens to it is compared with
what a generator makes, where the mask [H, W] says that all pixels are known. Lengths
are in sides of the image; x runs to the right and y down, and a positive angle turns x
towards y. Computed in float64.
"""

import numpy as np

RANGE = 2.0  # of images in [-1, 1]
LOBES = 3  # of Lanczos windows
UP = 4  # times as dense is the grid that turned images are read from
_PERIOD = 64  # pixels to each side in which sines cardinal are convolved


def decibels(squares: float, n: float) -> float:
    """Returns 10 log10(range^2 / mean square), of a sum of squares of n values []."""
    return float(10 * np.log10(RANGE**2 * n / squares)) if squares else np.inf


def rotation(angle: float) -> np.ndarray:
    """Returns the matrix [3, 3] that turns points (x, y, 1)."""
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])


def translation(x: float, y: float) -> np.ndarray:
    """Returns the matrix [3, 3] that moves points (x, y, 1)."""
    return np.array([[1, 0, x], [0, 1, y], [0, 0, 1]])


def moved(images: np.ndarray, x: float, y: float) -> tuple[np.ndarray, np.ndarray]:
    """Images [B, H, W, C] by the nearest whole pixels -> (images, mask [H, W])."""
    shifts = [round(s * n) for s, n in zip((y, x), images.shape[1:3], strict=True)]
    sizes = zip(images.shape[1:3], shifts, strict=True)
    matrices = [np.eye(n, k=-shift) for n, shift in sizes]
    return _separable(images, matrices, shifts, (0, 0))


def moved_by_parts(
    images: np.ndarray, x: float, y: float
) -> tuple[np.ndarray, np.ndarray]:
    """Images [B, H, W, C] moved by parts of a pixel -> (images, mask [H, W]).

    By Lanczos filters of 3 lobes, equation 24.
    """
    shifts = [s * n for s, n in zip((y, x), images.shape[1:3], strict=True)]
    sizes = zip(images.shape[1:3], shifts, strict=True)
    matrices = [_lanczos(n, shift) for n, shift in sizes]
    whole = [int(np.floor(shift)) for shift in shifts]
    return _separable(images, matrices, whole, (LOBES, LOBES - 1))


def turned(images: np.ndarray, angle: float) -> tuple[np.ndarray, np.ndarray]:
    """Images [B, H, W, C] about their middle -> (images, mask [H, W]).

    Each is interpolated by `oriented_filter` at 4 times its rate, and that linearly.
    """
    from scipy.ndimage import map_coordinates
    from scipy.signal import oaconvolve

    images = np.asarray(images, np.float64)
    b, height, width, channels = images.shape
    f = oriented_filter(angle, UP) * UP**2
    dense = np.zeros((b, (height - 1) * UP + 1, (width - 1) * UP + 1, channels))
    dense[:, ::UP, ::UP] = images
    dense = oaconvolve(dense, f[None, :, :, None], axes=(1, 2))
    y, x = np.mgrid[:height, :width]
    middle = np.array([width - 1, height - 1])[:, None] / 2
    points = np.stack([x.ravel(), y.ravel()]) - middle
    points = rotation(-angle)[:2, :2] @ points + middle
    reach = len(f) // 2
    at = points[::-1] * UP + reach
    planes = np.moveaxis(dense, 3, 1).reshape(-1, *dense.shape[1:3])
    found = [map_coordinates(plane, at, order=1, mode="constant") for plane in planes]
    found = np.reshape(found, (b, channels, height, width)).transpose(0, 2, 3, 1)
    near, last = np.floor(points * UP + 0.5), UP * (2 * middle) - reach
    mask = ((near >= reach - 1) & (near <= last)).all(0).reshape(height, width)
    return found, mask


def filtered_for_turn(
    images: np.ndarray, angle: float
) -> tuple[np.ndarray, np.ndarray]:
    """Images [B, H, W, C] with the frequencies that turning one by `angle` leaves.

    Returns (images, mask [H, W]). It is what `turned` images are compared with.
    """
    from scipy.signal import oaconvolve

    f = oriented_filter(-angle, 1)
    images = np.asarray(images, np.float64)
    found = oaconvolve(images, f[None, :, :, None], mode="same", axes=(1, 2))
    mask, reach = np.zeros(images.shape[1:3], bool), len(f) // 2
    mask[reach:-reach, reach:-reach] = True
    return found, mask


def oriented_filter(angle: float, up: int) -> np.ndarray:
    """A filter [K, K], K = 12 up - 1, between a grid and one that is turned.

    It passes what both can hold: the convolution of the two grids' sines cardinal, in
    that of their Lanczos windows. Each of its up x up phases sums to 1 / up^2.
    """
    n = _PERIOD * up
    along = np.arange(1 - n, n) / up
    y, x = np.meshgrid(along, along, indexing="ij")
    c, s = np.cos(angle), np.sin(angle)
    grids = (x, y), (c * x - s * y, s * x + c * y)
    ideal = [np.sinc(u) * np.sinc(v) for u, v in grids]
    windows = [_window(u) * _window(v) for u, v in grids]
    f = _convolved(*ideal) * _convolved(*windows)
    reach = 2 * LOBES * up - 1
    f = f[n - 1 - reach : n + reach, n - 1 - reach : n + reach]
    f = np.pad(f, (0, 1)).reshape(4 * LOBES, up, 4 * LOBES, up)
    f = f / f.sum((0, 2), keepdims=True) / up**2
    return f.reshape(4 * LOBES * up, -1)[:-1, :-1]


def _convolved(a, b):
    """In a circle; the middle is where it is in each."""
    product = np.fft.fft2(np.fft.ifftshift(a)) * np.fft.fft2(np.fft.ifftshift(b))
    return np.fft.fftshift(np.fft.ifft2(product).real)


def _window(x):
    return np.where(np.abs(x) < LOBES, np.sinc(x / LOBES), 0)


def _lanczos(size, shift):
    """The matrix [size, size] that moves pixels along an axis."""
    whole = np.floor(shift)
    distance = np.arange(size)[:, None] - np.arange(size) - shift
    taps = np.arange(1 - LOBES, LOBES + 1) - (shift - whole)
    total = (np.sinc(taps) * _window(taps)).sum()
    return np.sinc(distance) * _window(distance) / total


def _separable(images, matrices, shifts, taps):
    """Images by matrices, and the mask of pixels that need none beyond an edge.

    shifts: in whole pixels; taps: how many pixels before and after are needed.
    """
    found = np.einsum("hi,bijc,wj->bhwc", matrices[0], images, matrices[1])
    known = []
    for n, shift in zip(images.shape[1:3], shifts, strict=True):
        source = np.arange(n) - shift
        known.append((source - taps[0] >= 0) & (source + taps[1] < n))
    return found, np.outer(*known)
