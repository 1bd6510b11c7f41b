"""Pictures from drawings, of any pictures: `edges:PATH` or `edges:NAME`.

The drawing is a difference of Gaussians: dark lines on white along the dark sides of
edges, as in the first step of H. Winnemoeller et al.: XDoG: An eXtended
difference-of-Gaussians compendium including advanced image stylization, Computers &
Graphics 36 (2012). Each pixel depends on those up to 4 pixels away and nothing else, so
that parts of a picture give parts of its drawing.
"""

from __future__ import annotations

import numpy as np

from gans.data import originals
from gans.data.sets import colourise
from gans.data.source import InMemory, Streamed

NAMES = ("edges:PATH",)
SEEDED = False

FINE, COARSE = 0.5, 1.0  # deviations of the Gaussians, in pixels
FAINT, FULL = 0.01, 0.06  # differences that give no line, and a black one


def load(argument: str, **options) -> InMemory | Streamed:
    """Pairs of drawings `a` uint8 [R, R, 1] and the pictures `b` uint8 [R, R, C].

    argument: a folder of pictures, or the name of another set of images; options: of
      `gans.data.load`.
    """
    return originals.with_given(originals.load("edges", argument, **options), given)


def given(picture: np.ndarray) -> np.ndarray:
    """Returns the drawing uint8 [H, W, 1] of a picture uint8 [H, W, 1 or 3]."""
    from scipy.ndimage import gaussian_filter  # half a second

    grey = colourise.given(picture)[..., 0].astype(np.float32) / 255
    fine, coarse = (gaussian_filter(grey, x, mode="nearest") for x in (FINE, COARSE))
    dark = np.clip((coarse - fine - FAINT) / (FULL - FAINT), 0, 1)
    return np.rint(255 * (1 - dark)).astype(np.uint8)[..., None]
