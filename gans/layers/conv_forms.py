"""The forms of a convolution and of its two gradients, and which shape takes which.

Arrays are channels last, kernels [*K, I / G, O]; every form is exact algebra.
"""

import dataclasses

import jax
import jax.numpy as jnp
from jax import lax


@dataclasses.dataclass(frozen=True)
class Geometry:
    """How a kernel walks over an image: y[o] = sum_t x[s o + t - low] w[t].

    One entry per spatial axis; `groups` as `feature_group_count` in `jax.lax`. The three
    maps (convolution, input gradient, kernel gradient) of a layer share one geometry.
    """

    x: tuple[int, ...]
    w: tuple[int, ...]
    y: tuple[int, ...]
    strides: tuple[int, ...]
    low: tuple[int, ...]
    groups: int = 1

    @property
    def high(self) -> tuple[int, ...]:
        """The padding after x that the last window needs; negative: x is cut there."""
        axes = zip(self.x, self.w, self.y, self.strides, self.low, strict=True)
        return tuple((y - 1) * s + w - x - low for x, w, y, s, low in axes)

    @property
    def pads(self) -> list[tuple[int, int]]:
        return list(zip(self.low, self.high, strict=True))


def _layout(n: int) -> tuple[str, str, str]:
    axes = "DHW"[-n:]
    return f"N{axes}C", f"{axes}IO", f"N{axes}C"


def plain(x: jax.Array, w: jax.Array, geometry: Geometry) -> jax.Array:
    """y [N, *Y, O] of x [N, *X, I] and w [*K, I / G, O] by the one lax operation."""
    return lax.conv_general_dilated(
        x,
        w,
        geometry.strides,
        geometry.pads,
        dimension_numbers=_layout(len(geometry.x)),
        feature_group_count=geometry.groups,
    )


def plain_input_gradient(g: jax.Array, w: jax.Array, geometry: Geometry) -> jax.Array:
    """The transpose of `plain` in x, as JAX derives it: [N, *X, I] of g [N, *Y, O]."""
    shape = (g.shape[0], *geometry.x, w.shape[-2] * geometry.groups)
    x = jax.ShapeDtypeStruct(shape, g.dtype)
    return jax.linear_transpose(lambda x: plain(x, w, geometry), x)(g)[0]


def plain_kernel_gradient(x: jax.Array, g: jax.Array, geometry: Geometry) -> jax.Array:
    """The transpose of `plain` in w, as JAX derives it: [*K, I / G, O] of x and g."""
    shape = (*geometry.w, x.shape[-1] // geometry.groups, g.shape[-1])
    w = jax.ShapeDtypeStruct(shape, x.dtype)
    return jax.linear_transpose(lambda w: plain(x, w, geometry), w)(g)[0]


def swap(w: jax.Array, groups: int) -> jax.Array:
    """w [*K, I / G, O] as the kernel [*K, O / G, I] of the map from O to I channels."""
    *k, i, o = w.shape
    w = w.reshape(*k, i, groups, o // groups)
    return jnp.swapaxes(w, -3, -1).reshape(*k, o // groups, groups * i)


def flip(w: jax.Array, n: int) -> jax.Array:
    """w [*K, I, O] reversed along its n spatial axes."""
    return lax.rev(w, range(n))


def flipped(g: jax.Array, w: jax.Array, geometry: Geometry) -> jax.Array:
    """The input gradient as a convolution of the dilated g with the flipped kernel."""
    n = len(geometry.x)
    return lax.conv_general_dilated(
        g,
        flip(swap(w, geometry.groups), n),
        (1,) * n,
        [
            (k - 1 - low, k - 1 - high)
            for k, (low, high) in zip(geometry.w, geometry.pads, strict=True)
        ],
        lhs_dilation=geometry.strides,
        dimension_numbers=_layout(n),
        feature_group_count=geometry.groups,
    )


def canonical(x: jax.Array, g: jax.Array, geometry: Geometry) -> jax.Array:
    """The kernel gradient as a convolution in canonical layout.

    The transposes are written out because XLA's CPU backend moves the batch to its place
    only outside of loops and branches; within, JAX's own form is a hundred times slower.
    """
    n = len(geometry.x)
    w = lax.conv_general_dilated(
        jnp.swapaxes(x, 0, -1),
        jnp.moveaxis(g, 0, -2),
        (1,) * n,
        geometry.pads,
        rhs_dilation=geometry.strides,
        dimension_numbers=_layout(n),
        batch_group_count=geometry.groups,
    )
    return jnp.moveaxis(w, 0, -2)


def convolve(x: jax.Array, w: jax.Array, geometry: Geometry) -> jax.Array:
    """y [N, *Y, O] of x [N, *X, I] and w [*K, I / G, O] in the form for their shape."""
    return plain(x, w, geometry)


def input_gradient(g: jax.Array, w: jax.Array, geometry: Geometry) -> jax.Array:
    """[N, *X, I] of g [N, *Y, O] and w [*K, I / G, O] in the form for their shape."""
    return flipped(g, w, geometry)


def kernel_gradient(x: jax.Array, g: jax.Array, geometry: Geometry) -> jax.Array:
    """[*K, I / G, O] of x [N, *X, I] and g [N, *Y, O] in the form for their shape."""
    return canonical(x, g, geometry)
