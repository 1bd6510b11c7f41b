"""Programs without our own primitives: convolutions as XLA has them.

A form of `gans.layers.conv.table` is chosen by the number of images, and nobody else's
format knows our primitives. Here both are left behind.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
from jax.extend import core

from gans.layers.conv import forms

_CALLS = ("jit", "pjit", "closed_call", "custom_jvp_call", "custom_vjp_call")
# As kernels lie in memory: others' formats know no other order of their axes.
_FORMS = {
    "convolution": forms.plain,
    "convolution_input_gradient": forms.flipped,
    "convolution_kernel_gradient": forms.plain_kernel_gradient,
}


def plain(function: Callable[..., Any], *shapes: Any) -> Callable[..., Any]:
    """Returns the same function of arrays, whose convolutions are JAX's own.

    It is traced now, and calls within it, such as those of `jit`, become parts of it.

    shapes: trees of its arguments' shapes and types. Axes may be symbolic, as
      `jax.export` has them.
    """
    closed, shapes = jax.make_jaxpr(function, return_shape=True)(*shapes)

    def traced(*args):
        made = _run(closed.jaxpr, closed.consts, jax.tree.leaves(args))
        return jax.tree.unflatten(jax.tree.structure(shapes), made)

    return traced


def _run(jaxpr, consts, args):
    values = dict(zip([*jaxpr.constvars, *jaxpr.invars], [*consts, *args], strict=True))

    def read(x):
        return x.val if isinstance(x, core.Literal) else values[x]

    for equation in jaxpr.eqns:
        given = [read(x) for x in equation.invars]
        inner = equation.params.get("jaxpr") or equation.params.get("call_jaxpr")
        if equation.primitive.name in _FORMS:
            made = [_convolved(equation.primitive.name, *given, **equation.params)]
        elif equation.primitive.name in _CALLS:
            inner = inner if hasattr(inner, "consts") else core.ClosedJaxpr(inner, ())
            made = _run(inner.jaxpr, inner.consts, given)
        else:
            params = equation.primitive.get_bind_params(equation.params)
            made = equation.primitive.bind(*given, **params)
            made = made if equation.primitive.multiple_results else [made]
        values |= zip(equation.outvars, made, strict=True)
    return [read(x) for x in jaxpr.outvars]


def _convolved(name, a, b, *, geometry):
    form = functools.partial(_FORMS[name], geometry=geometry)
    for _ in range(a.ndim - len(geometry.x) - 2):  # see `gans.layers.conv.maps`
        form = jax.vmap(form)
    return form(a, b)
