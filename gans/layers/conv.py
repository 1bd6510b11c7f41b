"""Convolutions that stay fast under differentiation, of any order and in either mode.

Three bilinear maps, each a primitive whose two transposes are the other two:

    convolution      y = C(x, w)
    input gradient   x = X(y, w), the transposed convolution
    kernel gradient  w = W(x, y)

so no derivative of any order leaves the family, and `conv_forms` says in which form each
member is computed on a CPU. Autodiff of `jax.lax` convolutions leaves it at the first
transposed convolution or loop, where XLA's CPU backend is up to a hundred times slower.
Arrays are channels last, with 1 to 3 spatial axes.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.linen.dtypes import promote_dtype
from jax import lax
from jax.core import ShapedArray
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

from gans.layers import conv_forms
from gans.layers.conv_forms import Geometry

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
      padding: "SAME", "VALID", one width for every side, or per axis a width or a pair.
      feature_group_count: channels are convolved in so many separate groups.

    Returns [N, *Y, O], of the dtype of x. Raises ValueError for shapes that do not fit
    and TypeError for dtypes that differ.
    """
    groups = feature_group_count
    _check("conv", x, w, w.shape[-2] * groups, groups)
    space, kernel, n = x.shape[1:-1], w.shape[:-2], x.ndim - 2
    strides = _per_axis("conv", strides, n)
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
    return _convolution.bind(x, w, geometry=geometry)


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
      padding: "SAME" (Y = strides * X) or "VALID", meant for that convolution; or widths
        as in `conv`, meant for x with its `strides - 1` zeros between neighbours.
      feature_group_count: channels are convolved in so many separate groups.

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
        w = conv_forms.flip(conv_forms.swap(w, groups), n)
    return _input_gradient.bind(x, w, geometry=geometry)


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
            strides=self.strides or 1,
            padding=self.padding,
            feature_group_count=self.feature_group_count,
        )
        return _apply(self, operation, x, shape)


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
            strides=self.strides or 1,
            padding=self.padding,
            transpose_kernel=self.transpose_kernel,
        )
        return _apply(self, operation, x, (*_kernel_size(self.kernel_size), *channels))


def _apply(module, operation, x, kernel_shape):
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
            f"{where}: padding={padding!r}, accepted are 'SAME', 'VALID', an integer, or "
            f"{n} entries that are integers or pairs of integers"
        )
    return pads


def _transposed_pads(k, s, padding):
    """The pads that `jax.lax.conv_transpose` gives the dilated x, for k and stride s."""
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


# ---- The primitives. Each takes its operands with any number of leading axes, the same in
# both, over which it is mapped: several kernels at once come to the lowering this way.

_convolution = Primitive("convolution")
_input_gradient = Primitive("convolution_input_gradient")
_kernel_gradient = Primitive("convolution_kernel_gradient")


@_convolution.def_abstract_eval
def _(x, w, *, geometry):
    return _like(x, w, *_batch(x, geometry), *geometry.y, w.shape[-1])


@_input_gradient.def_abstract_eval
def _(y, w, *, geometry):
    channels = w.shape[-2] * geometry.groups
    return _like(y, w, *_batch(y, geometry), *geometry.x, channels)


@_kernel_gradient.def_abstract_eval
def _(x, y, *, geometry):
    channels = (x.shape[-1] // geometry.groups, y.shape[-1])
    return _like(x, y, *_batch(x, geometry)[:-1], *geometry.w, *channels)


def _batch(x, geometry):
    return x.shape[: x.ndim - len(geometry.x) - 1]


def _like(a, b, *shape):
    return ShapedArray(shape, a.dtype)


def _transpose_to(primitive: Primitive, order: Callable) -> Callable:
    """A transposition rule: `order` of (cotangent, left, right) are its operands."""

    def rule(ct, left, right, *, geometry):
        return primitive.bind(*order(ct, left, right), geometry=geometry)

    return rule


ad.defbilinear(
    _convolution,
    _transpose_to(_input_gradient, lambda ct, x, w: (ct, w)),
    _transpose_to(_kernel_gradient, lambda ct, x, w: (x, ct)),
)
ad.defbilinear(
    _input_gradient,
    _transpose_to(_convolution, lambda ct, y, w: (ct, w)),
    _transpose_to(_kernel_gradient, lambda ct, y, w: (ct, y)),
)
ad.defbilinear(
    _kernel_gradient,
    _transpose_to(_input_gradient, lambda ct, x, y: (y, ct)),
    _transpose_to(_convolution, lambda ct, x, y: (x, ct)),
)


def _define_batching(primitive: Primitive, fold_left, fold_right) -> None:
    """A batch of one operand is folded into an axis of it, and found in one of the result.

    Each fold is (axis of the operand, axis of the result), as names: "batch" for N,
    "in" for the I / G axis of a kernel, "channel" for a last axis, made of G groups.
    """

    def rule(operands, dims, *, geometry):
        a, b = operands
        size = next(
            x.shape[d] for x, d in zip(operands, dims, strict=True) if d is not None
        )
        a, b = (
            x if d is None else jnp.moveaxis(x, d, 0)
            for x, d in zip(operands, dims, strict=True)
        )
        if None not in dims:
            return primitive.bind(a, b, geometry=geometry), 0
        axis, axis_out = fold_left if dims[1] is None else fold_right
        if dims[1] is None:
            a = _merge(a, axis, geometry)
        else:
            b = _merge(b, axis, geometry)
        out = primitive.bind(a, b, geometry=geometry)
        return _split(out, size, axis_out, geometry), 0

    batching.primitive_batchers[primitive] = rule


def _position(axis, geometry):
    place = {"batch": -len(geometry.x) - 2, "in": -2, "channel": -1}[axis]
    return place, geometry.groups if axis == "channel" else 1


def _merge(x, axis, geometry):
    """[B, ..., G * C, ...] to [..., G * B * C, ...] at `axis`."""
    place, groups = _position(axis, geometry)
    place += x.ndim
    shape = x.shape[1:]
    x = x.reshape(*x.shape[:place], groups, -1, *x.shape[place + 1 :])
    x = jnp.moveaxis(x, 0, place)
    return x.reshape(*shape[: place - 1], -1, *shape[place:])


def _split(x, size, axis, geometry):
    """[..., G * B * C, ...] at `axis` to [B, ..., G * C, ...]: the inverse of `_merge`."""
    place, groups = _position(axis, geometry)
    place += x.ndim
    shape = x.shape
    x = x.reshape(*shape[:place], groups, size, -1, *shape[place + 1 :])
    x = jnp.moveaxis(x, place + 1, 0)
    return x.reshape(size, *shape[:place], -1, *shape[place + 1 :])


_define_batching(_convolution, ("batch", "batch"), ("channel", "channel"))
_define_batching(_input_gradient, ("batch", "batch"), ("in", "channel"))
_define_batching(_kernel_gradient, ("channel", "in"), ("channel", "channel"))


def _define_lowering(primitive: Primitive, form: Callable, cpu_form: Callable) -> None:
    def at_once(a, b, *, geometry):
        if a.ndim == len(geometry.x) + 2:
            return form(a, b, geometry)
        return jax.vmap(functools.partial(at_once, geometry=geometry))(a, b)

    def one_by_one(a, b, *, geometry):
        # Mapped at once they would be a grouped convolution, which XLA's CPU backend
        # computes five times slower than one kernel after another.
        if a.ndim == len(geometry.x) + 2:
            return cpu_form(a, b, geometry)
        return lax.map(lambda ab: one_by_one(*ab, geometry=geometry), (a, b))

    primitive.def_impl(jax.jit(primitive.bind, static_argnames="geometry"))
    mlir.register_lowering(primitive, mlir.lower_fun(at_once, multiple_results=False))
    mlir.register_lowering(
        primitive, mlir.lower_fun(one_by_one, multiple_results=False), platform="cpu"
    )


_define_lowering(_convolution, conv_forms.plain, conv_forms.convolve)
_define_lowering(
    _input_gradient, conv_forms.plain_input_gradient, conv_forms.input_gradient
)
_define_lowering(
    _kernel_gradient, conv_forms.plain_kernel_gradient, conv_forms.kernel_gradient
)
