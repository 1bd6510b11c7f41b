"""Chooses the form of a convolution, or of one of its gradients, on a CPU.

The first row whose condition holds is used. Reductions look up the table again with
another shape. Other devices use the plain operations of `forms`.
"""

import math
import operator
from collections.abc import Callable
from typing import NamedTuple

import jax

from gans.layers.conv import forms, winograd
from gans.layers.conv.geometry import Geometry


class Case(NamedTuple):
    """What a row depends on: a geometry, N images, I channels of x and O of y.

    `wide` is whether numbers have 32 bits or more.
    """

    geometry: Geometry
    n: int
    i: int
    o: int
    wide: bool = True

    @property
    def grouped(self) -> bool:
        return self.geometry.groups > 1

    @property
    def depthwise(self) -> bool:
        return self.grouped and self.geometry.groups == self.i == self.o

    @property
    def unit(self) -> bool:
        return max(self.geometry.strides) == 1

    @property
    def tiled(self) -> bool:
        """Strided, with a kernel size that is a multiple of the strides."""
        axes = zip(self.geometry.w, self.geometry.strides, strict=True)
        return not self.unit and all(w % s == 0 for w, s in axes)

    @property
    def small(self) -> bool:
        return math.prod(self.geometry.y) <= 16

    @property
    def heavy(self) -> bool:
        """With many times more entries in the kernel than in y."""
        return math.prod(self.geometry.w) * self.i > 8 * self.n * math.prod(
            self.geometry.y
        )

    @property
    def large(self) -> bool:
        """An image's kernel of 7x7 and more."""
        return len(self.geometry.w) == 2 and min(self.geometry.w) > 6

    @property
    def few(self) -> bool:
        """Few images: what is done once to a kernel is not shared by many."""
        return self.n <= 4

    @property
    def narrow(self) -> bool:
        """Many images, such as the frames of clips, of few channels."""
        return self.n >= 64 and max(self.i, self.o) <= 32

    @property
    def point(self) -> bool:
        return max(self.geometry.w) == 1

    @property
    def one_window(self) -> bool:
        return max(self.geometry.y) == 1 and not self.point

    @property
    def volume(self) -> bool:
        return len(self.geometry.x) == 3

    @property
    def thin(self) -> bool:
        """Volumes of few channels: patches and shares are little work and much data."""
        return self.volume and self.tiled and self.i <= 4 and self.o <= 16

    @property
    def spread(self) -> bool:
        """Volumes of many voxels, larger than caches once they are written per tap."""
        voxels = self.n * math.prod(self.geometry.y)
        return self.volume and self.tiled and self.i > 4 and voxels > 4096

    @property
    def saves(self) -> bool:
        """Whether `winograd` pays for its additions, for all three maps together.

        A convolution and its gradients share the sums of x, w and y, so either all of
        them use this form or none does. The break-even point of `winograd.saving` was
        measured with the three in one program (245 layers of 3x3, 4x4 and 5x5). In 16
        bits the sums lose too much precision; 1x1 kernels have no sums to share, and
        volumes are reduced to images first.
        """
        if not self.wide or self.grouped or self.point or self.volume:
            return False
        # With few pixels the other forms are large, efficient matrix products.
        even = 1.1 if self.tiled and self.small else 0.9
        return winograd.saving(*self[:4]) > even


class Row(NamedTuple):
    """The form, (x, w) -> y or a gradient's, of the cases where `when` holds."""

    when: Callable[[Case], bool]
    form: Callable[[jax.Array, jax.Array, Geometry], jax.Array]
    why: str


def choose(table: tuple[Row, ...], case: Case) -> Row:
    """The first row whose condition holds for `case`; the last always does."""
    return next(row for row in table if row.when(case))


def convolution(x: jax.Array, w: jax.Array, geometry: Geometry) -> jax.Array:
    """y [N, *Y, O] of x [N, *X, I] and w [*K, I / groups, O]."""
    case = Case(geometry, x.shape[0], x.shape[-1], w.shape[-1], _is_wide(x))
    return choose(CONVOLUTION, case).form(x, w, geometry)


def input_gradient(y: jax.Array, w: jax.Array, geometry: Geometry) -> jax.Array:
    """x [N, *X, I] of y [N, *Y, O] and w [*K, I / groups, O]."""
    channels = (w.shape[-2] * geometry.groups, y.shape[-1])
    case = Case(geometry, y.shape[0], *channels, _is_wide(y))
    return choose(INPUT_GRADIENT, case).form(y, w, geometry)


def kernel_gradient(x: jax.Array, y: jax.Array, geometry: Geometry) -> jax.Array:
    """w [*K, I / groups, O] of x [N, *X, I] and y [N, *Y, O]."""
    case = Case(geometry, x.shape[0], x.shape[-1], y.shape[-1], _is_wide(x))
    return choose(KERNEL_GRADIENT, case).form(x, y, geometry)


def _is_wide(x):
    return x.dtype.itemsize >= 4


def _exceeds(a, b):
    """Whether a size in `a` is larger than that in `b`."""
    return any(map(operator.gt, a, b))


CONVOLUTION = (
    Row(
        lambda case: case.depthwise,
        forms.shift_sum,
        "each output has one input channel: there is no matrix product to form",
    ),
    Row(
        lambda case: case.grouped,
        forms.group_by_group(convolution),
        "a grouped convolution takes longer than its groups one by one",
    ),
    Row(
        lambda case: case.one_window,
        forms.one_window(forms.depth(convolution)),
        "the kernel sees all of the image: one matrix product",
    ),
    Row(
        lambda case: case.volume,
        forms.flat(convolution),
        "XLA's 3-D convolutions are far behind its 2-D ones",
    ),
    Row(
        lambda case: case.i == 1,
        forms.shift_sum,
        "each output has one input channel: there is no matrix product to form",
    ),
    Row(
        lambda case: case.tiled and case.i <= 4,
        forms.depth(forms.plain),
        "3 input channels are too few to work on at once, 12 are not",
    ),
    Row(
        lambda case: case.large and case.unit and case.i <= 4,
        forms.flat(forms.plain),
        "3 input channels are too few to work on at once, 21 of 7 rows are not",
    ),
    Row(
        lambda case: case.unit and case.o <= 4,
        forms.product_then_shifts,
        "3 output channels are too few to work on at once, 27 are not",
    ),
    Row(
        lambda case: case.saves,
        winograd.convolution,
        "a quarter to three fifths of the products, of sums that the gradients share",
    ),
    Row(
        lambda case: _exceeds(case.geometry.w, case.geometry.x),
        forms.padded(forms.plain),
        "XLA takes 8 to 50 times longer where the kernel is larger than the image",
    ),
    Row(lambda case: True, forms.plain, "as good as a matrix product"),
)

INPUT_GRADIENT = (
    Row(
        lambda case: case.depthwise,
        forms.reverse(convolution),
        "a sum of shifts like the convolution",
    ),
    Row(
        lambda case: case.grouped,
        forms.group_by_group(input_gradient),
        "a grouped convolution takes longer than its groups one by one",
    ),
    Row(
        lambda case: case.one_window,
        forms.one_window(forms.depth_x(input_gradient)),
        "the kernel sees all of the image: one matrix product",
    ),
    Row(
        lambda case: case.thin or case.spread,
        forms.depth_x(forms.reverse(convolution)),
        "2 to 5 times less time than writing 8 shares of each voxel, and adding them",
    ),
    Row(
        lambda case: case.tiled and case.i <= 4,
        forms.depth_x(forms.product_then_overlaps),
        "3 input channels are too few to work on at once, 48 shares of 4 taps are not",
    ),
    Row(
        lambda case: case.volume and not case.unit,
        forms.depth_x(forms.products_then_overlaps),
        "XLA's dilated 3-D convolutions multiply all the zeros",
    ),
    Row(
        lambda case: case.saves,
        winograd.input_gradient,
        "few multiplications, none with the zeros of a dilation, and sums in common",
    ),
    Row(
        lambda case: case.tiled and (case.small or case.few and case.heavy),
        forms.depth_x(forms.products_then_overlaps),
        "a few pixels and many channels: matrix products at their best",
    ),
    Row(
        lambda case: not case.unit and _exceeds(case.geometry.w, case.geometry.y),
        forms.depth_x(forms.products_then_overlaps),
        "XLA takes 8 to 20 times longer where the kernel is larger than the image",
    ),
    Row(
        lambda case: case.unit and case.heavy and case.o > 4,
        forms.products_then_overlaps,
        "turning the kernel around would take as long as the convolution",
    ),
    Row(
        lambda case: case.unit,
        forms.reverse(convolution),
        "a convolution, with the form for its channels",
    ),
    Row(
        lambda case: case.tiled and case.narrow,
        forms.depth_x(forms.reverse(convolution)),
        "few channels: over the zeros of a dilation it takes 2.6 times as long",
    ),
    Row(lambda case: True, forms.flipped, "near a matrix product, at strides too"),
)

KERNEL_GRADIENT = (
    Row(
        lambda case: case.depthwise,
        forms.shift_dots,
        "each output has one input channel: there is no matrix product to form",
    ),
    Row(
        lambda case: case.grouped,
        forms.group_by_group(kernel_gradient),
        "the gradient of a grouped convolution takes hundreds of times longer",
    ),
    Row(
        lambda case: case.one_window,
        forms.one_window(forms.depth_w(forms.dot_from_y)),
        "the kernel sees all of the image: one matrix product",
    ),
    Row(
        lambda case: case.point,
        forms.dot_of_patches,
        "one matrix product; as a convolution its window is as large as the image",
    ),
    Row(
        lambda case: case.thin,
        forms.flat_w(forms.canonical),
        "a third of the time of writing out windows of a single channel",
    ),
    Row(
        lambda case: case.volume,
        forms.flat_w(kernel_gradient),
        "XLA's 3-D convolutions are far behind its 2-D ones",
    ),
    Row(
        lambda case: case.large and case.unit and case.o <= 4,
        forms.dot_with_planes,
        "49 windows of 3 channels are copied in long rows where channels come first",
    ),
    Row(
        lambda case: case.unit and case.o <= 4,
        forms.dot_with_patches,
        "windows of 3 channels are cheap to write out, and make 27 outputs of 3",
    ),
    Row(
        lambda case: case.tiled and case.i <= 4,
        forms.depth_w(forms.dot_of_patches),
        "windows of 3 channels are cheap to write out",
    ),
    Row(
        lambda case: case.saves,
        winograd.kernel_gradient,
        "few multiplications, of sums that the convolution and y's gradient need too",
    ),
    Row(
        lambda case: _exceeds(case.geometry.y, case.geometry.x),
        forms.padded(forms.canonical),
        "x is the image of that convolution and y its kernel, and must not be larger",
    ),
    Row(
        lambda case: case.few and case.unit,
        forms.padded(forms.canonical),
        "images are the input channels of that convolution: few are slow to pad inside",
    ),
    Row(
        lambda case: case.few and not case.tiled and math.prod(case.geometry.y) > 1000,
        forms.phases_w(forms.canonical),
        "a convolution for each phase multiplies no zeros, and writes no windows",
    ),
    Row(
        lambda case: case.few,
        forms.dot_of_patches,
        "few images, and strides to dilate y with: windows of x cost less",
    ),
    Row(lambda case: True, forms.canonical, "near a matrix product, with no windows"),
)
