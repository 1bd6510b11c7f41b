"""Convolutions that stay fast under differentiation, of any order and in either mode.

Drop-in replacements for the convolutions of `jax.lax` and `flax.linen`, for arrays that
are channels last with 1 to 3 spatial axes. Their derivatives of any order are again the
three functions of `maps`, each computed in the form that `table` chooses. Those of
`jax.lax` become operations that XLA's CPU backend computes a hundred times slower, at
the first transposed convolution or inside any loop.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.linen.dtypes import promote_dtype
from jax import lax

from gans.layers.conv import maps
from gans.layers.conv.forms import flip, swap
from gans.layers.conv.geometry import Geometry

Padding = str | int | Sequence[int | tuple[int, int]]


def conv(
    x: jax.Array,
    w: jax.Array,
    *,
    strides: int | Sequence[int] = 1,
    padding: Padding = "SAME",
    feature_group_count: int = 1,
) -> jax.Array:
    """Convolution (cross-correlation) of x with w, as `jax.lax.conv_general_dilated`.

    Args:
      x: [N, *X, I], for example [N, H, W, I].
      w: [*K, I / feature_group_count, O], of the dtype of x.
      strides: one for all spatial axes, or one for each.
      padding: "SAME", "VALID", one width for every side, or per axis a width or a pair,
        of zeros; or "REFLECT": x mirrored at its edge pixels, as wide as "SAME" is for
        strides of 1.
      feature_group_count: the number of groups that are convolved separately.

    Returns [N, *Y, O], of the dtype of x. Raises ValueError for shapes that do not fit
    and TypeError for dtypes that differ.
    """
    groups = feature_group_count
    _check("conv", x, w, w.shape[-2] * groups, groups)
    space, kernel, n = x.shape[1:-1], w.shape[:-2], x.ndim - 2
    strides = _per_axis("conv", strides, n)
    if padding == "REFLECT":
        x = reflected(x, [((k - 1) // 2, k // 2) for k in kernel])
        space, padding = x.shape[1:-1], "VALID"
    pads = _pads("conv", padding, n)
    if isinstance(pads, str):
        pads = lax.padtype_to_pads(space, kernel, strides, pads)
    y = tuple(
        (size + sum(pad) - k) // s + 1
        for size, pad, k, s in zip(space, pads, kernel, strides, strict=True)
    )
    low = tuple(pad[0] for pad in pads)
    geometry = Geometry(space, kernel, y, strides, low, groups)
    _check_output("conv", x, w, y)
    return maps.convolution(x, w, geometry)


def reflected(x: jax.Array, pads: Sequence[tuple[int, int]]) -> jax.Array:
    """x [N, *X, C], mirrored at its edge pixels by (before, after) along each axis.

    The edge pixels themselves are not repeated. Raises ValueError for an axis that is
    too short for its pads.
    """
    for axis, (pad, size) in enumerate(zip(pads, x.shape[1:-1], strict=True)):
        if max(pad) >= size:
            raise ValueError(
                f"conv: reflection by {max(pad)} needs more than {max(pad)} pixels "
                f"along axis {axis + 1}, got x {x.shape}"
            )
    return jnp.pad(x, [(0, 0), *pads, (0, 0)], mode="reflect")


def conv_transpose(
    x: jax.Array,
    w: jax.Array,
    *,
    strides: int | Sequence[int] = 1,
    padding: Padding = "SAME",
    transpose_kernel: bool = False,
    feature_group_count: int = 1,
) -> jax.Array:
    """Transposed (fractionally strided) convolution, as `jax.lax.conv_transpose`.

    Args:
      x: [N, *X, I], for example [N, H, W, I].
      w: [*K, I / feature_group_count, O], of the dtype of x, used as it is; with
        `transpose_kernel` [*K, O / feature_group_count, I]: the kernel of the
        convolution whose input gradient this is.
      strides: the factors by which the output is larger than x.
      padding: "SAME" (Y = strides * X) or "VALID", applied to that convolution; or
        widths as in `conv`, around x after dilation by `strides - 1` zeros.
      feature_group_count: the number of groups that are convolved separately.

    Returns [N, *Y, O], of the dtype of x. Raises ValueError for shapes that do not fit
    and TypeError for dtypes that differ.
    """
    groups = feature_group_count
    channels = w.shape[-1] if transpose_kernel else w.shape[-2] * groups
    _check("conv_transpose", x, w, channels, groups)
    space, kernel, n = x.shape[1:-1], w.shape[:-2], x.ndim - 2
    strides = _per_axis("conv_transpose", strides, n)
    pads = _pads("conv_transpose", padding, n)
    if isinstance(pads, str):
        pads = [
            _transposed_pads(k, s, pads) for k, s in zip(kernel, strides, strict=True)
        ]
    y = tuple(
        (size - 1) * s + 2 + sum(pad) - k
        for size, pad, k, s in zip(space, pads, kernel, strides, strict=True)
    )
    low = tuple(k - 1 - pad[0] for k, pad in zip(kernel, pads, strict=True))
    geometry = Geometry(y, kernel, space, strides, low, groups)
    _check_output("conv_transpose", x, w, y)
    if not transpose_kernel:
        w = flip(swap(w, groups))
    return maps.input_gradient(x, w, geometry)


class Conv(nn.Module):
    """`flax.linen.Conv` on `conv`: same fields, parameters and results.

    Maps [..., *X, I] to [..., *Y, features]. Parameters: kernel
    [*kernel_size, I / feature_group_count, features], bias [features].
    """

    features: int
    kernel_size: int | Sequence[int]
    strides: int | Sequence[int] | None = 1
    padding: Padding = "SAME"
    feature_group_count: int = 1
    use_bias: bool = True
    dtype: Any = None
    param_dtype: Any = jnp.float32
    kernel_init: nn.initializers.Initializer = nn.linear.default_kernel_init
    bias_init: nn.initializers.Initializer = nn.initializers.zeros_init()

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        channels = x.shape[-1]
        if channels % self.feature_group_count:
            raise ValueError(
                f"Conv: {channels} channels do not divide into "
                f"feature_group_count={self.feature_group_count} groups"
            )
        size = _kernel_size(self.kernel_size)
        shape = (*size, channels // self.feature_group_count, self.features)
        operation = functools.partial(
            conv,
            strides=1 if self.strides is None else self.strides,
            padding=self.padding,
            feature_group_count=self.feature_group_count,
        )
        return apply_kernel(self, operation, x, shape)


class ConvTranspose(nn.Module):
    """`flax.linen.ConvTranspose` on `conv_transpose`: same fields, parameters, results.

    Maps [..., *X, I] to [..., *Y, features]. Parameters: kernel
    [*kernel_size, I, features] ([*kernel_size, features, I] with `transpose_kernel`),
    bias [features]. A 4x4 kernel with strides 2 and "SAME" doubles the size exactly.
    """

    features: int
    kernel_size: int | Sequence[int]
    strides: int | Sequence[int] | None = None
    padding: Padding = "SAME"
    use_bias: bool = True
    dtype: Any = None
    param_dtype: Any = jnp.float32
    kernel_init: nn.initializers.Initializer = nn.linear.default_kernel_init
    bias_init: nn.initializers.Initializer = nn.initializers.zeros_init()
    transpose_kernel: bool = False

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        channels = (x.shape[-1], self.features)
        if self.transpose_kernel:
            channels = channels[::-1]
        operation = functools.partial(
            conv_transpose,
            strides=1 if self.strides is None else self.strides,
            padding=self.padding,
            transpose_kernel=self.transpose_kernel,
        )
        return apply_kernel(
            self, operation, x, (*_kernel_size(self.kernel_size), *channels)
        )


def apply_kernel(
    module: nn.Module,
    operation: Callable[[jax.Array, jax.Array], jax.Array],
    x: jax.Array,
    kernel_shape: tuple[int, ...],
) -> jax.Array:
    """operation(x, kernel) + bias with the parameters that `module`'s fields describe.

    x [..., *X, I]; `operation` maps [N, *X, I] and [*K, I, O] to [N, *Y, O], its result
    has the leading axes of x again. Call it in a compact method of `module`.
    """
    kernel = module.param(
        "kernel", module.kernel_init, kernel_shape, module.param_dtype
    )
    bias = None
    if module.use_bias:
        bias = module.param(
            "bias", module.bias_init, (module.features,), module.param_dtype
        )
    x, kernel, bias = promote_dtype(x, kernel, bias, dtype=module.dtype)
    lead = x.shape[: x.ndim - len(kernel_shape) + 1]
    y = operation(x.reshape(-1, *x.shape[len(lead) :]), kernel)
    if bias is not None:
        y = y + bias
    return y.reshape(*lead, *y.shape[1:])


def _kernel_size(size):
    return (size,) if isinstance(size, int) else tuple(size)


def _per_axis(where, strides, n):
    strides = (strides,) * n if isinstance(strides, int) else tuple(strides)
    if len(strides) != n or min(strides) < 1:
        raise ValueError(
            f"{where}: strides={strides}, accepted are one positive integer or {n}"
        )
    return strides


def _pads(where, padding, n):
    """`padding` as "SAME", "VALID" or n pairs."""
    if padding in ("SAME", "VALID"):
        return padding
    if isinstance(padding, int):
        return [(padding, padding)] * n
    pads = [] if isinstance(padding, str) else list(padding)
    pads = [(p, p) if isinstance(p, int) else tuple(p) for p in pads]
    if len(pads) != n or any(len(pad) != 2 for pad in pads):
        raise ValueError(
            f"{where}: padding={padding!r}, accepted are 'SAME', 'VALID', "
            + ("'REFLECT', " if where == "conv" else "")
            + f"an integer, or {n} entries that are integers or pairs of integers"
        )
    return pads


def _transposed_pads(k, s, padding):
    """The pads of `jax.lax.conv_transpose` for a kernel of k and a stride s."""
    if padding == "VALID":
        return k - 1, max(k, s) - 1
    before = k - 1 if s >= k else -(-(k + s - 2) // 2)
    return before, k + s - 2 - before


def _check(where, x, w, channels, groups):
    if x.dtype != w.dtype:
        raise TypeError(f"{where}: x is {x.dtype} but w is {w.dtype}; cast one of them")
    if not 3 <= x.ndim == w.ndim <= 5:
        raise ValueError(
            f"{where}: x {x.shape} and w {w.shape} must both have 3, 4 or 5 axes "
            "(1 to 3 of them spatial)"
        )
    if x.shape[-1] != channels or w.shape[-1] % groups or channels % groups:
        raise ValueError(
            f"{where}: x {x.shape} has {x.shape[-1]} channels, w {w.shape} with "
            f"feature_group_count={groups} takes {channels}"
        )


def _check_output(where, x, w, y):
    if min(y) < 1:
        raise ValueError(
            f"{where}: x {x.shape} is too small for w {w.shape}: the output would have "
            f"spatial shape {y}"
        )
