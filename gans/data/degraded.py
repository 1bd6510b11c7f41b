"""Small pictures of large ones: by bicubic resampling, blurred, noisy, compressed.

The order is that of the first-order model of Real-ESRGAN (arXiv 2107.10833, section
3.1). Deviations: blur is isotropic and Gaussian, noise Gaussian and of each channel,
and pictures are made smaller by the bicubic resampling of papers alone.
"""

from __future__ import annotations

import dataclasses
import io
import math

import numpy as np
import scipy.ndimage
from PIL import Image

from gans.data import bicubic

Range = tuple[float, float]
RADIUS = 10  # pixels of the blur, as in the authors' code
LIMITS = {"blur": (0, 10), "noise": (0, 255), "jpeg": (1, 100)}


@dataclasses.dataclass(frozen=True)
class Degraded:
    """What is done to large pictures, each number drawn evenly from its range.

    Attributes:
      scale: how many times smaller they become.
      blur: standard deviation of a Gaussian, in pixels of the large picture.
      noise: standard deviation of what is added to the small one, in grey levels.
      jpeg: quality at which it is compressed.

    Raises ValueError for a range that is none, or outside LIMITS.
    """

    scale: int = 4
    blur: Range | None = None
    noise: Range | None = None
    jpeg: Range | None = None

    def __post_init__(self):
        for name, (least, most) in LIMITS.items():
            low, high = getattr(self, name) or (least, most)
            if not least <= low <= high <= most:
                raise ValueError(
                    f"{name}={low:g}..{high:g}: wanted numbers from {least} to {most}"
                )

    @property
    def margin(self) -> int:
        """How far a small pixel sees beyond its place, in large pixels."""
        reach = 2 * self.scale + (RADIUS if self.blur else 0)
        return self.scale * math.ceil(reach / self.scale)

    def smaller(self, x: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """Returns uint8 [H / scale, W / scale, C] of a picture x, uint8 [H, W, C].

        It is blurred and made smaller; `spoilt` does the rest.
        """
        x = x.astype(np.float32)
        if self.blur:
            sigma = random.uniform(*self.blur)
            if sigma > 0:
                sides = (sigma, sigma, 0)
                x = scipy.ndimage.gaussian_filter(x, sides, radius=(RADIUS, RADIUS, 0))
        size = tuple(n // self.scale for n in x.shape[:2])
        return _bytes(bicubic.resize(x, size=size))

    def spoilt(self, x: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """Returns a small picture uint8 [h, w, C] with noise, compressed."""
        if self.noise:
            sigma = random.uniform(*self.noise)
            x = _bytes(x + random.normal(0, 1, x.shape).astype(np.float32) * sigma)
        if self.jpeg:
            quality = int(random.uniform(*self.jpeg) + 0.5)
            file = io.BytesIO()
            image = Image.fromarray(x[..., 0] if x.shape[-1] == 1 else x)
            image.save(file, "JPEG", quality=quality)
            x = np.asarray(Image.open(file)).reshape(x.shape)
        return x


def _bytes(x):
    return np.floor(np.clip(x, 0, 255) + 0.5).astype(np.uint8)
