"""Layers of the networks: convolutions, norms, attention, resampling.

`Layers` holds the options that all layers of a network share.
"""

from gans.layers.options import Layers

__all__ = ["Layers"]
