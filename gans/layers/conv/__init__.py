"""Convolutions that stay fast under differentiation.

`layers` has the functions and the Flax modules; `maps` the three bilinear maps that
they and their derivatives consist of; `table` chooses, by measurement, one of the forms
in `forms` and `winograd` for each shape on a CPU; `inspect` finds slow convolutions in
a compiled program.
"""

from gans.layers.conv.layers import (
    Conv,
    ConvTranspose,
    apply_kernel,
    conv,
    conv_transpose,
)

__all__ = ["Conv", "ConvTranspose", "apply_kernel", "conv", "conv_transpose"]
