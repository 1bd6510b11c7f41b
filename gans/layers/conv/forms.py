"""The forms in which a convolution and its two gradients can be computed.

A form maps (x, w), (y, w) or (x, y) and a `Geometry` to y, x or w. Arrays are channels
last, x [N, *X, I] and y [N, *Y, O]; kernels are w [*K, I / groups, O]. Every form is
mathematically exact; those that do not use `groups` need groups=1. Explicit sums are
computed in float32 or better. `table` chooses the form for each shape.
"""

import dataclasses
import itertools
import math

import jax
import jax.numpy as jnp
from jax import lax

from gans.layers.conv.geometry import Geometry, ones

# The plain operations, with JAX's own derivatives.


def plain(x: jax.Array, w: jax.Array, geometry: Geometry) -> jax.Array:
    """y [N, *Y, O] of x [N, *X, I] and w [*K, I / groups, O]."""
    return lax.conv_general_dilated(
        x,
        w,
        geometry.strides,
        geometry.pads,
        dimension_numbers=_layout(geometry),
        feature_group_count=geometry.groups,
    )


def plain_input_gradient(y: jax.Array, w: jax.Array, geometry: Geometry) -> jax.Array:
    """x [N, *X, I] of y [N, *Y, O] and w [*K, I / groups, O]."""
    shape = (y.shape[0], *geometry.x, w.shape[-2] * geometry.groups)
    x = jax.ShapeDtypeStruct(shape, y.dtype)
    return jax.linear_transpose(lambda x: plain(x, w, geometry), x)(y)[0]


def plain_kernel_gradient(x: jax.Array, y: jax.Array, geometry: Geometry) -> jax.Array:
    """w [*K, I / groups, O] of x [N, *X, I] and y [N, *Y, O]."""
    shape = (*geometry.w, x.shape[-1] // geometry.groups, y.shape[-1])
    w = jax.ShapeDtypeStruct(shape, x.dtype)
    return jax.linear_transpose(lambda w: plain(x, w, geometry), w)(y)[0]


# Forms of y from x and w.


def shift_sum(x, w, geometry):
    """The sum over taps of the shifted x times the tap's weight for each channel."""
    wide = x.astype(_wide(x))
    return sum(v * w[tap][0] for tap, v in _windows(wide, geometry)).astype(x.dtype)


def product_then_shifts(x, w, geometry):
    """One matrix product computes all taps' contributions to y; strides 1."""
    return product_then_overlaps(x, flip(swap(w, 1)), geometry.reverse)


# Forms of x from y and w.


def flipped(y, w, geometry):
    """A convolution of the dilated y with an explicitly flipped and swapped kernel."""
    return lax.conv_general_dilated(
        y,
        flip(swap(w, geometry.groups)),
        ones(geometry.x),
        geometry.reverse.pads,
        lhs_dilation=geometry.strides,
        dimension_numbers=_layout(geometry),
        feature_group_count=geometry.groups,
    )


def product_then_overlaps(y, w, geometry):
    """One matrix product computes all taps' contributions to x; strides 1."""
    shares = _dot(y, w.reshape(-1, *w.shape[-2:]), -1, -1)  # [N, *Y, taps, I]
    shares = jnp.unstack(shares, axis=-2)
    return _overlap(shares, geometry).astype(y.dtype)


def products_then_overlaps(y, w, geometry):
    """One matrix product per tap computes its contribution to x; strides 1."""
    shares = (_dot(y, w[tap], -1, -1) for tap in _taps(geometry))
    return _overlap(shares, geometry).astype(y.dtype)


# Forms of w from x and y.


def canonical(x, y, geometry):
    """A convolution of x with y, with explicit transposes to the standard layout.

    XLA's CPU backend finds that layout by itself only outside loops and branches.
    Inside them, the layout that JAX derives is a hundred times slower.
    """
    w = lax.conv_general_dilated(
        jnp.swapaxes(x, 0, -1),
        jnp.moveaxis(y, 0, -2),
        ones(geometry.x),
        geometry.pads,
        rhs_dilation=geometry.strides,
        dimension_numbers=_layout(geometry),
        batch_group_count=geometry.groups,
    )
    return jnp.moveaxis(w, 0, -2)


def shift_dots(x, y, geometry):
    """Per tap and channel, the inner product of x shifted and y."""
    axes, wide = _pixels(y), y.astype(_wide(y))
    dots = [(window * wide).sum(axes) for _, window in _windows(x, geometry)]
    return jnp.stack(dots).reshape(*geometry.w, 1, -1).astype(x.dtype)


def dot_of_patches(x, y, geometry):
    """One matrix product of the windows of x with y."""
    w = _dot(_patches(x, geometry), y, _pixels(y), _pixels(y))
    return w.reshape(*geometry.w, -1, y.shape[-1]).astype(x.dtype)


def dot_from_y(x, y, geometry):
    """`dot_of_patches` with the factors exchanged."""
    w = _dot(y, _patches(x, geometry), _pixels(y), _pixels(y)).T
    return w.reshape(*geometry.w, -1, y.shape[-1]).astype(x.dtype)


def dot_with_patches(x, y, geometry):
    """One matrix product of the windows of y with x; strides 1."""
    w = _dot(_patches(y, geometry.reverse), x, _pixels(x), _pixels(x))
    w = w.reshape(*geometry.w, y.shape[-1], -1)
    return swap(flip(w), 1).astype(x.dtype)


def dot_with_planes(x, y, geometry):
    """`dot_with_patches` with channels first, so that windows are long rows."""
    o = y.shape[-1]
    planes = jnp.moveaxis(y, -1, 0).reshape(-1, *geometry.y, 1)
    windows = _windows(planes, geometry.reverse)
    rows = jnp.concatenate([window.reshape(o, -1) for _, window in windows])
    w = _dot(rows, x.reshape(-1, x.shape[-1]), 1, 0)
    return swap(flip(w.reshape(*geometry.w, o, -1)), 1).astype(x.dtype)


# Reductions: the same map, computed by `form` with another geometry.


def reverse(form):
    """x from y and w as the convolution of the dilated y with the flipped kernel."""

    def apply(y, w, geometry):
        y = _pad(y, [(0, 0, s - 1) for s in geometry.strides])
        return form(y, flip(swap(w, geometry.groups)), geometry.reverse)

    return apply


def group_by_group(form):
    """One group after another."""

    def apply(a, b, geometry):
        def split(t):
            return jnp.moveaxis(t.reshape(*t.shape[:-1], geometry.groups, -1), -2, 0)

        one = dataclasses.replace(geometry, groups=1)
        out = lax.map(lambda ab: form(*ab, one), (split(a), split(b)))
        out = jnp.moveaxis(out, 0, -2)
        return out.reshape(*out.shape[:-2], -1)

    return apply


def padded(form):
    """y from x and w, or w from x and y, with x padded beforehand."""

    def apply(x, other, geometry):
        x = lax.optimization_barrier(_pad(x, geometry.pads))  # XLA would undo it
        size, low = x.shape[1:-1], (0,) * len(geometry.x)
        return form(x, other, dataclasses.replace(geometry, x=size, low=low))

    return apply


def one_window(form):
    """For a single window, where strides do not matter: they are set to its size."""

    def apply(a, b, geometry):
        return form(a, b, dataclasses.replace(geometry, strides=geometry.w))

    return apply


def depth(form):
    """y from x and w with strides moved into channels (space to depth)."""

    def apply(x, w, geometry):
        return form(_x_in(x, geometry), kernel_to_depth(w, geometry), _depth(geometry))

    return apply


def depth_x(form):
    """x from y and w with strides moved into channels."""

    def apply(y, w, geometry):
        x = form(y, kernel_to_depth(w, geometry), _depth(geometry))
        x = _to_space(x, 1, geometry.strides)
        axes = zip(geometry.low, x.shape[1:-1], geometry.x, strict=True)
        return _pad(x, [(-low, size + low - now) for low, now, size in axes])

    return apply


def depth_w(form):
    """w from x and y with strides moved into channels."""

    def apply(x, y, geometry):
        w = form(_x_in(x, geometry), y, _depth(geometry))
        return kernel_to_space(w, geometry)

    return apply


def phases_w(form):
    """w from x and y, with the pixels of each phase of the strides by themselves."""

    def apply(x, y, geometry):
        g, n = geometry, len(geometry.x)
        w = jnp.zeros((*g.w, x.shape[-1], y.shape[-1]), x.dtype)
        phases = jnp.split(_x_in(x, g), math.prod(g.strides), -1)
        places = itertools.product(*map(range, g.strides))
        for place, phase in zip(places, phases, strict=True):
            taps = tuple(
                slice(p, None, s) for p, s in zip(place, g.strides, strict=True)
            )
            k = w[taps].shape[:n]
            if min(k) == 0:
                continue  # a kernel that is smaller than the strides
            size = tuple(y + k - 1 for y, k in zip(g.y, k, strict=True))
            phase = phase[:, *map(slice, size)]
            one = Geometry(size, k, g.y, ones(k), (0,) * n)
            w = w.at[taps].set(form(phase, y, one))
        return w

    return apply


def flat(form):
    """y from x and w: first-axis taps become channels, first-axis positions batch."""

    def apply(x, w, geometry):
        w = jnp.moveaxis(w, 0, -3)
        w = w.reshape(*w.shape[:-3], -1, w.shape[-1])
        y = form(_x_flat(x, geometry), w, _flat(geometry))
        return y.reshape(x.shape[0], *geometry.y, -1)

    return apply


def flat_w(form):
    """w from x and y: first-axis taps become channels, first-axis positions batch."""

    def apply(x, y, geometry):
        y = y.reshape(-1, *y.shape[2:])
        w = form(_x_flat(x, geometry), y, _flat(geometry))
        w = w.reshape(*geometry.w[1:], geometry.w[0], -1, y.shape[-1])
        return jnp.moveaxis(w, -3, 0)

    return apply


def swap(w: jax.Array, groups: int) -> jax.Array:
    """w [*K, I / groups, O] as [*K, O / groups, I], a kernel from O channels to I."""
    *k, i, o = w.shape
    w = w.reshape(*k, i, groups, o // groups)
    return jnp.swapaxes(w, -3, -1).reshape(*k, o // groups, groups * i)


def flip(w: jax.Array) -> jax.Array:
    """w [*K, I, O] reversed along its spatial axes."""
    return lax.rev(w, range(w.ndim - 2))


def _layout(geometry):
    axes = "DHW"[-len(geometry.x) :]
    return f"N{axes}C", f"{axes}IO", f"N{axes}C"


def _taps(geometry):
    return itertools.product(*map(range, geometry.w))


def _windows(x, geometry):
    """For each tap, the entries [N, *Y, I] of x that it multiplies."""
    x = _pad(x, geometry.pads)
    spans = [(y - 1) * s + 1 for y, s in zip(geometry.y, geometry.strides, strict=True)]
    for tap in _taps(geometry):
        ends = (t + span for t, span in zip(tap, spans, strict=True))
        axes = zip(tap, ends, geometry.strides, strict=True)
        yield tap, x[:, *(slice(*axis) for axis in axes)]


def _overlap(shares, geometry):
    """[N, *X, I]: the sum of the taps' shares [N, *Y, I], shifted by their taps."""
    axes = list(zip(geometry.low, geometry.x, geometry.y, strict=True))
    x = 0
    for tap, share in zip(_taps(geometry), shares, strict=True):
        places = zip(tap, axes, strict=True)
        pads = [(t - low, to - size - t + low) for t, (low, to, size) in places]
        x = x + _pad(share, pads)
    return x


def _patches(x, geometry):
    """[N, *Y, taps * I]."""
    return jnp.concatenate([window for _, window in _windows(x, geometry)], -1)


def _pixels(x):
    return tuple(range(x.ndim - 1))


def _pad(x, pads):
    """x padded along each spatial axis: before, after and, if given, between."""
    each = [(0, 0, 0), *((*pad, 0)[:3] for pad in pads), (0, 0, 0)]
    return lax.pad(x, jnp.zeros((), x.dtype), each)


def _wide(x):
    return jnp.promote_types(x.dtype, jnp.float32)


def _dot(a, b, axes_a, axes_b):
    return jnp.tensordot(a, b, (axes_a, axes_b), preferred_element_type=_wide(a))


def _depth(geometry):
    w = tuple(-(-k // s) for k, s in zip(geometry.w, geometry.strides, strict=True))
    x = tuple(y - 1 + k for y, k in zip(geometry.y, w, strict=True))
    return Geometry(x, w, geometry.y, ones(w), (0,) * len(w))


def _x_in(x, geometry):
    sizes = zip(_depth(geometry).x, geometry.strides, strict=True)
    axes = zip(sizes, geometry.low, geometry.x, strict=True)
    x = _pad(x, [(low, size * s - low - now) for (size, s), low, now in axes])
    return _to_depth(x, 1, geometry.strides)


def kernel_to_depth(w: jax.Array, geometry: Geometry) -> jax.Array:
    """w [*K, I, O] with strides moved into channels, [*R, S I, O]."""
    sizes = zip(_depth(geometry).w, geometry.strides, geometry.w, strict=True)
    pads = [(0, size * s - now) for size, s, now in sizes]
    return _to_depth(jnp.pad(w, [*pads, (0, 0), (0, 0)]), 0, geometry.strides)


def kernel_to_space(w: jax.Array, geometry: Geometry) -> jax.Array:
    """w [*K, I, O] of [*R, S I, O], the transpose of `kernel_to_depth`."""
    return _to_space(w, 0, geometry.strides)[tuple(map(slice, geometry.w))]


def _to_depth(a, first, strides):
    """[..., A * S, B * S, C, ...] to [..., A, B, S * S * C, ...]; A is axis `first`."""
    n, shape = len(strides), a.shape
    sizes = [size // s for size, s in zip(shape[first:], strides, strict=False)]
    pairs = itertools.chain(*zip(sizes, strides, strict=True))
    a = a.reshape(*shape[:first], *pairs, *shape[first + n :])
    inner = range(first + 1, first + 2 * n, 2)
    a = jnp.moveaxis(a, inner, range(first + n, first + 2 * n))
    channels = math.prod(strides) * shape[first + n]
    return a.reshape(*shape[:first], *sizes, channels, *shape[first + n + 1 :])


def _to_space(a, first, strides):
    """[..., A, B, S * S * C, ...] to [..., A * S, B * S, C, ...]; A is axis `first`."""
    n, shape = len(strides), a.shape
    sizes = [size * s for size, s in zip(shape[first:], strides, strict=False)]
    rest = (shape[first + n] // math.prod(strides), *shape[first + n + 1 :])
    a = a.reshape(*shape[: first + n], *strides, *rest)
    inner = range(first + 1, first + 2 * n, 2)
    a = jnp.moveaxis(a, range(first + n, first + 2 * n), inner)
    return a.reshape(*shape[:first], *sizes, *rest)


def _flat(geometry):
    g = geometry
    return Geometry(g.x[1:], g.w[1:], g.y[1:], g.strides[1:], g.low[1:])


def _x_flat(x, geometry):
    x = _pad(x, [geometry.pads[0], *[(0, 0)] * (len(geometry.x) - 1)])
    s, span = geometry.strides[0], (geometry.y[0] - 1) * geometry.strides[0] + 1
    x = jnp.concatenate([x[:, t : t + span : s] for t in range(geometry.w[0])], -1)
    return x.reshape(-1, *x.shape[2:])
