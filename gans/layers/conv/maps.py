"""The three maps of a convolution as primitives, closed under differentiation.

    convolution      y = C(x, w)
    input gradient   x = X(y, w)
    kernel gradient  w = W(x, y)

Each is bilinear and its two transposes are the other two, so derivatives of any order,
in reverse and forward mode, stay within. The rest is what a primitive needs: shapes,
`vmap`, and the choice of a form (`table` on a CPU, the plain operations elsewhere).

Operands are as in `forms`, or both have the same additional leading axes, over which
the map is mapped: that is how a `vmap` over kernels reaches the lowering.
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax
from jax.core import ShapedArray
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

from gans.layers.conv import forms, table
from gans.layers.conv.geometry import Geometry

_convolution = Primitive("convolution")
_input_gradient = Primitive("convolution_input_gradient")
_kernel_gradient = Primitive("convolution_kernel_gradient")


def convolution(x: jax.Array, w: jax.Array, geometry: Geometry) -> jax.Array:
    """y [N, *Y, O] of x [N, *X, I] and w [*K, I / groups, O]."""
    return _convolution.bind(x, w, geometry=geometry)


def input_gradient(y: jax.Array, w: jax.Array, geometry: Geometry) -> jax.Array:
    """x [N, *X, I] of y [N, *Y, O] and w [*K, I / groups, O]."""
    return _input_gradient.bind(y, w, geometry=geometry)


def kernel_gradient(x: jax.Array, y: jax.Array, geometry: Geometry) -> jax.Array:
    """w [*K, I / groups, O] of x [N, *X, I] and y [N, *Y, O]."""
    return _kernel_gradient.bind(x, y, geometry=geometry)


@_convolution.def_abstract_eval
def _(x, w, *, geometry):
    lead = x.shape[: _n_lead(x, geometry) + 1]
    return _like(x, w, (*lead, *geometry.y, w.shape[-1]))


@_input_gradient.def_abstract_eval
def _(y, w, *, geometry):
    lead = y.shape[: _n_lead(y, geometry) + 1]
    return _like(y, w, (*lead, *geometry.x, w.shape[-2] * geometry.groups))


@_kernel_gradient.def_abstract_eval
def _(x, y, *, geometry):
    lead = x.shape[: _n_lead(x, geometry)]
    channels = (x.shape[-1] // geometry.groups, y.shape[-1])
    return _like(x, y, (*lead, *geometry.w, *channels))


def _like(a, b, shape):
    # Sums of gradients over devices follow rules that only JAX's own primitives have.
    if not (a.manual_axis_type.empty and b.manual_axis_type.empty):
        raise NotImplementedError(
            "convolution inside jax.shard_map with check_vma=True; accepted are "
            "check_vma=False and, without shard_map, jax.jit over sharded arrays"
        )
    return ShapedArray(shape, a.dtype)


def _n_lead(operand, geometry):
    return len(operand.shape) - len(geometry.x) - 2


ad.defbilinear(
    _convolution,
    lambda ct, x, w, *, geometry: input_gradient(ct, w, geometry),
    lambda ct, x, w, *, geometry: kernel_gradient(x, ct, geometry),
)
ad.defbilinear(
    _input_gradient,
    lambda ct, y, w, *, geometry: convolution(ct, w, geometry),
    lambda ct, y, w, *, geometry: kernel_gradient(ct, y, geometry),
)
ad.defbilinear(
    _kernel_gradient,
    lambda ct, x, y, *, geometry: input_gradient(y, ct, geometry),
    lambda ct, x, y, *, geometry: convolution(x, ct, geometry),
)


def _define_batching(primitive: Primitive, left, right) -> None:
    """A batch of both operands becomes a leading axis; of one, it is folded into it.

    left, right: for a batch of that operand, the axis of it and the axis of the result
    that hold the batch: N, I of a kernel, or the last, whose channels come in groups.
    """

    def rule(operands, dims, *, geometry):
        a, b = (
            x if dim is None else jnp.moveaxis(x, dim, 0)
            for x, dim in zip(operands, dims, strict=True)
        )
        if None not in dims:
            return primitive.bind(a, b, geometry=geometry), 0
        if dims[1] is None:
            (axis, result), size = left, a.shape[0]
            a = _fold(a, axis, geometry)
        else:
            (axis, result), size = right, b.shape[0]
            b = _fold(b, axis, geometry)
        out = primitive.bind(a, b, geometry=geometry)
        return _unfold(out, result, size, geometry), 0

    batching.primitive_batchers[primitive] = rule


def _place(x, axis, geometry):
    place = {"N": -len(geometry.x) - 2, "I": -2, "channels": -1}[axis]
    return x.ndim + place, geometry.groups if axis == "channels" else 1


def _fold(x, axis, geometry):
    """[B, ..., groups * C, ...] to [..., groups * B * C, ...]."""
    place, groups = _place(x, axis, geometry)
    before, size, after = x.shape[1:place], x.shape[place], x.shape[place + 1 :]
    x = x.reshape(x.shape[0], *before, groups, size // groups, *after)
    return jnp.moveaxis(x, 0, place).reshape(*before, -1, *after)


def _unfold(x, axis, size, geometry):
    """[..., groups * B * C, ...] to [B, ..., groups * C, ...]."""
    place, groups = _place(x, axis, geometry)
    before, after = x.shape[:place], x.shape[place + 1 :]
    x = x.reshape(*before, groups, size, -1, *after)
    return jnp.moveaxis(x, place + 1, 0).reshape(size, *before, -1, *after)


_define_batching(_convolution, ("N", "N"), ("channels", "channels"))
_define_batching(_input_gradient, ("N", "N"), ("I", "channels"))
_define_batching(_kernel_gradient, ("channels", "I"), ("channels", "channels"))


def _define_lowering(primitive: Primitive, plain: Callable, on_cpu: Callable) -> None:
    def at_once(a, b, *, geometry):
        form = functools.partial(plain, geometry=geometry)
        for _ in range(_n_lead(a, geometry)):
            form = jax.vmap(form)
        return form(a, b)

    def one_by_one(a, b, *, geometry):
        # At once they would make a grouped convolution, which takes a CPU longer.
        if _n_lead(a, geometry) == 0:
            return on_cpu(a, b, geometry)
        return lax.map(lambda ab: one_by_one(*ab, geometry=geometry), (a, b))

    primitive.def_impl(jax.jit(primitive.bind, static_argnames="geometry"))
    mlir.register_lowering(primitive, mlir.lower_fun(at_once, multiple_results=False))
    mlir.register_lowering(
        primitive, mlir.lower_fun(one_by_one, multiple_results=False), platform="cpu"
    )


_define_lowering(_convolution, forms.plain, table.convolution)
_define_lowering(_input_gradient, forms.plain_input_gradient, table.input_gradient)
_define_lowering(_kernel_gradient, forms.plain_kernel_gradient, table.kernel_gradient)
